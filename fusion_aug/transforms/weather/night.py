"""Pictures of the day relit at night: what is left of daylight, the light of lamps, and the noise of a dark picture."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_aug.ops.color import level_of, light_of
from fusion_aug.ops.hashed import ItemNoise
from fusion_aug.ops.normals import normal
from fusion_aug.physics.ground import height
from fusion_aug.transforms.weather.lamps import SODIUM
from fusion_aug.transforms.weather.light import SKY_FROM
from fusion_aug.transforms.weather.place import T_ref_vehicle
from fusion_aug.transforms.weather.posts import LAMP_GRID, LAMP_HEIGHT, ground_under, lamp_feet
from fusion_aug.transforms.weather.state import DAYLIGHT, EXPOSED_DOWN_TO, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
FULL_WELL, READ_NOISE = 10000.0, 3.0  # electrons, of a 3 micrometre automotive pixel
COLOUR_NOISE = 0.5  # share of the deviation of red and blue that is their own
HEADLAMP = 20000.0  # candela in the middle of a low beam
LAMP = 1500.0  # candela of a street lamp downwards
LED = np.array([1.0, 0.98, 0.92], np.float32)
BLUE = np.array([0.72, 0.92, 1.3], np.float32)  # light of the sky after sunset against that of the day
TWILIGHT = (2000.0, 100.0)  # lux from which on, and down to which, light turns blue
STARS = 3.0  # lux below which less and less of the light comes from the sky, and more from lamps around
STEP = 4  # pixels between the nodes of the map of light
ROAD, UPRIGHT = 0.1, 0.7  # share of head lamps' light that level ground, and what stands on it, sends back


def relight_at_night(picture: Array, view: WeatherView, state: WeatherState) -> tuple[Array, Array]:
    """The scene, without the sun already, lit by what is left of daylight and by lamps.

    Returns:
        the picture, and the factor (3,) on the level of what only the surroundings light.
    """
    around = float(state.light.illuminance or DAYLIGHT)
    late = np.clip(np.log(TWILIGHT[0] / around) / np.log(TWILIGHT[0] / TWILIGHT[1]), 0, 1)
    key = state.exposure_key
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
    above = height(ground_under(view), xyz)
    T = np.linalg.inv(T_ref_vehicle(view.call.sample, view.index))
    solid = far < SKY_FROM
    beam = np.where(solid, _headlamps(xyz @ T[:3, :3].T + T[:3, 3], above) * np.maximum(far, 1.0) ** 2, 0.0)
    street = np.where(solid, _street_lamps(xyz, above, view, state), 0.0)
    # what a beam sends into a direction changes evenly, while what it meets there has edges
    beam, street = (cv2.resize(cv2.blur(x.astype(np.float32), (5, 5)), view.size[::-1]) for x in (beam, street))
    facing = UPRIGHT + (ROAD - UPRIGHT) * view.ground
    return (beam * facing / np.maximum(view.distance, 1.0) ** 2)[..., None] * LED + street[..., None] * SODIUM


def _headlamps(xyz: Array, above: Array) -> Array:
    """Two low beams, 0.65 m above the ground at the vehicle's front, in lux on a surface that faces them.

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
        total += np.where(way[..., 0] > 0.2, HEADLAMP * beam / far**2, 0.0)
    return total


def _street_lamps(xyz: Array, above: Array, view: WeatherView, state: WeatherState) -> Array:
    """Street lamps, which shine downwards in a cone, in lux."""
    below = above < LAMP_HEIGHT
    place, high = xyz[below].astype(np.float32), above[below].astype(np.float32)
    drop, lux = np.maximum(np.float32(LAMP_HEIGHT) - high, np.float32(0.5)), np.zeros(len(place), np.float32)
    for foot in lamp_feet(view, state).astype(np.float32):
        near = np.flatnonzero(np.abs(place[:, 0] - foot[0]) < LAMP_GRID)
        near = near[np.abs(place[near, 1] - foot[1]) < LAMP_GRID]
        far = ((place[near] - foot) ** 2).sum(-1) - high[near] ** 2 + drop[near] ** 2  # squared
        lux[near] += np.float32(LAMP) * (drop[near] / np.sqrt(far)) ** 3 / far
    total = np.zeros(above.shape, np.float32)
    total[below] = lux
    return total


def _colour_grain(size: tuple[int, int], noise: ItemNoise) -> Array:
    """Noise (H, W, 3) of a Bayer sensor: red and blue, which every fourth pixel measures, differ from green coarsely.

    A camera's processing takes the greater part of what is noise of colour alone away.
    """
    rows, columns = size
    small = (-(-rows // 2), -(-columns // 2))
    fine = cv2.GaussianBlur(normal(noise.rows("green"), rows * columns).reshape(size), (3, 3), 0.5)
    drawn = (normal(noise.rows(colour), small[0] * small[1]).reshape(small) for colour in ("red", "blue"))
    coarse = [cv2.resize(grain, (columns, rows)) for grain in drawn]
    red, blue = (fine * np.float32(np.sqrt(1 - COLOUR_NOISE**2)) + c * np.float32(COLOUR_NOISE) for c in coarse)
    return cv2.merge([red, fine, blue])


def add_sensor_noise(picture: Array, state: WeatherState, noise: ItemNoise) -> Array:
    """Shot and read noise of the electrons that the exposure of a dark scene collects."""
    white = FULL_WELL * min(1.0, state.exposure_factor * state.exposure_illuminance / DAYLIGHT)
    light = light_of(picture)
    grain = _colour_grain(light.shape[:2], noise)
    counted = light + grain * np.sqrt(light * np.float32(1 / white) + np.float32((READ_NOISE / white) ** 2))
    return level_of(counted, picture)
