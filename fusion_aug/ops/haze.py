"""What lies between a camera and the scene, and how strongly it shows: transmission, and streaks of what falls."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np

Array = np.ndarray


def full_scale(picture: Array) -> float:
    """The level of white: 255 or 1."""
    return 255.0 if picture.dtype == np.uint8 else 1.0


def blend(picture: Array, transmission: Array, colour: Array) -> Array:
    """Koschmieder's law: I = J t + A (1 - t).

    Args:
        picture: (H, W, 3) uint8, or float32 in [0, 1]. transmission: (H, W) float32.
        colour: A, (3,) share of full scale.

    Returns:
        the same kind of picture.
    """
    air: Any = (*(float(c) for c in np.asarray(colour) * full_scale(picture)), 0.0)
    gap = cv2.subtract(picture, air, dtype=cv2.CV_32F)
    cv2.multiply(gap, cv2.merge([transmission] * 3), gap)
    out = cv2.add(gap, air, dtype=cv2.CV_8U if picture.dtype == np.uint8 else cv2.CV_32F)
    return out if picture.dtype == np.uint8 else np.clip(out, 0, 1, out=out)


def streaks(start: Array, stop: Array, width: Array, opacity: Array, size: tuple[int, int]) -> Array:
    """Opacity (H, W) uint8, 255 for 1, of short lines.

    Args:
        start, stop: (n, 2) pixels. width: (n,) pixels. opacity: (n,) share. size: of the canvas.

    Where lines cross, the stronger one counts. Lines are drawn with a 1/16 pixel's precision and soft edges.
    """
    mask = np.zeros(size, np.uint8)
    level = np.clip(np.round(opacity * 255), 1, 255).astype(int)
    thick = np.clip(np.round(width), 1, 255).astype(int)
    ends = np.round(np.stack([start, stop], 1) * 16).astype(np.int32)
    order = np.lexsort((thick, level))
    group = level[order] * 256 + thick[order]
    edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    for a, b in pairwise(edges):
        lines = ends[order[a:b]]
        cv2.polylines(mask, list(lines), False, int(group[a] // 256), int(group[a] % 256), cv2.LINE_AA, 4)
    return mask


def cover(picture: Array, opacity: Array, colour: Array) -> Array:
    """A picture with a colour (3,), share of full scale, over it where ``opacity`` (H, W) uint8 says so."""
    out = picture.copy()
    where = np.flatnonzero(opacity)
    flat = out.reshape(-1, 3)
    share = opacity.reshape(-1)[where].astype(np.float32)[:, None] / 255
    mixed = flat[where] * (1 - share) + (np.asarray(colour, np.float32) * full_scale(picture)) * share
    flat[where] = np.round(mixed).astype(np.uint8) if picture.dtype == np.uint8 else mixed
    return out


def enlarged(coarse: Array, step: int, size: tuple[int, int]) -> Array:
    """A smooth map on a canvas of ``size``, float32, from its values every ``step`` pixels, the first one before it."""
    shift = np.array([[1.0 / step, 0, 1.0], [0, 1.0 / step, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(coarse.astype(np.float32), shift, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


__all__ = ["blend", "cover", "enlarged", "full_scale", "streaks"]
