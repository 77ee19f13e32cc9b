"""Pixel coordinates of whole canvases, and where an image map takes them from."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.ops.image_map import ImageMap


def pixel_grid(size: tuple[int, int]) -> Tensor:
    """(h, w, 2) float64 pixel coordinates (u, v) of a canvas."""
    v, u = torch.meshgrid(*(torch.arange(s, dtype=torch.float64) for s in size), indexing="ij")
    return torch.stack([u, v], -1)


def smooth_grid(image_map: ImageMap, step: int = 8, tolerance: float = 2e-3) -> Tensor:
    """Source pixels (h, w, 2) of a whole canvas, NaN where from nowhere.

    The map of a lens is smooth: it is evaluated at every eighth pixel and interpolated by cubics (Catmull and Rom
    1974). Where a node has no source, or where a sample of pixels is off by more than ``tolerance`` pixels, every pixel
    is evaluated.
    """
    height, width = image_map.size
    if image_map.matrix() is not None or height * width < 256**2 or image_map.has_gradient():  # small: exactly
        return image_map.backward(pixel_grid(image_map.size))
    rows, columns = -(-height // step) + 3, -(-width // step) + 3
    nodes = image_map.backward((pixel_grid((rows, columns)) - 1) * step)
    known = torch.isfinite(nodes).all(-1)
    weights = [_cubic_weights(n, step, k) for n, k in ((height, rows), (width, columns))]
    filled = torch.where(known[..., None], nodes, torch.zeros_like(nodes))
    grid = torch.einsum("hr,rcx,wc->hwx", weights[0], filled, weights[1])
    # a pixel is trusted where all sixteen nodes around it are known
    missing = F.max_pool2d((~known)[None, None].double(), 4, 1)[0, 0]
    cell = missing.repeat_interleave(step, 0).repeat_interleave(step, 1)[:height, :width] > 0
    probe = pixel_grid(image_map.size)[step // 2 :: 3 * step, step // 2 :: 3 * step]
    there = grid[step // 2 :: 3 * step, step // 2 :: 3 * step]
    trusted = ~cell[step // 2 :: 3 * step, step // 2 :: 3 * step]
    off = (image_map.backward(probe) - there).norm(dim=-1)[trusted]
    if off.numel() and not bool((off <= tolerance).all()):
        return image_map.backward(pixel_grid(image_map.size))
    if bool(cell.any()):
        grid[cell] = image_map.backward(pixel_grid(image_map.size)[cell])
    return grid


def _cubic_weights(size: int, step: int, nodes: int) -> Tensor:
    """(size, nodes) weights of the nodes at -step, 0, step, ... for every pixel of an axis."""
    at = torch.arange(size, dtype=torch.float64)
    cell = torch.floor(at / step).long()
    t = at / step - cell
    taps = torch.stack([
        -0.5 * t + t**2 - 0.5 * t**3, 1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3, -0.5 * t**2 + 0.5 * t**3,
    ], 1)  # fmt: skip
    out = torch.zeros(size, nodes, dtype=torch.float64)
    return out.scatter_(1, cell[:, None] + torch.arange(4), taps)
