"""What a ``Gate`` measures: how a picture that was made differs from the one that it was made of, in edges alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.ops.orientation import edges_of, local_shifts

Array = np.ndarray

BLOCK, REACH = 66, 12  # pixels, of blocks and of the largest shift that is looked for, at ``HEIGHT``
HEIGHT = 396  # pixels; pictures are brought to it, so that figures mean the same at any size
RICH = 0.6  # share of the blocks that have most edges, which are looked at
LEAST_SIDE = 24  # pixels of the picture at ``HEIGHT``, of a box that is looked for and of what counts as new
NEAR = 5  # pixels within which an edge that was there explains one that is there now

# figure -> what it says; of the first larger is better
HIGHER = ("agreement", "kept")
FIGURES = {
    "agreement": "of the directions of all edges, 1 the same, 0 none",
    "moved": "pixels by which half of the picture has moved at least, weighted by its edges",
    "uneven": "pixels by which a quarter has moved at least",
    "kept": "agreement within the named box that has kept least; 1 without boxes",
    "new": "mean strength, 0 to 1, of edges that were not there, in the window that has most",
}


def figures_of(before: Array, after: Array, boxes: Array | None = None) -> dict[str, float]:
    """All figures of a picture.

    Args:
        before, after: (H, W, 3) uint8. boxes: (n, 4) of named objects: left, top, right, bottom, pixels; those that
            reach beyond the picture or are too small are left out.

    Raises:
        DataError: the pictures have different sizes, or are too small.
    """
    if before.shape != after.shape or before.ndim != 3 or min(before.shape[:2]) < 3 * LEAST_SIDE:
        raise DataError(
            f"Gate: expected two pictures of one size of at least {3 * LEAST_SIDE} pixels, got {before.shape} and "
            f"{after.shape}"
        )
    scale = HEIGHT / min(before.shape[:2])
    first, second = (edges_of(_resized(p, scale)) for p in (before, after))
    found = {"agreement": agreement(first, second), **_moved(first, second)}
    inside = [agreement(first[box], second[box]) for box in _places(boxes, before.shape[:2], scale)]
    return {**found, "kept": min(inside, default=1.0), "new": _new(first, second)}


def agreement(first: Array, second: Array) -> float:
    """How well two sets of edges agree in strength and direction, -1 to 1; 1 where neither has any."""
    a, b = float((np.abs(first) ** 2).sum()), float((np.abs(second) ** 2).sum())
    if a < 1e-3 and b < 1e-3:
        return 1.0
    return float((first.conj() * second).sum().real) / float(np.sqrt(a * b) + 1e-6)


def _resized(picture: Array, scale: float) -> Array:
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out: Array = picture if scale == 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)
    return out


def _moved(first: Array, second: Array) -> dict[str, float]:
    blocks = local_shifts(first, second, BLOCK, REACH)
    rich = blocks.weight >= np.quantile(blocks.weight, 1 - RICH)
    away = np.linalg.norm(blocks.shift[rich], axis=1)
    weight = np.maximum(blocks.peak[rich], 1e-6) * (blocks.weight[rich] + 1e-6)
    order = away.argsort(kind="stable")
    share = weight[order].cumsum() / weight.sum()
    return {
        name: float(away[order][min(int(np.searchsorted(share, at)), len(order) - 1)])
        for name, at in (("moved", 0.5), ("uneven", 0.75))
    }


def _new(first: Array, second: Array) -> float:
    was = cv2.dilate(np.abs(first), np.ones((NEAR, NEAR), np.uint8))
    extra = np.maximum(np.abs(second) - was, 0).astype(np.float32)
    return float(cv2.boxFilter(extra, -1, (LEAST_SIDE, LEAST_SIDE)).max())


def _places(boxes: Array | None, size: tuple[int, ...], scale: float) -> Iterator[tuple[slice, slice]]:
    """The boxes that can be looked for, as slices of the picture at ``HEIGHT``."""
    for left, top, right, bottom in () if boxes is None else np.asarray(boxes, float):
        inside = left >= 0 and top >= 0 and right <= size[1] - 1 and bottom <= size[0] - 1
        if inside and min(right - left, bottom - top) * scale >= LEAST_SIDE:
            yield (
                slice(round(top * scale), round(bottom * scale) + 1),
                slice(round(left * scale), round(right * scale) + 1),
            )


def exceeded(figures: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """Names of the figures that are beyond their limits."""
    return [n for n, limit in limits.items() if (figures[n] < limit if n in HIGHER else figures[n] > limit)]
