"""Fog told from two pictures of one scene, without and with it, by Koschmieder's law."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

Array = np.ndarray

LEAST_SHARE = 0.5  # of what was changed that fog must explain, R^2
CANDIDATES = np.geomspace(3e-4, 0.6, 40)  # extinctions that are tried, 1/m: MOR of 10 km to 5 m
FEWEST = 16  # pixels
FARTHEST = 300.0  # metres; beyond that nothing is measured, as sky


class FoundFog(NamedTuple):
    """Fog between two pictures.

    Attributes:
        mor: meteorological optical range, metres. airlight: (3,) level of thick fog, 0 to 1.
        explained: R^2 against the best change of levels that knows no distance (a factor and a sum for each channel):
            1 where distance explains all that this leaves, 0 and below where it explains nothing.
    """

    mor: float
    airlight: Array
    explained: float


def fog_between(before: Array, after: Array, distance: Array) -> FoundFog:
    """The even fog between two pictures: after = t before + (1 - t) airlight, t = exp(-extinction distance).

    Levels are taken as they are, as the published models of fog in pictures do and as ``Fog`` does.

    Args:
        before, after: (n, 3) levels from 0 to 1 of the same pixels. distance: (n,) metres.

    Returns:
        the fog of the extinction with the least squares; one that explains nothing where too few pixels are within
        ``FARTHEST``, or a change that knows no distance leaves nothing to explain.
    """
    used = np.isfinite(distance) & (distance > 0) & (distance < FARTHEST)
    before, after, distance = before[used].astype(np.float64), after[used].astype(np.float64), distance[used]
    nothing = FoundFog(math.inf, np.ones(3), 0.0)
    left = sum(_unexplained(before[:, c], after[:, c]) for c in range(3)) if len(distance) >= FEWEST else 0.0
    if left < 1e-9 * len(distance):
        return nothing
    coarse = min(((_error(before, after, distance, float(e))), i) for i, e in enumerate(CANDIDATES))[1]
    around = np.geomspace(CANDIDATES[max(0, coarse - 1)], CANDIDATES[min(len(CANDIDATES) - 1, coarse + 1)], 33)
    error, extinction = min((_error(before, after, distance, float(e)), float(e)) for e in around)
    airlight = _airlight(before, after, np.exp(-extinction * distance)[:, None])
    return FoundFog(math.log(20) / extinction, airlight, 1 - error / left)


def _unexplained(x: Array, y: Array) -> float:
    """Squares that the best factor and sum leave."""
    x, y = x - x.mean(), y - y.mean()
    square = float((x * x).sum())
    return float((y * y).sum()) - (float((x * y).sum()) ** 2 / square if square > 0 else 0.0)


def _error(before: Array, after: Array, distance: Array, extinction: float) -> float:
    """Squares that are left with the airlight that leaves the least."""
    kept = np.exp(-extinction * distance)[:, None]
    return float(((after - kept * before - (1 - kept) * _airlight(before, after, kept)) ** 2).sum())


def _airlight(before: Array, after: Array, kept: Array) -> Array:
    lost = 1 - kept
    found: Array = np.clip(((after - kept * before) * lost).sum(0) / (lost**2).sum(), 0, 1)
    return found


__all__ = ["CANDIDATES", "FARTHEST", "LEAST_SHARE", "FoundFog", "fog_between"]
