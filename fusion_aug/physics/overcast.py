"""The overcast sky of the CIE (Moon and Spencer 1942): three times as bright overhead as at the horizon."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray


def radiance(sine: Any) -> Any:
    """Radiance of the sky at an elevation, as that of a white surface that lies level under it is 1.

    Args:
        sine: of the elevation; below the horizon the radiance of the horizon goes on.
    """
    return (1 + 2 * np.clip(sine, 0, 1)) / (7 / 3)


def irradiance(facing: Any) -> Any:
    """Light of the overcast sky on a surface against that on a level one.

    Args:
        facing: cosine of the angle between the surface's normal and the vertical: 1 level, 0 a wall, -1 a ceiling.
    """
    cosine = np.clip(facing, -1, 1)
    tilt = np.arccos(cosine)
    even = np.pi * (1 + cosine) / 2
    # the integral of the sine of the elevation over what the surface sees of the sky
    risen = 2 / 3 * ((np.pi - tilt) * cosine + np.sin(tilt))
    return (even + 2 * risen) / (np.pi * 7 / 3)


GAMMA = 2.2  # levels are light to the power of 1 / GAMMA, nearly
COOL = np.array([0.98, 1.0, 1.02]) ** (1 / GAMMA)  # levels under an overcast sky, after a camera's white balance
SUNNY_WALL = 0.58  # light of sun and sky on walls that face the sun, on the mean, against level ground
LESS_ON_WALLS = float(np.log(SUNNY_WALL / irradiance(0.0)))  # what clouds take from them besides, log of light
