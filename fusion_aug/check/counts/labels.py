"""What a log says of its boxes besides their place, and how many points lie in them by its own files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fusion_aug.names import Registry

# Points so near to a face of a box, in metres, may be counted as inside or not: files hold coordinates in float32 or
# coarser, so that a rigid motion of both moves a point and a face by different roundings.
FACE = 5e-3


class Label(NamedTuple):
    """One box of a sample.

    Attributes:
        facts: field -> value in the file, of the fields that no augmentation changes.
        official: field -> number of points in the box that the file gives.
        inside: the same fields -> least and largest number of points in the box by the log's own clouds.
    """

    facts: Mapping[str, Any]
    official: Mapping[str, int]
    inside: Mapping[str, tuple[int, int]]


# sample -> function that gives its labels by their names in the log
Labelled = Mapping[str, Callable[[], Mapping[str, Label]]]
Labeller = Callable[[Path, Mapping[str, Any]], Labelled]

LABELLERS: Registry[Labeller] = Registry("labeller")


def labeller(format: str) -> Callable[[Labeller], Labeller]:
    """Register the function that reads labels of a format, of the same arguments as a counter.

    Raises:
        ConfigError: another function reads them.
    """

    def register(function: Labeller) -> Labeller:
        return LABELLERS.add(format, function, module=sys._getframe(1).f_globals["__name__"])

    return register


def points_inside(
    points: np.ndarray, centres: np.ndarray, rotations: np.ndarray, sizes: np.ndarray
) -> list[tuple[int, int]]:
    """Least and largest number of points in each of n boxes, which differ by those within ``FACE`` of a face.

    Args:
        points: (m, 3) in metres. centres: (n, 3) in the same frame.
        rotations: (n, 3, 3), columns are the boxes' own axes. sizes: (n, 3) along these, length, width, height.
    """
    out = []
    points = points[np.argsort(points[:, 0])].astype(np.float64)
    for centre, R, size in zip(centres, rotations, sizes, strict=True):
        reach = float(np.linalg.norm(size)) / 2 + FACE
        first, last = np.searchsorted(points[:, 0], [centre[0] - reach, centre[0] + reach])
        beyond = (np.abs((points[first:last] - centre) @ R) - np.abs(size) / 2).max(axis=1, initial=-np.inf)
        out.append((int((beyond < -FACE).sum()), int((beyond <= FACE).sum())))
    return out


def rotation_of(quaternion: Sequence[float]) -> np.ndarray:
    """Rotation (3, 3) of a quaternion w x y z of any length above 0."""
    w, x, y, z = np.asarray(quaternion, dtype=np.float64) / np.linalg.norm(quaternion)
    return np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip


def rotations_about_z(yaw: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3) by angles (n,) in radians."""
    c, s, o, i = np.cos(yaw), np.sin(yaw), np.zeros(len(yaw)), np.ones(len(yaw))
    return np.stack([c, -s, o, s, c, o, o, o, i], axis=1).reshape(-1, 3, 3)
