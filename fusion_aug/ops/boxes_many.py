"""Points in boxes, of many items at once and without a size that depends on values."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.ties import TIE

AT_ONCE = 32  # boxes of an item that are looked at together, which bounds the memory


def in_some_box(xyz: Tensor, poses: Tensor, sizes: Tensor, chosen: Tensor) -> Tensor:
    """Which points lie in some chosen box of their item, faces included within a micrometre, decided in float64.

    The same points as ``ops.points.points_in_boxes`` finds, on any device.

    Args:
        xyz: (n, W, 3) float64 points of each item in some frame; NaN points lie in no box.
        poses: (n, M, 4, 4) float64 ``T_frame_box``. sizes: (n, M, 3) along the boxes' own axes, metres.
        chosen: (n, M) bool, which boxes count.

    Returns:
        (n, W) bool.
    """
    inside = torch.zeros(xyz.shape[:2], dtype=torch.bool, device=xyz.device)
    for T, size, counts in zip(*(x.split(AT_ONCE, 1) for x in (poses, sizes, chosen)), strict=True):
        axes = T[..., :3, :3].transpose(1, 2).flatten(2)  # (n, 3, M 3), the axes of all boxes side by side
        centres = (T[..., :3, 3, None] * T[..., :3, :3]).sum(2).flatten(1)[:, None]
        local = torch.baddbmm(-centres, xyz, axes)
        within = (local.abs() <= (size / 2 + TIE).flatten(1)[:, None]).unflatten(2, (-1, 3)).all(3)
        inside |= (within & counts[:, None]).any(2)
    return inside
