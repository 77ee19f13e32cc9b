"""Positions of drops and flakes: particles that fill the world in repeating cubes, and move.

Cubes of several sides hold equally many particles; the largest particles fill the largest cubes. So those that can be
seen from afar are stored as far, and small particles only near the sensor. All sensors, at all times, read the same
world: a flake that two cameras see, or one camera twice, is the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fusion_aug.ops.random import digest, generator
from fusion_aug.physics.precipitation import Particles

Array = np.ndarray
SIDES = (64.0, 32.0, 16.0, 8.0, 4.0)  # metres
PER_CUBE = 32768
SMALLEST = 1e-3  # mm


class ParticleBlock(NamedTuple):
    """Particles around a position.

    Attributes:
        offset: (n, 3) from the position, metres, in the world's axes, float32.
        diameter: (n,) mm, largest first. velocity: (n, 3) m/s.
        reach: metres within which the block holds every particle of its sizes. level: index of its cube in ``SIDES``.
    """

    offset: Array
    diameter: Array
    velocity: Array
    reach: float
    level: int


@lru_cache(maxsize=16)
def _cube(key: str, level: int) -> tuple[Array, Array]:
    """Positions (n, 3) in a cube of side 1, and numbers (n,) in [0, 1) that decide the sizes, largest first."""
    rng = generator(digest(key, level))
    places = rng.random((PER_CUBE, 3))
    size = (np.arange(PER_CUBE) + rng.random(PER_CUBE)) / PER_CUBE
    return places, size


def kept_density(level: int) -> float:
    """Particles per m^3, largest first, that the cubes down to a level hold together."""
    return float(sum(PER_CUBE / side**3 for side in SIDES[: level + 1]))


def particles_around(
    particles: Particles, key: str, place: Array, seconds: float, wind: tuple[float, float]
) -> Iterator[ParticleBlock]:
    """Particles around a position, cube by cube.

    Args:
        particles: size distribution. key: seeds their positions. place: (3,) in the world, metres.
        seconds: since a fixed time. wind: (x, y) m/s.
    """
    for level, side in enumerate(SIDES):
        places, size = _cube(key, level)
        before = kept_density(level - 1) if level else 0.0
        diameter = particles.diameter_exceeded_by(before + size * (kept_density(level) - before))
        count = int(np.searchsorted(-diameter, -SMALLEST, side="right"))
        if count == 0:
            return
        diameter = diameter[:count]
        velocity = np.empty((count, 3))
        velocity[:, 0], velocity[:, 1], velocity[:, 2] = wind[0], wind[1], -particles.fall_speed(diameter)
        offset = places[:count] * side
        offset += velocity * seconds
        offset -= place
        offset += side / 2
        offset -= np.floor(offset / side) * side  # the remainder, exactly, since sides are powers of two
        offset -= side / 2
        yield ParticleBlock(offset.astype(np.float32), diameter, velocity, side / 2, level)
