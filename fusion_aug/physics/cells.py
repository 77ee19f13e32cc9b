"""The coarse grid on which distances of a picture spread, and what the directions of its cells tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray

COLUMNS = 400  # of the grid, at most


class CellDirections(NamedTuple):
    """What the direction of every cell (rows, columns) tells; None where nothing is known of it.

    Attributes:
        floor: metres to the ground plane, infinity above its horizon.
        rise: sine of the angle above the ground plane, or above the horizontal; NaN where the lens shows nothing.
        scanned: whether a LiDAR sent beams there.
    """

    floor: Array | None = None
    rise: Array | None = None
    scanned: Array | None = None


NOTHING_KNOWN = CellDirections()


def cell_size(size: tuple[int, int]) -> int:
    """Pixels per cell of the grid on a canvas of (height, width)."""
    return max(1, round(size[1] / COLUMNS))


def grid_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the grid."""
    cell = cell_size(size)
    return -(-size[0] // cell), -(-size[1] // cell)
