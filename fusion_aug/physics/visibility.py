"""Which points of a LiDAR a camera sees: the scanner stands elsewhere and sees past things that hide others from it.

A scan is a picture of distances as its scanner sees them. The way from the camera to a point is followed through these
pictures: where it meets a measured surface, that surface hides the point. Thin things that the way passes at another
distance do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from calib.ties import cell_of

Array = np.ndarray

CELL = float(np.radians(0.2))  # of pictures of distances; scanners fire every 0.1 to 0.4 degrees
BETWEEN = 2.5  # cells from a point within which its surface goes on, if no other point is nearer
NEARER = 1.25  # times as near as a point or nearer is what may hide it; the rest is its own surface
STEP = 1.1  # by which distances grow along the way
BEFORE, BEHIND = 0.9, 1.28  # distance over that of a measured surface where the way meets it
LEAST = 0.5  # metres


class RangePicture(NamedTuple):
    """Distances as a scanner sees them.

    Attributes:
        eye: (3,) where it stands. distance: (rows, columns) metres to the surface in each direction, infinity where
            none is known. corner: (2,) azimuth and elevation of the first cell, radians.
    """

    eye: Array
    distance: Array
    corner: Array

    @classmethod
    def of(cls, points: Array, eye: Array) -> RangePicture:
        """Of the points (n, 3) of one scan; between them each direction has the distance of the nearest one."""
        angles, away = _seen_from(points, eye)
        corner = np.array([angles[:, 0].min(), angles[:, 1].max()])
        columns, rows = (cell_of((angles - corner) * [1, -1] / CELL).astype(int) + 1).T
        found = np.full((int(rows.max()) + 2, int(columns.max()) + 2), np.inf, np.float32)
        np.minimum.at(found, (rows, columns), away)
        gap, label = cv2.distanceTransformWithLabels(
            np.isinf(found).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.full(int(label.max()) + 1, np.inf, np.float32)
        of_label[label[rows, columns]] = found[rows, columns]
        return cls(eye, np.where(gap <= BETWEEN, of_label[label], np.float32(np.inf)), corner - [CELL, -CELL])

    def is_met(self, places: Array) -> Array:
        """Whether places (n, 3) lie at the surface in their direction, or right behind it."""
        angles, away = _seen_from(places, self.eye)
        columns, rows = cell_of((angles - self.corner) * [1, -1] / CELL).astype(int).T
        height, width = self.distance.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        surface = self.distance[rows.clip(0, height - 1), columns.clip(0, width - 1)]
        met: Array = inside & (away > BEFORE * surface) & (away < BEHIND * surface)
        return met


def hidden_points(points: Array, scans: Sequence[tuple[Array, Array]]) -> Array:
    """Whether something that a LiDAR measured hides each point from a camera.

    Args:
        points: (n, 3) in the frame of the camera, which stands at its origin, metres.
        scans: points (m, 3) of each LiDAR and its own place (3,), in the same frame.

    Returns:
        (n,) bool.
    """
    hidden = np.zeros(len(points), bool)
    away = np.linalg.norm(points, axis=1)
    farthest_first = np.argsort(-away, kind="stable")
    far = away[farthest_first]
    rays = points[farthest_first] / np.maximum(far, LEAST)[:, None]
    for xyz, eye in scans:
        if not len(xyz):
            continue
        picture = RangePicture.of(xyz, eye)
        reach = max(LEAST, float(np.linalg.norm(xyz, axis=1).min()))
        while (count := int(np.searchsorted(-far, -NEARER * reach))) > 0:
            hidden[farthest_first[:count]] |= picture.is_met(rays[:count] * reach)
            reach *= STEP
    return hidden


def _seen_from(points: Array, eye: Array) -> tuple[Array, Array]:
    """Azimuth and elevation (n, 2) in radians, and distance (n,) in metres, of points as seen from a place."""
    x, y, z = (points - eye).T
    level = np.hypot(x, z)
    return np.stack([np.arctan2(x, z), np.arctan2(-y, level)], 1), np.hypot(level, y)
