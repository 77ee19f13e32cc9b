"""The sun in pictures: its disc, and the light of it that a lens scatters over what lies about it."""

from __future__ import annotations

import cv2
import numpy as np

from calib.ties import nearest_whole
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.transforms.weather.light import SKY_FROM
from fusion_aug.transforms.weather.place import to_sun_in_world
from fusion_aug.transforms.weather.state import DAYLIGHT, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
# veiling luminance = SCATTER E / angle^2, angle in degrees: the eye's is 10 (CIE 146), a clean lens scatters far less
SCATTER = 0.1
DISC = 0.265  # degrees, radius of the sun
NEAR = 4.0  # degrees up to which angles are taken from pixels instead of from the nodes of the map of rays
WIDEST = 70.0  # degrees from the sun beyond which there is no veil
TINT = np.array([1.0, 0.96, 0.86], np.float32)
WHITE = DAYLIGHT / np.pi  # cd/m^2 of a white wall in the light that pictures are exposed for


def add_sun_glare(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Add the sun and its glare, unless something hides it; what is brighter comes near white and nearer.

    The shoulder of a camera's tone curve, 1 - exp(-x), takes the veil: a hard limit would draw a white disc of it.
    """
    to_sun = view.T_world[:3, :3].T @ to_sun_in_world(view.call.sample, view.index, state)
    angle = np.degrees(np.arccos(np.clip(view.nodes @ to_sun, -1, 1)))
    if angle.min() > WIDEST:
        return picture
    wide = _angles(view, to_sun, view.smooth(angle))
    disc = np.clip((DISC - wide) * view.focal * np.pi / 180 + 0.5, 0, 1)  # soft over one pixel
    sky = view.distance >= SKY_FROM
    through = float(np.exp(-state.air.extinction(550e-9) * 500.0))
    shown = through * (float(disc[sky].sum() / disc.sum()) if disc.sum() > 0.5 else 1.0)
    if shown <= 0:
        return picture
    scattered = np.clip(2 - 2 * wide / WIDEST, 0, 1) / np.maximum(wide, DISC) ** 2
    veil = SCATTER * state.light.sun / WHITE * shown * scattered
    # the disc itself is brighter than white by five orders of magnitude
    veil += 1e2 * through * disc * sky
    left = cv2.exp(veil.astype(np.float32)[..., None] * -TINT)
    return level_of(1 - (1 - light_of(picture)) * left, picture)


def _angles(view: WeatherView, to_sun: Array, smooth: Array) -> Array:
    """Angle (H, W) from the sun, degrees: the smooth map, and about the sun the distance in pixels."""
    pixel, seen = view.project(to_sun[None] * 1e6)
    if not seen[0]:
        return smooth
    reach = int(view.focal * np.radians(NEAR)) + 1
    u, v = nearest_whole(pixel[0]).astype(int)
    rows, columns = slice(max(0, v - reach), v + reach + 1), slice(max(0, u - reach), u + reach + 1)
    y, x = np.mgrid[rows, columns][:, : view.size[0] - rows.start, : view.size[1] - columns.start]
    near = np.degrees(np.hypot(x - pixel[0, 0], y - pixel[0, 1]) / view.focal)
    out = smooth.copy()
    share = np.clip(2 - 2 * near / NEAR, 0, 1)
    out[rows, columns] += (near - out[rows, columns]) * share
    return out
