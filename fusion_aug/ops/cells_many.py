"""Maps of many canvases in cells, on any device: OpenCV's means, medians, blurs and enlargements of one at a time.

Maps are (N, C, H, W) float32. Means and products are those of ``ops/layers`` and of OpenCV up to the last bits.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

Grid = tuple[int, int]


def cells_of(maps: Tensor, grid: Grid) -> Tensor:
    """Means (N, C, h, w) of the cells of a grid, as ``layers.to_cells``; the maps where every pixel is a cell."""
    height, width = maps.shape[-2:]
    if (height, width) == grid:
        return maps
    if height % grid[0] == 0 and width % grid[1] == 0:
        return F.avg_pool2d(maps, (height // grid[0], width // grid[1]))
    rows, columns = (_shares(n, cells, maps) for n, cells in zip((height, width), grid, strict=True))
    return torch.matmul(torch.matmul(rows, maps), columns.T)


def _shares(pixels: int, cells: int, like: Tensor) -> Tensor:
    """How much of each cell (cells, pixels) every pixel fills."""
    wide = pixels / cells
    start = torch.arange(cells, dtype=torch.float64, device=like.device)[:, None] * wide
    pixel = torch.arange(pixels, dtype=torch.float64, device=like.device)
    common = torch.minimum(start + wide, pixel + 1) - torch.maximum(start, pixel)
    return (common.clamp(min=0) / wide).to(like.dtype)


def levels_in_cells(levels: Tensor, grid: Grid) -> Tensor:
    """Whole levels of means of whole levels, rounded as OpenCV rounds them: a half of four pixels goes up."""
    if tuple(levels.shape[-2:]) == grid:
        return levels
    means, by_four = cells_of(levels, grid), levels.shape[-2] == 2 * grid[0] and levels.shape[-1] == 2 * grid[1]
    return means.add_(0.5).floor_() if by_four else means.round_()


def enlarged(cells: Tensor, size: Grid) -> Tensor:
    """Maps of cells on canvases of ``size``, as ``layers.to_canvas``; themselves where they are as fine."""
    return cells if tuple(cells.shape[-2:]) == size else F.interpolate(cells, size, mode="bilinear")


def medians(maps: Tensor, size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Medians of windows of an odd size, edges repeated: ``cv2.medianBlur``; in the type that is asked for."""
    padded = F.pad(maps, (size // 2,) * 4, mode="replicate")
    windows = padded.unfold(-2, size, 1).unfold(-2, size, 1)
    windows = windows.contiguous() if dtype == maps.dtype else windows.to(dtype, memory_format=torch.contiguous_format)
    return windows.flatten(-2).median(-1).values


def blurred(maps: Tensor, size: int) -> Tensor:
    """Means of windows of an odd size, mirrored at the edges: ``cv2.blur``. More than half as many cells are needed."""
    return F.avg_pool2d(F.pad(maps, (size // 2,) * 4, mode="reflect"), size, 1)


def without_gaps(value: Tensor, known: Tensor) -> Tensor:
    """Values where ``known`` is False filled in from the nearest coarser level: ``physics.spread.fill_gaps``.

    Args:
        value: (N, 1, H, W), 0 where nothing is known. known: the same shape, bool.
    """
    return _whole(torch.cat([value, known], 1))


def _whole(both: Tensor) -> Tensor:
    """The same of values and 1 where they are known (N, 2, H, W), 0 and 0 elsewhere."""
    height, width = both.shape[-2:]
    if min(height, width) <= 2:
        total = both.sum((2, 3), keepdim=True)
        around = total[:, :1] / total[:, 1:].clamp(min=1e-9)
    else:
        coarse = cells_of(both, (-(-height // 2), -(-width // 2)))
        coarse = coarse.div_(coarse[:, 1:].clamp(min=1e-9))  # means of what is known, and again 1 or 0
        around = enlarged(_whole(coarse), (height, width))
    return torch.lerp(around, *both.split(1, 1))  # exactly the one or the other


__all__ = ["blurred", "cells_of", "enlarged", "levels_in_cells", "medians", "without_gaps"]
