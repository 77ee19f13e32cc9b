"""Facades among points: walls that stand upright."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib.ties import cell_of

Array = np.ndarray
VOXEL = 0.4  # metres, so that a wall counts by its area and not by how many points it got
REACH = 70.0  # metres around the vehicle
ANGLES, SHIFT = 90, 0.3  # directions that walls are sought in, and metres between those of one direction
THIN = 0.2  # metres by which a wall's points lie off its plane
LEAFY = 1.2  # metres off the plane in which foliage has points, and a facade has few
PURE = 0.7  # share of a column's points within that, that lie on the plane
COLUMN, RISES = 1.0, 5.0  # metres along the wall, and metres above the ground that it rises to
LEVELS, SPAN = 3, 1.2  # heights at which a column has points, and metres between the lowest and the highest
GAP, SHORTEST = 2, 6  # columns without a point that a wall goes on over, and the fewest that it has
LEAST, MOST = 24, 16  # voxels of a wall, and walls


class Facade(NamedTuple):
    """A piece of an upright wall, in the world.

    Attributes:
        normal: (2,) horizontal unit vector towards the vehicle. offset: normal . (x, y) on the wall, metres.
        start, stop: of the piece along its ``tangent``, metres. top: (n,) heights that points prove, a column each.
    """

    normal: Array
    offset: float
    start: float
    stop: float
    top: Array

    @property
    def tangent(self) -> Array:
        """Horizontal unit vector (2,) along the wall."""
        return np.array([-self.normal[1], self.normal[0]])


def find_facades(place: Array, above: Array, at_edge: Array, middle: Array) -> list[Facade]:
    """The facades among points, the largest walls first; none where points scatter, as those of foliage do.

    Lines are found in the plan by a Hough transform over voxels (Duda and Hart 1972), and fitted by least squares.
    What is on a line becomes a facade column by column: where few points lie off the plane, points lie at several
    heights, and the wall rises to ``RISES`` or leaves the scan's view.

    Args:
        place: (n, 3) in the world, metres, z up. above: (n,) metres above the ground.
        at_edge: (n,) whether a point is so near the scan's upper edge that what it is on may go on beyond.
        middle: (2,) where the vehicle is.
    """
    local = place - np.append(middle, 0)
    highest_first = np.argsort(-above, kind="stable")
    near = highest_first[np.hypot(*local[highest_first, :2].T) < REACH]
    first = near[np.unique(cell_of(local[near] / VOXEL).astype(np.int64), axis=0, return_index=True)[1]]
    points = _Points(local[first, :2], above[first], at_edge[first])
    return [piece for wall in _walls(points.xy) for piece in _pieces(points, *wall, middle)]


class _Points(NamedTuple):
    """The highest point of each voxel, as in ``find_facades``, at (n, 2) from the vehicle."""

    xy: Array
    above: Array
    at_edge: Array


def _walls(xy: Array) -> list[tuple[Array, float, Array]]:
    """Lines that many points (n, 2) lie on: unit normals, offsets, and which points (n,) are each one's own."""
    angles = np.arange(ANGLES) * np.pi / ANGLES
    shifts = cell_of((xy @ np.stack([np.cos(angles), np.sin(angles)])) / SHIFT + 0.5).astype(np.int64)
    half = int(REACH / SHIFT) + 2
    flat = shifts + half + np.arange(ANGLES) * (2 * half + 1)
    left, out = np.ones(len(xy), bool), list[tuple[Array, float, Array]]()
    counts = np.bincount(flat.reshape(-1), minlength=ANGLES * (2 * half + 1))
    for _ in range(4 * MOST):
        best = int(counts.argmax())
        if counts[best] < LEAST or len(out) == MOST:
            break
        on = left & (flat[:, best // (2 * half + 1)] == best)
        normal, offset = _fitted(xy, left, xy[on])
        off = np.abs(xy @ normal - offset)
        out.append((normal, offset, left & (off < THIN)))
        used = left & (off < SHIFT) | on
        counts -= np.bincount(flat[used].reshape(-1), minlength=len(counts))
        left &= ~used
    return out


def _fitted(xy: Array, left: Array, near: Array) -> tuple[Array, float]:
    """The line of least squares through points (n, 2), refined by those that lie on it."""
    for _ in range(3):
        middle = near.mean(0)
        (a, b), (_, c) = np.cov((near - middle).T)
        across = 0.5 * np.arctan2(2 * b, a - c) + np.pi / 2
        normal = np.array([np.cos(across), np.sin(across)])
        offset = float(normal @ middle)
        on = left & (np.abs(xy @ normal - offset) < THIN)
        if on.sum() < LEAST:
            break
        near = xy[on]
    return normal, offset


def _pieces(points: _Points, normal: Array, offset: float, own: Array, middle: Array) -> list[Facade]:
    """The pieces of a line that are facades; ``own`` points (n,) lie on it and on no other one."""
    normal, offset = (normal, offset) if offset < 0 else (-normal, -offset)  # towards the vehicle
    off, tangent = points.xy @ normal - offset, np.array([-normal[1], normal[0]])
    around = np.flatnonzero(np.abs(off) < LEAFY)
    on = own[around]
    along = points.xy[around] @ tangent
    start = float(cell_of(along.min(keepdims=True) / COLUMN)[0])
    column = cell_of(along / COLUMN).astype(np.int64) - int(start)
    n = int(column.max()) + 1
    total, mine = np.bincount(column, minlength=n), np.bincount(column[on], minlength=n)
    level = cell_of(points.above[around] / VOXEL).astype(np.int64)
    taken = np.unique(np.stack([column[on], level[on]], 1), axis=0)
    levels = np.bincount(taken[:, 0], minlength=n)
    top, low = np.full(n, -np.inf), np.full(n, np.inf)
    np.maximum.at(top, column[on], points.above[around][on])
    np.minimum.at(low, column[on], points.above[around][on])
    goes_on = np.bincount(column[on], points.at_edge[around][on], minlength=n) > 0
    good = (mine >= PURE * total) & (levels >= LEVELS) & (top - low >= SPAN) & ((top >= RISES) | goes_on)
    out = []
    for a, b in _runs(good):
        zero = start * COLUMN + float(tangent @ middle)
        out.append(Facade(normal, offset + float(normal @ middle), zero + a * COLUMN, zero + b * COLUMN, top[a:b]))
    return out


def _runs(good: Array) -> list[tuple[int, int]]:
    """Begin and end of runs of columns, across gaps of a few."""
    out: list[tuple[int, int]] = []
    for k in np.flatnonzero(good).tolist():
        if out and k - out[-1][1] <= GAP:
            out[-1] = (out[-1][0], k + 1)
        else:
            out.append((k, k + 1))
    return [(a, b) for a, b in out if b - a >= SHORTEST and 2 * good[a:b].sum() > b - a]


__all__ = ["COLUMN", "REACH", "RISES", "Facade", "find_facades"]
