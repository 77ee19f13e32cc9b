"""Cells of a scanner's beams: which returns of two scans come along one beam."""

from __future__ import annotations

import numpy as np

from calib.ties import cell_of

ELEVATION_STEP = np.radians(0.2)  # of a cloud without rings
MOST_STEP = np.radians(0.5)  # of azimuth between two firings
Cloud = tuple[np.ndarray, np.ndarray | None]  # (n, 3) places about the scanner, and rings (n,) where they are known


def azimuth_step(xyz: np.ndarray, ring: np.ndarray | None, most: float = MOST_STEP) -> float:
    """Angle between two firings of a ring, radians: the median of what lies between neighbouring returns.

    Args:
        xyz: (n, 3) about the scanner. ring: (n,), None where they are not known. most: it is at most.
    """
    rows = _rows(xyz, ring)
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    order = np.lexsort((azimuth, rows))
    steps = np.diff(azimuth[order])[np.diff(rows[order]) == 0]
    steps = steps[steps > 1e-6]
    return float(min(np.median(steps), most)) if len(steps) else float(most)


def beam_cells(xyz: np.ndarray, ring: np.ndarray | None, step: float) -> np.ndarray:
    """Number (n,) int64 of the cell of every return, of ring (or elevation) and azimuth.

    Args:
        xyz: (n, 3) about the scanner. ring: (n,), None where they are not known. step: of azimuth, radians.
    """
    columns = int(np.ceil(2 * np.pi / step)) + 1
    azimuth = cell_of((np.arctan2(xyz[:, 1], xyz[:, 0]) + np.pi) / step).astype(np.int64)
    cells: np.ndarray = _rows(xyz, ring) * columns + azimuth
    return cells


def nearest_of_two(a: Cloud, b: Cloud) -> tuple[np.ndarray, np.ndarray]:
    """Which returns of two scans are hidden, where both have one in a cell: all of the scan whose nearest is farther.

    Args:
        a, b: places about the scanner, and rings.

    Returns:
        numbers of the hidden rows of both; where the nearest are equally far those of ``b``.
    """
    if not len(a[0]) or not len(b[0]):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    step = azimuth_step(*max(a, b, key=lambda cloud: len(cloud[0])))
    cells = [beam_cells(*cloud, step) for cloud in (a, b)]
    least = min(int(c.min()) for c in cells)
    filled = [np.bincount(c - least, minlength=1) > 0 for c in cells]
    both = np.flatnonzero(np.logical_and(*(f[: min(map(len, filled))] for f in filled)))
    if not len(both):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    common = both + least
    places = [np.searchsorted(common, c).clip(max=len(common) - 1) for c in cells]
    inside = [common[p] == c for p, c in zip(places, cells, strict=True)]
    nearest = []
    for (xyz, _), place, there in zip((a, b), places, inside, strict=True):
        far = np.full(len(common), np.inf)
        np.minimum.at(far, place[there], np.linalg.norm(xyz[there], axis=1))
        nearest.append(np.round(far, 6))
    a_wins = nearest[0] <= nearest[1]
    return np.flatnonzero(inside[0] & ~a_wins[places[0]]), np.flatnonzero(inside[1] & a_wins[places[1]])


def _rows(xyz: np.ndarray, ring: np.ndarray | None) -> np.ndarray:
    if ring is not None:
        return ring.astype(np.int64)
    elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    rows: np.ndarray = cell_of((elevation + np.pi) / ELEVATION_STEP).astype(np.int64)
    return rows
