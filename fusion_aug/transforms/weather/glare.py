"""Sun glare: the veil that the lens scatters over the picture about the sun."""

from __future__ import annotations

import numpy as np

from calib.ties import nearest_whole
from fusion_aug.ops.color import level_of, light_of
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.transforms.weather.state import DAYLIGHT, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
SCATTER = 3.0  # veiling luminance = SCATTER E / angle^2, angle in degrees: a third of the eye's (CIE 146)
DISC = 0.27  # degrees, radius of the sun
WIDEST = 70.0  # degrees from the sun beyond which there is no veil
TINT = np.array([1.0, 0.96, 0.86], np.float32)
WHITE = DAYLIGHT / np.pi  # cd/m^2 of a white wall in the light that pictures are exposed for


def add_sun_glare(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """Add the veil about the sun's direction, unless something hides it; what is brighter than white is white."""
    to_sun = view.T_world[:3, :3].T @ state.light.to_sun
    angle = np.degrees(np.arccos(np.clip(view.nodes @ to_sun, -1, 1)))
    if angle.min() > WIDEST:
        return picture
    open_share = _open_share(view, to_sun) * np.exp(-state.air.extinction(550e-9) * 500.0)
    if open_share <= 0:
        return picture
    wide = np.maximum(view.smooth(angle), DISC)
    veil = SCATTER * state.light.sun / wide**2 * np.clip(2 - 2 * wide / WIDEST, 0, 1) / WHITE * open_share
    return level_of(light_of(picture) + veil[..., None].astype(np.float32) * TINT, picture)


def _open_share(view: WeatherView, to_sun: Array) -> float:
    """Share of the sun's surroundings (one degree) in the picture that is sky; 1 where the sun is out of view."""
    pixel, seen = view.project(to_sun[None] * 1e6)
    if not seen[0]:
        return 1.0
    reach = max(1, int(view.focal * np.radians(0.5)))
    u, v = nearest_whole(pixel[0]).astype(int)
    patch = view.distance[max(0, v - reach) : v + reach + 1, max(0, u - reach) : u + reach + 1]
    return float((patch > 0.3 * SKY_DISTANCE).mean())
