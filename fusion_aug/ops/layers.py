"""Maps of a canvas in coarser cells, and pictures laid over one another.

Cells are of equal size and fill the whole canvas, whatever its size, so that a map of a mirrored canvas is the mirror
image of that of the canvas itself.
"""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray


def grid_of(size: tuple[int, int], cell: int) -> tuple[int, int]:
    """Rows and columns of the cells, of at most ``cell`` by ``cell`` pixels, that fill a canvas of ``size``."""
    return -(-size[0] // cell), -(-size[1] // cell)


def cell_middles(size: tuple[int, int], grid: tuple[int, int]) -> Array:
    """Canvas pixels (h, w, 2) of the middles of the cells of a grid, float64."""
    v, u = ((np.arange(n) + 0.5) * (s / n) - 0.5 for n, s in zip(grid, size, strict=True))
    return np.stack(np.meshgrid(u, v), -1)


def to_cells(picture: Array, grid: tuple[int, int]) -> Array:
    """Means (h, w) or (h, w, c) of the cells of a grid over a map or picture; itself where every pixel is a cell."""
    return picture if picture.shape[:2] == grid else cv2.resize(picture, grid[::-1], interpolation=cv2.INTER_AREA)


def distance_in_cells(distance: Array, grid: tuple[int, int]) -> Array:
    """Distances (h, w) of the cells of a grid: the inverse of the mean inverse distance, which is exact on planes."""
    if grid == distance.shape:
        return distance
    return 1 / to_cells(1 / np.maximum(distance, np.float32(1e-6)), grid)


def at_places(coarse: Array, rows: Array, columns: Array) -> Array:
    """Values (h, w) of a map (H, W), float32, between its own places: at rows (h,) and columns (w,), interpolated.

    All of them lie before its last row and its last column.
    """
    for axis, at in ((0, rows[:, None]), (1, columns)):
        first = np.floor(at)
        part, before = (at - first).astype(np.float32), first.reshape(-1).astype(np.intp)
        coarse = coarse.take(before, axis) * (1 - part) + coarse.take(before + 1, axis) * part
    return coarse


def to_canvas(coarse: Array, size: tuple[int, int]) -> Array:
    """A map (h, w) or (h, w, c) of cells on a canvas of ``size``, interpolated; its rim continues the last cells.

    The map itself where it is as fine as the canvas.
    """
    return coarse if coarse.shape[:2] == size else cv2.resize(coarse, size[::-1])


def overlay(picture: Array, layer: Array, share: Array) -> Array:
    """A picture under a layer that covers a share of it; layer and share may be coarser than the picture.

    Args:
        picture: (H, W, 3) uint8, or float32 in [0, 1]. layer: (h, w, 3) of the same kind. share: (h, w), 0 to 1.
    """
    size = picture.shape[:2]
    over, weight = (to_canvas(np.ascontiguousarray(x), size) for x in (layer, share.astype(np.float32)))
    return cv2.blendLinear(picture, over, 1 - weight, weight)


__all__ = ["at_places", "cell_middles", "distance_in_cells", "grid_of", "overlay", "to_canvas", "to_cells"]
