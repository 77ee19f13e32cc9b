"""Numbers that a driver works out of a point's place: distance, azimuth, elevation. They follow where the place moves.

Their units, zeros and directions are the driver's own, and are found by holding them against the coordinates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TURNS = (2 * np.pi, 360.0, 36000.0)  # a full turn in radians, degrees, hundredths of a degree
AGREE = 0.995  # mean resultant length of the differences from the angle of x, y, z: 6 degrees of spread
MOST_POINTS = 4096  # that are held against their coordinates, evenly spread
OFF_AXIS = np.radians(5.0)  # of the zero from an axis
SPREAD = 0.02  # relative, of distances in one unit: beams start some centimetres beside the frame's origin


class AngleFit(NamedTuple):
    """How an angle follows from x, y, z: which angle, its full turn in the angle's unit, and which way round."""

    kind: str
    turn: float
    sign: int


def some(rows: np.ndarray) -> np.ndarray:
    """At most ``MOST_POINTS`` of some rows, evenly spread."""
    return rows[:: -(-len(rows) // MOST_POINTS)] if len(rows) else rows


def angles_of(xyz: np.ndarray, kind: str) -> np.ndarray:
    """``azimuth`` about z from x, or ``elevation`` over the plane of x and y, of points (n, 3), radians (n,)."""
    if kind == "azimuth":
        return np.arctan2(xyz[:, 1], xyz[:, 0])
    return np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))


def fit_angle(values: np.ndarray, xyz: np.ndarray, kinds: tuple[str, ...]) -> AngleFit | None:
    """Find how angles (n,) follow from points (n, 3).

    Args:
        values: angles in some unit, from some axis, either way round. xyz: points. kinds: angles that they may be.

    Returns:
        the best fit; None where none explains the values within some degrees.
    """
    values, xyz = some(values), some(xyz)
    known = np.isfinite(values) & np.isfinite(xyz).all(1) & (np.abs(xyz).sum(1) > 0)
    values, xyz = values[known], xyz[known]
    best, found = -np.inf, None
    for kind in kinds if len(values) else ():
        angle = angles_of(xyz, kind)
        for turn in TURNS:
            for sign in (1, -1):
                mean = np.exp(1j * (values * (2 * np.pi / turn) - sign * angle)).mean()
                off = np.abs((np.angle(mean) + np.pi / 4) % (np.pi / 2) - np.pi / 4)
                agrees = np.abs(mean) > AGREE and off < OFF_AXIS
                if agrees and np.abs(mean) - off > best + 1e-12:
                    best, found = np.abs(mean) - off, AngleFit(kind, turn, sign)
    return found


def moved_angles(values: np.ndarray, before: np.ndarray, after: np.ndarray, fit: AngleFit) -> np.ndarray:
    """Angles (n,) of points that were moved from ``before`` to ``after``, (n, 3) each, in their own unit and range."""
    change = angles_of(after, fit.kind) - angles_of(before, fit.kind)
    change = np.where(np.isfinite(change), (change + np.pi) % (2 * np.pi) - np.pi, 0.0)
    out = values + fit.sign * fit.turn / (2 * np.pi) * change
    if fit.kind == "azimuth":
        low = -fit.turn / 2 if np.nanmin(values, initial=0.0) < 0 else 0.0
        outside = (out < low) | (out >= low + fit.turn)
        out = np.where(outside & (change != 0), (out - low) % fit.turn + low, out)
    return out


def is_distance(values: np.ndarray, xyz: np.ndarray) -> bool:
    """Whether numbers (n,) are the distances of points (n, 3) from the frame's origin, in one unit."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = some(values) / np.linalg.norm(some(xyz), axis=1)
    ratio = ratio[np.isfinite(ratio) & (ratio > 0)]
    return not len(ratio) or float(np.median(np.abs(ratio / np.median(ratio) - 1))) < SPREAD


def moved_distances(values: np.ndarray, before: np.ndarray, after: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Distances (n,) of points that were moved from ``before`` to ``after``; by ``scale`` where that tells nothing."""
    old, new = (np.linalg.norm(xyz, axis=1) for xyz in (before, after))
    known = np.isfinite(old) & np.isfinite(new) & (old > 0)
    return values * np.where(known, new / np.where(known, old, 1.0), scale)
