"""Steps of distance that nothing proves fade: neither points near them nor an edge of the picture.

Far from all points a map of distances is guessed, and where two guesses meet, on a plain wall, a hard edge would show
that nobody can see. Around it, as far as the picture is plain, distances go over from one side to the other.
"""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray

UNKNOWN = 1e-3  # confidence below which distances are guessed; with 0.1 steps between known surfaces fade too
STEP = 0.15  # of the logarithm of distance between neighbouring cells
EDGE = 16 / 255  # of levels between neighbouring cells that is an edge
REACH = 8  # cells to either side over which a step fades


def faded(far: Array, sure: Array, guide: Array, sky: Array, cell: int) -> Array:
    """A map of distances without such steps.

    Args:
        far: (H, W) float32, logarithm of distance.
        sure: (rows, columns) confidence of the cells of the grid. guide: (rows, columns, 3) the picture there, 0 to 1.
        sky: (H, W) bool, whose outline stays. cell: pixels across a cell.
    """
    sides = zip(sure.shape, far.shape, strict=True)
    rows, columns = (np.minimum(np.arange(n) * cell + cell // 2, s - 1) for n, s in sides)
    coarse, above = far[np.ix_(rows, columns)], sky[np.ix_(rows, columns)].astype(np.uint8)
    plain = _spread(cv2.cvtColor(guide, cv2.COLOR_RGB2GRAY)) < EDGE
    free = (plain & (sure < UNKNOWN) & (_grown(above) == 0)).astype(np.uint8)
    region = (_spread(coarse) > STEP).astype(np.uint8) & free
    if not region.any():
        return far
    for _ in range(REACH):
        region = _grown(region) & free
    share = region.astype(np.float32)
    total, weight = coarse * share, share
    for _ in range(2):
        total, weight = (cv2.blur(x, (2 * REACH + 1, 2 * REACH + 1)) for x in (total, weight))
    smooth = np.where(region > 0, total / np.maximum(weight, 1e-6), coarse)
    soft, by = (_on_canvas(x, far.shape, cell) for x in (smooth, cv2.blur(share, (3, 3)) * share))
    return far + (soft - far) * by


def _spread(x: Array) -> Array:
    """The range of values (rows, columns) around each cell."""
    around = np.ones((3, 3), np.uint8)
    spread: Array = cv2.dilate(x, around) - cv2.erode(x, around)
    return spread


def _grown(mask: Array) -> Array:
    return cv2.dilate(mask, np.ones((3, 3), np.uint8))


def _on_canvas(grid: Array, size: tuple[int, ...], cell: int) -> Array:
    large = cv2.resize(grid, (grid.shape[1] * cell, grid.shape[0] * cell))
    return large[: size[0], : size[1]]
