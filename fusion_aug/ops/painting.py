"""One picture over parts of another."""

from __future__ import annotations

import cv2
import numpy as np


def painted_over(picture: np.ndarray, other: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A picture, written to, with the pixels of another in some places.

    Args:
        picture, other: (H, W) or (H, W, c) of one type. where: (H, W) bool.
    """
    if picture.dtype == np.uint8 and picture.shape[2:] in ((), (3,)):
        painted: np.ndarray = cv2.copyTo(np.ascontiguousarray(other), where.view(np.uint8), picture)
        return painted
    np.copyto(picture, other, where=where.reshape(*where.shape, *[1] * (picture.ndim - 2)))
    return picture
