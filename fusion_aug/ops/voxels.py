"""Grids of cells in space under motions that keep them upright: yaw, mirrors of x or y, shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from calib.ties import cell_of, nearest_whole

UPRIGHT = 1e-9  # of the entries of a rotation: what is off by less is a rounding


def what_no_grid_holds(motion: Tensor) -> str:
    """What of a motion of space no upright grid of cells of fixed size can hold.

    Args:
        motion: (4, 4) similarity.

    Returns:
        "scale", "roll or pitch", or an empty text where the grid can follow.
    """
    A = motion[:3, :3].detach().to("cpu", torch.float64)
    eye = torch.eye(3, dtype=torch.float64)
    if float((A.T @ A - eye).abs().max()) > UPRIGHT:
        return "scale"
    aside = torch.cat([A[2, :2], A[:2, 2], (A[2, 2] - 1).reshape(1)])
    return "roll or pitch" if float(aside.abs().max()) > UPRIGHT else ""


@dataclass(frozen=True, eq=False)
class CellMap:
    """Where the cells of a moved grid come from.

    Attributes:
        column: (X, Y) int64, ``x * Y + y`` of the old column, -1 where it lies outside of the grid.
        layer: (Z,) int64, the old layer, -1 outside.
        residual: metres from a cell's centre, where it was, to the centre of the cell whose value it takes, at most.
    """

    column: Tensor
    layer: Tensor
    residual: float

    def applied(self, grid: Tensor, outside: int) -> Tensor:
        """The moved grid (X, Y, Z), ``outside`` in cells that come from outside of it."""
        flat = grid.reshape(-1, grid.shape[2])
        column, layer = self.column.reshape(-1).to(grid.device), self.layer.to(grid.device)
        moved = flat[column.clamp(min=0)][:, layer.clamp(min=0)]
        moved[column < 0] = outside
        moved[:, layer < 0] = outside
        return moved.reshape(grid.shape)


def cell_map(shape: Sequence[int], low: Sequence[float], cell: Sequence[float], motion: Tensor) -> CellMap:
    """The nearest old cell of every cell of a grid, after what lies in it was moved.

    Args:
        shape: cells along x, y, z. low: (3,) corner of the grid, metres. cell: (3,) sides of a cell, metres.
        motion: (4, 4) upright motion of what lies in the grid, x' = motion x.
    """
    back = torch.linalg.inv(motion.detach().to("cpu", torch.float64))
    corner, side = (torch.tensor(tuple(v), dtype=torch.float64) for v in (low, cell))
    x, y, z = (corner[i] + (torch.arange(shape[i], dtype=torch.float64) + 0.5) * side[i] for i in range(3))
    centres = torch.stack(
        [*torch.meshgrid(x, y, indexing="ij"), torch.zeros((len(x), len(y)), dtype=torch.float64)], -1
    )
    at = (centres @ back[:3, :3].T + back[:3, 3])[..., :2]
    u = (at - corner[:2]) / side[:2] - 0.5
    w = (z + back[2, 3] - corner[2]) / side[2] - 0.5
    k, n = nearest_whole(u), nearest_whole(w)
    inside = ((k >= 0) & (k < torch.tensor(shape[:2]))).all(-1)
    between = (n >= 0) & (n < shape[2])
    column = torch.where(inside, k[..., 0] * shape[1] + k[..., 1], -1.0).to(torch.int64)
    layer = torch.where(between, n, -1.0).to(torch.int64)
    off = ((u - k) * side[:2])[inside].norm(dim=-1), ((w - n) * side[2])[between].abs()
    aside, above = (float(o.max()) if len(o) else 0.0 for o in off)
    return CellMap(column, layer, (aside**2 + above**2) ** 0.5)


def first_in_cells(places: Tensor, items: Tensor, drawn: Tensor, there: Tensor) -> Tensor:
    """Which row of every cell comes first, on any device and without a size that depends on values.

    Args:
        places: (n, 3) float64 in cells. items: (n,) int, rows of different ones share no cell.
        drawn: (n,) int64, the order of the rows, the least first. there: (n,) bool, which rows take part.

    Returns:
        (n,) bool, False where a row does not take part.
    """
    keys = torch.cat([cell_of(places).T, items.to(torch.float64)[None]])
    keys = torch.where(there, keys, -1.0)  # rows that take no part share a cell, of an item that there is not
    order = torch.argsort(drawn, stable=True)
    for key in keys:  # as a stack of cards: the last sort tells most
        order = order.index_select(0, torch.argsort(key.index_select(0, order), stable=True))
    sorted_keys = keys.index_select(1, order)
    begins = torch.ones_like(there)
    begins[1:] = (sorted_keys[:, 1:] != sorted_keys[:, :-1]).any(0)
    return torch.zeros_like(there).scatter(0, order, begins) & there
