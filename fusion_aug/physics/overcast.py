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
