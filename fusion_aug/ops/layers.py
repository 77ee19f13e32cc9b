"""Pictures laid over one another."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray


def overlay(picture: Array, layer: Array, share: Array) -> Array:
    """A picture under a layer that covers a share of it; layer and share may be coarser than the picture.

    Args:
        picture: (H, W, 3) uint8, or float32 in [0, 1]. layer: (h, w, 3) of the same kind. share: (h, w), 0 to 1.
    """
    size = picture.shape[1::-1]
    over, weight = (cv2.resize(np.ascontiguousarray(x), size) for x in (layer, share.astype(np.float32)))
    return cv2.blendLinear(picture, over, 1 - weight, weight)


def in_cells(picture: Array, cell: int) -> Array:
    """Means of cells of ``cell`` by ``cell`` pixels; what is left at the right and below is dropped."""
    rows, columns = picture.shape[0] // cell, picture.shape[1] // cell
    return cv2.resize(picture[: rows * cell, : columns * cell], (columns, rows), interpolation=cv2.INTER_AREA)


def from_cells(coarse: Array, cell: int, size: tuple[int, int]) -> Array:
    """A map of cells on a canvas of ``size``, smooth; the last cells go on to the rim."""
    fine = cv2.resize(coarse, (coarse.shape[1] * cell, coarse.shape[0] * cell))
    below, right = size[0] - fine.shape[0], size[1] - fine.shape[1]
    return cv2.copyMakeBorder(fine, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else fine


__all__ = ["from_cells", "in_cells", "overlay"]
