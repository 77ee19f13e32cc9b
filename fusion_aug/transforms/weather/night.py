"""Pictures of the day relit at night: what is left of daylight, the light of lamps, and the noise of a dark picture."""

from __future__ import annotations

import cv2
import numpy as np

from calib.ties import cell_of
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.physics.ground import NEAR, height
from fusion_aug.transforms.weather.lamps import LAMP_GRID, LAMP_HEIGHT, SODIUM, lamp_place
from fusion_aug.transforms.weather.light import SKY_FROM
from fusion_aug.transforms.weather.place import T_ref_vehicle, T_world_ref
from fusion_aug.transforms.weather.state import DAYLIGHT, EXPOSED_DOWN_TO, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
FULL_WELL, READ_NOISE = 10000.0, 3.0  # electrons, of a 3 micrometre automotive pixel
HEADLAMP = 20000.0  # candela in the middle of a low beam
LAMP = 1500.0  # candela of a street lamp downwards
LED = np.array([1.0, 0.98, 0.92], np.float32)
KEY = 0.11  # power of the light by which cameras keep a darker scene darker
BLUE = np.array([0.72, 0.92, 1.3], np.float32)  # light of the sky after sunset against that of the day
TWILIGHT = (2000.0, 100.0)  # lux from which on, and down to which, light turns blue
STARS = 3.0  # lux below which less and less of the light comes from the sky, and more from lamps around
STEP = 4  # pixels between the nodes of the map of light


def relight_at_night(picture: Array, view: WeatherView, state: WeatherState) -> tuple[Array, float]:
    """The scene, without the sun already, lit by what is left of daylight and by lamps.

    Returns:
        the picture, and the factor (3,) on the level of what only the surroundings light.
    """
    around = float(state.light.illuminance or DAYLIGHT)
    late = np.clip(np.log(TWILIGHT[0] / around) / np.log(TWILIGHT[0] / TWILIGHT[1]), 0, 1)
    key = min(1.0, around / DAYLIGHT) ** KEY / state.exposure_illuminance
    daylight = around * key * (1 + late * (BLUE - 1)).astype(np.float32)
    share: Array = np.broadcast_to(daylight, (1, 1, 3)).astype(np.float32)
    if state.light.lamps and around < EXPOSED_DOWN_TO:
        share = share + _lamp_light(view, state) * np.float32(key)
    if around < STARS:
        sky = cv2.blur((view.distance >= SKY_FROM).astype(np.float32), (3, 3))
        share = share * (1 - sky * np.float32(1 - np.sqrt(around / STARS)))[..., None]
    return level_of(light_of(picture) * share, picture), daylight ** (1 / 2.2)


def _lamp_light(view: WeatherView, state: WeatherState) -> Array:
    """Illuminance (H, W, 3) by the vehicle's own head lamps and by street lamps, lux."""
    rows, columns = (-(-s // STEP) for s in view.size)
    far = cv2.resize(view.distance, (columns, rows), interpolation=cv2.INTER_NEAREST)
    rays = cv2.resize(view.rays, (columns, rows), interpolation=cv2.INTER_AREA)
    xyz = view.T_ref[:3, 3] + rays * np.minimum(far, 200.0)[..., None]
    plane = np.array([0, 0, 1.0, 0]) if view.plane is None else view.plane
    above = height(plane, xyz)
    T = np.linalg.inv(T_ref_vehicle(view.call.sample, view.index))
    own = _headlamps(xyz @ T[:3, :3].T + T[:3, 3], above)[..., None] * LED
    street = _street_lamps(xyz, above, view, state)[..., None] * SODIUM
    lux = np.where((far < SKY_FROM)[..., None], own + street, 0.0).astype(np.float32)
    return cv2.resize(cv2.blur(lux, (5, 5)), view.size[::-1])  # distances have steps that light has not


def _headlamps(xyz: Array, above: Array) -> Array:
    """Two low beams, 0.65 m above the ground at the vehicle's front, in lux on what they meet.

    Args:
        xyz: (h, w, 3) in the vehicle's frame. above: (h, w) metres above the ground.
    """
    total = np.zeros(xyz.shape[:2])
    for side in (-0.65, 0.65):
        way = np.stack([xyz[..., 0] - 2.5, xyz[..., 1] - side, above - 0.65], -1)
        far = np.maximum(np.linalg.norm(way, axis=-1), 1.0)
        across = np.degrees(np.arctan2(way[..., 1], np.maximum(way[..., 0], 1e-3)))
        up = np.degrees(np.arcsin(np.clip(way[..., 2] / far, -1, 1)))
        # below the cut-off at -0.6 degrees the beam is bright, above it 1 % is left
        cut = 1 / (1 + np.exp((up + 0.6) / 0.25))
        beam = np.exp(-((across / 20) ** 2)) * (0.01 + 0.99 * cut * np.exp(-(((up + 1.5) / 5) ** 2)))
        facing = np.where(np.abs(above) < NEAR, 0.1, 0.7)  # the road sends little of it back
        total += np.where(way[..., 0] > 0.2, HEADLAMP * beam * facing / far**2, 0.0)
    return total


def _street_lamps(xyz: Array, above: Array, view: WeatherView, state: WeatherState) -> Array:
    """Lamps on a shaken grid of the world, which shine downwards in a cone, in lux."""
    T = T_world_ref(view.call.sample, view.index)
    world = xyz @ T[:3, :3].T + T[:3, 3]
    cells = cell_of(world[..., :2] / LAMP_GRID).astype(np.int64)
    total = np.zeros(xyz.shape[:2])
    drop = np.maximum(LAMP_HEIGHT - above, 0.5)
    for cell in np.unique(cells.reshape(-1, 2), axis=0):
        place = lamp_place(state.key, cell)
        near = (np.abs(world[..., :2] - place) < LAMP_GRID).all(-1)
        gap = ((world[near][:, :2] - place) ** 2).sum(1)
        far = gap + drop[near] ** 2
        total[near] += LAMP * (drop[near] / np.sqrt(far)) ** 3 / far * (above[near] < LAMP_HEIGHT)
    return total


def _colour_grain(size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Noise (H, W, 3) of a Bayer sensor: green is measured at every other pixel, red and blue at every fourth."""
    rows, columns = size
    small = (-(-rows // 2), -(-columns // 2))
    fine = cv2.GaussianBlur(rng.standard_normal(size, dtype=np.float32), (3, 3), 0.5)
    coarse = [cv2.resize(rng.standard_normal(small, dtype=np.float32), (columns, rows)) for _ in range(2)]
    return cv2.merge([coarse[0], fine, coarse[1]])


def add_sensor_noise(picture: Array, state: WeatherState, rng: np.random.Generator) -> Array:
    """Shot and read noise of the electrons that the exposure of a dark scene collects."""
    white = FULL_WELL * min(1.0, state.exposure_factor * state.exposure_illuminance / DAYLIGHT)
    light = light_of(picture)
    grain = _colour_grain(light.shape[:2], rng)
    counted = light + grain * np.sqrt(light * np.float32(1 / white) + np.float32((READ_NOISE / white) ** 2))
    return level_of(counted, picture)
