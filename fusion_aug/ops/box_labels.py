"""The box that each point lies in, of all items at once and without a size that depends on values.

Compiled it is one kernel, which reads points and boxes once. Eager kernels hold a number for every point and every box
of its item; where that is too much, ``ops.boxes_many`` takes boxes some at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from calib.ties import TIE


def box_of_points(xyz: Tensor, row_item: Tensor, poses: Tensor, sizes: Tensor, there: Tensor) -> Tensor:
    """The first box of its item that each point lies in, faces included within a micrometre, decided in float64.

    The same points as ``ops.points.points_in_boxes`` finds, on any device.

    Args:
        xyz: (N, 3) packed points; NaN points lie in no box. row_item: (N,) the item of each, an integer.
        poses: (n, M, 4, 4) float64 ``T_frame_box`` of the items' boxes. sizes: (n, M, 3) along the boxes' own axes, m.
        there: (n, M) bool, which boxes count; the others fill up the table.

    Returns:
        (N,) int64, the number of the box in its item; -1 of a point in none.
    """
    if poses.shape[1] == 0:
        return torch.full_like(row_item, -1, dtype=torch.int64)
    half = torch.where(there[..., None], sizes.to(torch.float64) / 2 + TIE, -1.0)  # nothing lies in a box without size
    inside, none = _inside(xyz, row_item, poses, half), poses.shape[1]
    found = torch.where(inside, torch.arange(none, device=xyz.device), none).amin(1)
    return torch.where(found < none, found, -1)


def _inside(xyz: Tensor, row_item: Tensor, poses: Tensor, half: Tensor) -> Tensor:
    """(N, M) bool, whether points lie in boxes of their items, of half sizes (n, M, 3)."""
    rows = row_item.long()
    T, reach = poses[rows], half[rows]
    x, y, z = (xyz[:, None, k].to(torch.float64) - T[..., k, 3] for k in range(3))
    along = (x * T[..., 0, k] + y * T[..., 1, k] + z * T[..., 2, k] for k in range(3))
    a, b, c = (local.abs() <= reach[..., k] for k, local in enumerate(along))
    return a & b & c
