"""What a moved camera sees and the old picture hides: stretched from the farther side of the gap."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

Array = np.ndarray

RIM = 1 / 800  # of the canvas's width, beside a step of distance on its far side, whose colour may be the near side's
BEND = 0.1  # share of inverse depth by which it bends where it steps; along any plane it does not bend
NEARER = 1.15  # by how much what lies beside a step is nearer
AS_FAR = 1.3  # factor on distance within which both ends of a gap are one side
LEAST_ISLAND = 8  # pixels
ROOM, SIDES = 8, 4  # an end that is this many pixels, or times, farther off than the next one is none


def rim_width(width: int) -> int:
    """Pixels of a rim on a canvas of a width."""
    return max(1, round(RIM * width))


def far_rims(distance: Tensor) -> Array:
    """Where a range picture (H, W), metres, shows the far side of a step so close that colours are mixed; bool.

    A lens blurs, and an outline from a LiDAR may be a pixel off: there a thing would leave a copy of its own rim.
    """
    near = 1 / np.maximum(distance.numpy(), 1e-3).astype(np.float32)
    bend = np.zeros_like(near)
    bend[1:-1] = np.abs(near[:-2] - 2 * near[1:-1] + near[2:])
    across = np.abs(near[:, :-2] - 2 * near[:, 1:-1] + near[:, 2:])
    bend[:, 1:-1] = np.maximum(bend[:, 1:-1], across)
    step = (bend > BEND * cv2.dilate(near, np.ones((3, 3), np.uint8))).astype(np.uint8)
    around = np.ones((2 * rim_width(distance.shape[1]) + 1,) * 2, np.uint8)
    rims: Array = (cv2.dilate(step, around) > 0) & (cv2.dilate(near, around) > NEARER * near)
    return rims


def islands(known: Array) -> Array:
    """Known pixels (H, W), bool, of which only a few lie together: most are scraps of something else."""
    _, label, stats, _ = cv2.connectedComponentsWithStats(known.astype(np.uint8), connectivity=8)
    few = stats[:, cv2.CC_STAT_AREA] < LEAST_ISLAND
    few[0] = False
    return few[label]


def far_ends(known: Array, distance: Array) -> tuple[Array, Array]:
    """The known pixel that each unknown one is stretched from: to the left, right, above or below, on the far side.

    Args:
        known: (H, W) bool. distance: (H, W) metres, of the known ones.

    Returns:
        rows and columns (n, 2) of the unknown pixels, and of the known ones; -1 where there is none.
    """
    height, width = known.shape
    v, u = np.nonzero(~known)
    column, row = np.arange(width, dtype=np.int32)[None], np.arange(height, dtype=np.int32)[:, None]
    ends = [
        (v, np.maximum.accumulate(np.where(known, column, -1), 1)[v, u]),
        (v, np.minimum.accumulate(np.where(known, column, width)[:, ::-1], 1)[:, ::-1][v, u]),
        (np.maximum.accumulate(np.where(known, row, -1), 0)[v, u], u),
        (np.minimum.accumulate(np.where(known, row, height)[::-1], 0)[::-1][v, u], u),
    ]
    at = np.stack([np.stack(np.broadcast_arrays(*end), -1) for end in ends])  # (4, n, 2)
    there: Array = np.all((at >= 0) & (at < (height, width)), -1)
    gap = np.where(there, np.abs(at - np.stack([v, u], -1)).sum(-1), height + width)  # (4, n)
    far = np.where(there, distance[tuple(np.moveaxis(np.where(there[..., None], at, 0), -1, 0))], 0.0)
    use = there & (gap <= SIDES * gap.min(0) + ROOM)
    use &= far * AS_FAR >= np.where(use, far, 0.0).max(0)
    best = np.where(use, gap, height + width + 1).argmin(0)[None, :, None]
    chosen = np.take_along_axis(np.where(use[..., None], at, -1), best, 0)[0]
    return np.stack([v, u], -1), chosen
