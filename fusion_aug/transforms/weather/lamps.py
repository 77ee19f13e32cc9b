"""Lamps that pictures show in the dark, of traffic and of the street: their glow, and their streaks on wet roads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib.ties import cell_of, nearest_whole
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.ops.random import digest, generator
from fusion_aug.physics.ground import height, water_share
from fusion_aug.transforms.weather.place import T_ref_vehicle, T_world_ref, moving_vehicles
from fusion_aug.transforms.weather.state import EXPOSED_DOWN_TO, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
LAMP_GRID, LAMP_HEIGHT = 28.0, 7.0  # street lamps: metres apart, metres high
STREET_REACH = 140.0  # metres up to which street lamps are seen
LAMPS_BELOW = 200.0  # lux of the surroundings at which lamps are switched on
HEAD, TAIL, SODIUM = np.array([1.0, 0.97, 0.9]), np.array([1.0, 0.06, 0.04]), np.array([1.0, 0.78, 0.5])
STREAK = 0.06  # radians, standard deviation of the slopes of a wet road along the line of sight
ON_BODY = 1.2  # metres by which the surface behind a lamp may be farther than the lamp


class Lamp(NamedTuple):
    """A lamp: place (3,) and direction (3,) in the reference frame, colour (3,), light, radius in metres."""

    place: Array
    facing: Array | None
    colour: Array
    light: float
    radius: float


def lamps_seen(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """The lamps of traffic (white in front, red behind) and of streets, with a glow that thick air widens."""
    power = min(1.0, EXPOSED_DOWN_TO / state.exposure_illuminance)
    if (state.light.illuminance or LAMPS_BELOW) >= LAMPS_BELOW:
        return picture
    lamps = [*_traffic_lamps(view), *_street_lamps(view, state)]
    if not lamps:
        return picture
    light, extinction = light_of(picture), state.air.extinction(550e-9)
    T = np.linalg.inv(view.T_ref)
    for lamp in lamps:
        local = T[:3, :3] @ lamp.place + T[:3, 3]
        far = float(np.linalg.norm(local))
        towards = 1.0 if lamp.facing is None else float(-(T[:3, :3] @ lamp.facing) @ local / far)
        pixel, seen = view.project(local[None])
        if towards < 0.1 or not seen[0]:
            continue
        share = power * lamp.light * towards**2 * np.exp(-extinction * far)
        core = max(1.0, view.focal * lamp.radius / far)
        if not _shows(view, pixel, far, lamp.facing is not None):
            continue
        _add_streak(light, view, state, lamp, share, core)
        _add_spot(light, pixel[0], (core, core), share * lamp.colour)
        # the lens and the air scatter some of it about
        glow = 0.02 + 0.2 * (1 - np.exp(-extinction * far))
        for wide in (4.0, 14.0):
            _add_spot(light, pixel[0], (wide * core + 2, wide * core + 2), share * glow * 4 / wide * lamp.colour)
    return level_of(light, picture)


def lamp_place(key: str, cell: Array) -> Array:
    """Position (x, y) in the world of the street lamp of a cell of the grid."""
    rng = generator(digest(key, "lamp", int(cell[0]), int(cell[1])))
    return (cell + rng.uniform(0.2, 0.8, 2)) * LAMP_GRID


def _shows(view: WeatherView, pixel: Array, far: float, on_body: bool) -> bool:
    """Whether nothing hides a lamp; one on a body lies on a surface that is no farther than the body reaches."""
    u, v = np.clip(nearest_whole(pixel[0]).astype(int), 0, (view.size[1] - 1, view.size[0] - 1))
    behind = float(view.distance[v, u])
    return behind > far - 1.5 and (not on_body or behind < far + ON_BODY)


def _traffic_lamps(view: WeatherView) -> list[Lamp]:
    """Every lamp of moving traffic, on the corners of its bodies."""
    out = []
    for pose, size, velocity in moving_vehicles(view.call.sample, view.index, view.time):
        speed = float(velocity.norm())
        if speed < 0.5:  # parked; a vehicle of unknown speed has its lamps on
            continue
        T, (length, width, tall) = pose.numpy(), size.tolist()
        forward = T[:3, 0]
        for end, colour, strength in ((1, HEAD, 6.0), (-1, TAIL, 1.6)):
            for side in (-0.36, 0.36):  # boxes are drawn a little wider than bodies
                local = np.array([end * 0.49 * length, side * width, -tall / 2 + min(0.8, 0.47 * tall)])
                out.append(Lamp(T[:3, :3] @ local + T[:3, 3], end * forward, colour, strength, 0.05))
    return out


def _street_lamps(view: WeatherView, state: WeatherState) -> list[Lamp]:
    """The street lamps of the shaken grid around the camera, ``LAMP_HEIGHT`` above the ground."""
    T = T_world_ref(view.call.sample, view.index)
    to_ref, middle = np.linalg.inv(T), cell_of(view.T_world[:2, 3] / LAMP_GRID).astype(np.int64)
    plane = np.array([0, 0, 1.0, 0]) if view.plane is None else view.plane
    z = (T @ T_ref_vehicle(view.call.sample, view.index))[2, 3]
    reach = int(STREET_REACH / LAMP_GRID)
    out = []
    for cell in np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), -1).reshape(-1, 2) + middle:
        x, y = lamp_place(state.key, cell)
        place = to_ref[:3, :3] @ np.array([x, y, z]) + to_ref[:3, 3]
        place = place + plane[:3] * (LAMP_HEIGHT - float(height(plane, place)))
        out.append(Lamp(place, None, SODIUM, 5.0, 0.07))
    return out


def _add_streak(light: Array, view: WeatherView, state: WeatherState, lamp: Lamp, share: float, core: float) -> None:
    """Add what a wet road mirrors of a lamp: a streak towards the camera, in place."""
    film = water_share(state.surface.water_film)
    if film <= 0 or view.plane is None:
        return
    above = float(height(view.plane, lamp.place))
    T = np.linalg.inv(view.T_ref)
    pixel, seen = view.project((T[:3, :3] @ (lamp.place - 2 * above * view.plane[:3]) + T[:3, 3])[None])
    if not seen[0]:
        return
    # a slope of the road turns the mirrored ray by twice its angle, along the line of sight far more than across
    tall = max(2.0, 2 * STREAK * view.focal)
    strength = share * film * 0.15 * core / (core + tall) ** 0.5
    _add_spot(light, pixel[0], (1.5 * core + 1, tall), strength * lamp.colour, view.ground)


def _add_spot(light: Array, pixel: Array, sigma: tuple[float, float], colour: Array, mask: Array | None = None) -> None:
    """Add a Gaussian spot of standard deviations across and down to a picture of light, in place, where a mask is."""
    u, v = nearest_whole(pixel).astype(int).tolist()
    right, down = (int(np.ceil(3 * s)) for s in sigma)
    a, b = max(0, v - down), min(light.shape[0], v + down + 1)
    c, d = max(0, u - right), min(light.shape[1], u + right + 1)
    if a >= b or c >= d:
        return
    y, x = np.mgrid[a:b, c:d]
    bell = np.exp(-0.5 * (((x - pixel[0]) / sigma[0]) ** 2 + ((y - pixel[1]) / sigma[1]) ** 2))
    if mask is not None:
        bell *= mask[a:b, c:d]
    light[a:b, c:d] += (bell[..., None] * colour).astype(np.float32)
