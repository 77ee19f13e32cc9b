"""What lies between a camera and the scene, and how strongly it shows."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray


def full_scale(picture: Array) -> float:
    """The level of white: 255 or 1."""
    return 255.0 if picture.dtype == np.uint8 else 1.0


def blend(picture: Array, transmission: Array, air: Array) -> Array:
    """Koschmieder's law: I = J t + A (1 - t).

    Args:
        picture: J, (H, W, 3) uint8, or float32 in [0, 1]. transmission: (H, W) float32.
        air: A, (H, W, 3) of the same kind as the picture.

    Returns:
        the same kind of picture.
    """
    return cv2.blendLinear(picture, air, transmission, cv2.subtract(1.0, transmission))  # type: ignore[call-overload]


def enlarged(coarse: Array, step: int, size: tuple[int, int]) -> Array:
    """A smooth map on a canvas of ``size``, float32, from its values every ``step`` pixels, the first one before it."""
    shift = np.array([[1.0 / step, 0, 1.0], [0, 1.0 / step, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(coarse.astype(np.float32), shift, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


__all__ = ["blend", "enlarged", "full_scale"]
