"""Lamps that pictures show in the dark, of traffic and of the street: their glow, and their streaks on wet roads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from calib.ties import nearest_whole
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.physics.ground import height, rough_fresnel, roughness, water_share
from fusion_aug.transforms.weather.place import moving_vehicles
from fusion_aug.transforms.weather.posts import LAMP_HEIGHT, ground_under, lamp_feet
from fusion_aug.transforms.weather.state import EXPOSED_DOWN_TO, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
HEAD, TAIL, SODIUM = np.array([1.0, 0.97, 0.9]), np.array([1.0, 0.06, 0.04]), np.array([1.0, 0.78, 0.5])
STREAK = 0.06  # radians, standard deviation of the slopes of a wet road along the line of sight
ON_BODY = 1.2  # metres by which the surface behind a lamp may be farther than the lamp
ASIDE = (0.44, 0.36, 0.3, 0.24, 0.18)  # of the width of a box, from the outside in: where its lamps may sit


class Lamp(NamedTuple):
    """A lamp: direction (3,) in the reference frame, colour (3,), light, radius in metres.

    Attributes:
        places: (n, 3) in the reference frame; it is at the first of these that shows.
    """

    places: Array
    facing: Array | None
    colour: Array
    light: float
    radius: float


def lamps_seen(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """The lamps of traffic (white in front, red behind) and of streets, with a glow that thick air widens."""
    power = min(1.0, EXPOSED_DOWN_TO / state.exposure_illuminance)
    light, extinction = light_of(picture), state.air.extinction(550e-9)
    mirror = mirror_of(view, state)
    for lamp, place, pixel, far, towards in _shown(view, [*_traffic_lamps(view), *_street_lamps(view, state)]):
        share = power * lamp.light * towards**2 * np.exp(-extinction * far)
        core = max(1.0, view.focal * lamp.radius / far)
        if mirror is not None:
            peak = 0.5 * core / (core + streak_length(view)) ** 0.5 * (share * lamp.colour)
            add_streak(light, view, mirror, place, peak, (core + 1, streak_length(view)))
        _add_spot(light, pixel, (core, core), share * lamp.colour)
        # the lens and the air scatter some of it about
        glow = 0.02 + 0.2 * (1 - np.exp(-extinction * far))
        for wide in (4.0, 14.0):
            _add_spot(light, pixel, (wide * core + 2, wide * core + 2), share * glow * 4 / wide * lamp.colour)
    return level_of(light, picture)


def _shown(view: WeatherView, lamps: Sequence[Lamp]) -> Iterator[tuple[Lamp, Array, Array, float, float]]:
    """Each lamp that shows, the first place of it that nothing hides, its pixel, its distance, and how much it shines.

    One on a body lies on a surface that is no farther than the body reaches, as does the place outwards of it.
    """
    T = np.linalg.inv(view.T_ref)
    local = [lamp.places @ T[:3, :3].T + T[:3, 3] for lamp in lamps]
    pixels, seen = view.project(np.concatenate([np.zeros((0, 3)), *local]))  # of all at once
    ends = np.cumsum([len(places) for places in local])
    for lamp, *places in zip(lamps, local, np.split(pixels, ends)[:-1], np.split(seen, ends)[:-1], strict=True):
        facing = None if lamp.facing is None else T[:3, :3] @ lamp.facing
        if (first := _first_shown(view, lamp, facing, *places)) is not None:
            yield lamp, *first


def _first_shown(
    view: WeatherView, lamp: Lamp, facing: Array | None, local: Array, pixels: Array, seen: Array
) -> tuple[Array, Array, float, float] | None:
    """The first place of a lamp that nothing hides.

    Args:
        facing, local: direction and places in the camera frame. pixels, seen: of the places, on the canvas.
    """
    if not seen.any():
        return None
    shown_before = facing is None
    for place, at, pixel, on_canvas in zip(lamp.places, local, pixels, seen, strict=True):
        far = float(np.linalg.norm(at))
        towards = 1.0 if facing is None else float(-facing @ at / far)
        if towards < 0.1:
            return None
        shown = bool(on_canvas) and _shows(view, pixel, far, facing is not None)
        if shown and shown_before:
            return place, pixel, far, towards
        shown_before = shown_before or shown
    return None


def _shows(view: WeatherView, pixel: Array, far: float, on_body: bool) -> bool:
    """Whether nothing hides what is at a distance behind a pixel; what is on a body has its surface near by."""
    u, v = np.clip(nearest_whole(pixel).astype(int), 0, (view.size[1] - 1, view.size[0] - 1))
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
            for side in (-1, 1):
                low = -tall / 2 + min(0.8, 0.47 * tall)
                local = np.array([[end * 0.49 * length, side * share * width, low] for share in ASIDE])
                out.append(Lamp(local @ T[:3, :3].T + T[:3, 3], end * forward, colour, strength, 0.05))
    return out


def _street_lamps(view: WeatherView, state: WeatherState) -> list[Lamp]:
    """The street lamps around the camera, on top of their posts."""
    above = LAMP_HEIGHT * ground_under(view)[:3]
    return [Lamp((foot + above)[None], None, SODIUM, 5.0, 0.07) for foot in lamp_feet(view, state)]


def mirror_of(view: WeatherView, state: WeatherState) -> Array | None:
    """Share (H, W) of light that the wet ground mirrors towards the camera; None where it is dry."""
    film = state.surface.water_film
    if film <= 0 or view.plane is None:
        return None
    facing = np.abs(view.rays @ view.plane[:3].astype(np.float32))
    return view.ground * rough_fresnel(facing, np.full(1, roughness(film), np.float32)) * np.float32(water_share(film))


def streak_length(view: WeatherView) -> float:
    """Standard deviation (pixels) down a picture of what a wet road mirrors of a point."""
    # a slope of the road turns the mirrored ray by twice its angle, along the line of sight far more than across
    return max(2.0, 2 * STREAK * view.focal)


def add_streak(
    light: Array, view: WeatherView, mirror: Array, place: Array, peak: Array, sigma: tuple[float, float]
) -> None:
    """Add what a wet road mirrors of a light at a place (3,): a streak towards the camera, in place.

    Args:
        light: (H, W, 3), float32. mirror: ``mirror_of`` the ground. place: in the reference frame.
        peak: (3,) in the middle of the streak. sigma: pixels across and down.
    """
    assert view.plane is not None
    T = np.linalg.inv(view.T_ref)
    below = place - 2 * float(height(view.plane, place)) * view.plane[:3]
    pixel, seen = view.project((T[:3, :3] @ below + T[:3, 3])[None])
    if not seen[0]:
        return
    _add_spot(light, pixel[0], sigma, peak, mirror)


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
