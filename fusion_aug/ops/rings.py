"""Beams of a scanning LiDAR: their elevations, and points of beams that were not there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calib.ties import TIE, cell_of

SAME_SURFACE = 0.15  # neighbouring beams hit one surface where their distances differ by less than this share ...
STEEPEST = 6.0  # ... or where the line between their points is seen less slanted than this (tangent)


def ring_elevations(xyz: Tensor, ring: Tensor) -> np.ndarray:
    """Median elevation of the points of every ring, radians; NaN for a ring without points."""
    p, r = xyz.detach().cpu().to(torch.float64).numpy(), ring.cpu().numpy().astype(int)
    elevation = np.arctan2(p[:, 2], np.hypot(p[:, 0], p[:, 1]))
    out = np.full(int(r.max()) + 1 if len(r) else 0, np.nan)
    for number in np.unique(r[r >= 0]):
        out[number] = np.median(elevation[r == number])
    return out


def to_elevations(
    xyz: Tensor, ring: Tensor, old: np.ndarray, new: np.ndarray, columns: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Points of beams at new elevations, from the points of the old beams.

    Args:
        xyz: (N, 3) sensor frame. ring: (N,) row of ``old``. old, new: elevations, radians.
        columns: keep one point per beam and column of a revolution; all by default.

    Returns:
        for every new point the old row of its other columns (M,), its position (M, 3) float64, its ring (M,).
    """
    p, r = xyz.detach().cpu().to(torch.float64).numpy(), ring.cpu().numpy().astype(int)
    azimuth = np.arctan2(p[:, 1], p[:, 0])
    finite = np.isfinite(p).all(1)
    order = np.argsort(np.nan_to_num(old, nan=np.inf), kind="stable")
    order = order[np.isfinite(old[order])]
    beams = {}
    for number in order:
        rows = np.flatnonzero((r == number) & finite)
        beams[number] = rows[np.argsort(azimuth[rows], kind="stable")]
    sources, places, rings = [np.zeros(0, int)], [np.zeros((0, 3))], [np.zeros(0, int)]
    for k, elevation in enumerate(new):
        above = int(np.searchsorted(old[order], elevation - 1e-9))
        if above == len(order) or (above == 0 and elevation < old[order[0]] - 1e-6):
            continue
        upper = order[above]
        if abs(old[upper] - elevation) < 1e-6 or above == 0:
            rows, place = beams[upper], p[beams[upper]]
        else:
            lower = order[above - 1]
            share = (elevation - old[lower]) / (old[upper] - old[lower])
            rows, place = _between(p, azimuth, beams[lower], beams[upper], float(elevation), float(share))
        if columns is not None and len(rows):
            cell = cell_of((np.arctan2(place[:, 1], place[:, 0]) / (2 * np.pi) + 0.5) * columns).astype(int)
            _, first = np.unique(cell, return_index=True)
            rows, place = rows[first], place[first]
        sources.append(rows)
        places.append(place)
        rings.append(np.full(len(rows), k))
    numbers = (np.concatenate(x) for x in (sources, places, rings))
    rows_, place_, ring_ = (torch.from_numpy(x).to(xyz.device) for x in numbers)
    return rows_, place_, ring_


def _between(
    p: np.ndarray, azimuth: np.ndarray, lower: np.ndarray, upper: np.ndarray, elevation: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points at an elevation between two beams: the old rows they come from, and their positions."""
    # a new beam is often half-way between two old ones
    first, second = (lower, upper) if share < 0.5 - TIE else (upper, lower)
    apart = min(share, 1 - share)
    if len(first) == 0 or len(second) == 0:
        return (first, p[first]) if apart < 0.25 - TIE else (first[:0], p[first[:0]])
    a = azimuth[first]
    b = azimuth[second]
    right = np.searchsorted(b, a) % len(b)
    left = right - 1
    gap = np.abs((np.stack([b[left], b[right]]) - a + np.pi) % (2 * np.pi) - np.pi)
    other = second[np.where(gap[0] < gap[1] - TIE, left, right)]
    spacing = 2.5 * np.median(np.abs(np.diff(a))) if len(a) > 2 else 0.02
    beside = gap.min(0) <= max(spacing, 1e-3)
    near, far = np.linalg.norm(p[first], axis=1), np.linalg.norm(p[other], axis=1)
    step = np.linalg.norm(p[other] - p[first], axis=1)
    across = np.abs(far + near) / 2 * abs(_elevation(p[other]) - _elevation(p[first]))
    one = beside & ((np.abs(far - near) < SAME_SURFACE * near) | (step < STEEPEST * np.maximum(across, 1e-9)))
    t = _share_at(p[first], p[other], elevation)
    place = p[first].copy()
    place[one] += t[one, None] * (p[other] - p[first])[one]
    keep = one | (apart < 0.5 - TIE)
    return first[keep], place[keep]


def _elevation(p: np.ndarray) -> np.ndarray:
    elevation: np.ndarray = np.arctan2(p[:, 2], np.hypot(p[:, 0], p[:, 1]))
    return elevation


def _share_at(a: np.ndarray, b: np.ndarray, elevation: float) -> np.ndarray:
    """Where on the way from a to b the elevation is reached, by bisection (it grows along the way)."""
    low, high = np.zeros(len(a)), np.ones(len(a))
    rising = _elevation(b) >= _elevation(a)
    for _ in range(30):
        middle = (low + high) / 2
        above = (_elevation(a + middle[:, None] * (b - a)) > elevation) == rising
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
