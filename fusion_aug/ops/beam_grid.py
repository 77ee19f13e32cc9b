"""The beams of a scan as a grid of rings and columns, a column being the time between two firings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calib.ties import cell_of

Array = np.ndarray
WIDEST = np.radians(0.5)  # of azimuth between two firings
FEWEST_RINGS = 4
FORWARD = 0.95  # share of steps that go along with the spin
WIDEST_RING = np.radians(2.0)  # spread of a ring's elevations: beams of HDL-64E do not meet in one point


def column_count(azimuth: Array) -> int:
    """Firings of a revolution: what the median step between neighbouring returns of one ring tells.

    Args:
        azimuth: (n,) radians, of a full ring.
    """
    steps = np.diff(np.sort(azimuth))
    steps = steps[steps > 1e-5]
    step = min(float(np.median(steps)), WIDEST) if len(steps) else WIDEST
    return round(2 * np.pi / step)


def columns_of(azimuth: Array, columns: int) -> Array:
    """(n,) int64 column of every return, of so many to a revolution; azimuth -pi begins column 0."""
    found: Array = cell_of((azimuth + np.pi) * (columns / (2 * np.pi))).astype(np.int64) % columns
    return found


class Listing(NamedTuple):
    """How a scan lists its returns, ring by ring.

    Attributes:
        ring: (n,) of every return, from 0 on. spin: 1 where azimuths grow along a ring, else -1. start: radians, where
            a ring begins.
    """

    ring: Array
    spin: float
    start: float

    def order(self, xyz: Array, ring: Array) -> Array:
        """(k,) the order in which such a scan lists other returns (k, 3) of rings (k,); those without a place first."""
        along = (self.spin * (np.arctan2(xyz[:, 1], xyz[:, 0]) - self.start)) % (2 * np.pi)
        return np.lexsort((np.nan_to_num(along), ring))


def rings_by_order(xyz: Array) -> Listing | None:
    """How a scan lists its rings one after another; None of another order.

    A new ring begins where the azimuth jumps back by more than half of a revolution. So KITTI's clouds are, also those
    that were cut to a camera's view.

    Args:
        xyz: (n, 3) about the scanner, as its file lists them.
    """
    there = np.isfinite(xyz).all(1) & (np.abs(xyz[:, :2]).max(1, initial=0) > 0)
    if there.sum() < FEWEST_RINGS * 2:
        return None
    azimuth = np.arctan2(xyz[there, 1], xyz[there, 0])
    elevation = np.arctan2(xyz[there, 2], np.hypot(xyz[there, 0], xyz[there, 1]))
    best: Listing | None = None
    least = WIDEST_RING
    for spin in (1.0, -1.0):
        for start in (0.0, azimuth[0] - spin * 1e-3):  # where the file begins a revolution
            along = (spin * (azimuth - start)) % (2 * np.pi)
            ring = np.concatenate([[0], np.cumsum(np.diff(along) < -np.pi)])
            spread = round(_spread(along, elevation, ring), 6)
            if spread < least:
                best, least = Listing(ring, spin, float(start)), spread
    if best is None:
        return None
    rings = np.zeros(len(xyz), np.int64)
    rings[there] = best.ring
    return best._replace(ring=rings)


def _spread(along: Array, elevation: Array, ring: Array) -> float:
    """Median spread of the elevations of rings, radians; infinity of what are none."""
    count = int(ring[-1]) + 1
    if not FEWEST_RINGS <= count <= len(along) / 8:
        return np.inf
    inside = np.diff(ring) == 0
    if np.mean(np.diff(along)[inside] > 0) < FORWARD:
        return np.inf
    mean = mean_by(ring, elevation, count)
    spread = np.sqrt(np.maximum(mean_by(ring, elevation**2, count) - mean**2, 0))
    steps = np.diff(mean)
    one_way = max(np.mean(steps > 0), np.mean(steps < 0))
    return float(np.median(spread)) if one_way >= 0.9 else np.inf


def mean_by(groups: Array, values: Array, count: int) -> Array:
    """(count,) mean of the values (n,) of every group (n,); NaN of one without values."""
    total, many = (np.bincount(groups, w, minlength=count)[:count] for w in (values, None))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Array = total / many
    return mean


def ring_shift(a: Array, b: Array) -> int:
    """How many rings the second of two scans lacks before its first one: the shift by which elevations fit best.

    Args:
        a, b: (rings,) mean elevation of the rings of both, radians.
    """
    best, least = 0, np.inf
    for shift in sorted(range(1 - len(b), len(a)), key=abs):  # the smallest among equals
        first, last = max(0, shift), min(len(a), shift + len(b))
        if last - first < min(len(a), len(b)) / 2:
            continue
        apart = round(float(np.median(np.abs(a[first:last] - b[first - shift : last - shift]))), 6)
        if apart < least:
            best, least = shift, apart
    return best
