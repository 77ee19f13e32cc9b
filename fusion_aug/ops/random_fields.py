"""Smooth random fields of space, by hashed values on a lattice: the same at a place in any picture."""

from __future__ import annotations

import numpy as np

from fusion_aug.ops.hashed import RowKey, uniform

OCTAVES = 3
FACTORS = (73856093, 19349663, 83492791)  # make one number of three (Teschner et al. 2003)


def random_field(key: RowKey, places: np.ndarray, octaves: int = OCTAVES) -> np.ndarray:
    """Value noise (Perlin and Hoffert 1989), even in [0, 1) by and large.

    Args:
        key: of the field. places: (n, 3) in cells of the coarsest lattice. octaves: each has half the cells and half
            the weight of the one before.

    Returns:
        (n,) float64.
    """
    total, weight = np.zeros(len(places)), 0.0
    for octave in range(octaves):
        share = 0.5**octave
        total += share * _one_octave(key, places * 2.0**octave, octave)
        weight += share
    even: np.ndarray = np.clip((total / weight - 0.5) * 1.6 + 0.5, 0.0, 1.0)  # sums crowd in the middle
    return even


def _one_octave(key: RowKey, places: np.ndarray, octave: int) -> np.ndarray:
    cell = np.floor(places)
    part = places - cell
    part = part * part * (3 - 2 * part)
    low = cell.astype(np.int64) + (octave << 20)
    out = np.zeros(len(places))
    for corner in np.ndindex(2, 2, 2):
        number = np.zeros(len(places), np.int64)
        weight = np.ones(len(places))
        for axis, step in enumerate(corner):
            number ^= (low[:, axis] + step) * FACTORS[axis]
            weight *= part[:, axis] if step else 1 - part[:, axis]
        out += weight * uniform(key, number)
    return out
