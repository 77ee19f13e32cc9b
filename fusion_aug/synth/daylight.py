"""What lights the street: the sun and a blue sky with some clouds, or an overcast sky alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fusion_aug.physics.overcast import irradiance, radiance
from fusion_aug.synth.mesh import Array
from fusion_aug.synth.paint import clouds

SUNLIGHT, SKYLIGHT = np.array([1.0, 0.93, 0.82]) * 1.25, np.array([0.36, 0.42, 0.52])
OVERCAST = np.array([1.14, 1.18, 1.22])  # light of level ground: cameras expose it as they do in the sun


class Daylight(NamedTuple):
    """Light of the street, 1 for white in the sun.

    Attributes:
        sunny: share of the sun's light that arrives.
        from_sky: (n, 3) light of the sky on surfaces with normals (n, 3).
        sky: (n, 3) radiance of the sky in directions (n, 3).
        haze: (3,) radiance of the air.
    """

    sunny: float
    from_sky: Callable[[Array], Array]
    sky: Callable[[Array], Array]
    haze: Array


def blue_sky(directions: Array) -> Array:
    """(n, 3) radiance of the sky: bluer overhead, some clouds."""
    up = np.clip(directions[:, 2:], 0.0, 1.0)
    clear = np.array([0.80, 0.88, 0.96]) * (1 - up**0.45) + np.array([0.16, 0.34, 0.72]) * up**0.45
    flat = directions[:, :2] / np.maximum(up, 0.04)
    cover = np.clip((clouds(flat[:, 0] * 0.9 + 3.0, flat[:, 1] * 0.9) - 0.47) * 5.0, 0, 1)[:, None] * np.clip(
        up * 7, 0, 1
    )
    return clear * (1 - 0.85 * cover) + np.array([0.98, 0.98, 0.98]) * 0.85 * cover


def grey_sky(directions: Array) -> Array:
    """(n, 3) radiance of an overcast sky that lights level ground by ``OVERCAST``."""
    return OVERCAST * radiance(directions[:, 2:])


LIGHTS = {
    "sun": Daylight(1.0, lambda n: SKYLIGHT * (0.62 + 0.38 * n[:, 2:]), blue_sky, np.array([0.72, 0.78, 0.86])),
    "overcast": Daylight(0.0, lambda n: OVERCAST * irradiance(n[:, 2:]), grey_sky, OVERCAST * radiance(0.0)),
}
