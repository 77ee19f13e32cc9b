"""Filters of many pictures at once, each by a kernel of its own, on any device. Edges are repeated.

A picture whose kernel is smaller than the largest has it in the middle of zeros, so that the number of operators hangs
neither on the number of pictures nor on their kernels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def in_the_middle(kernel: np.ndarray, half: int) -> np.ndarray:
    """A kernel of an odd size as float32 (2 half + 1, ...) along every axis, with zeros about it."""
    return np.pad(kernel, [(half - n // 2,) * 2 for n in kernel.shape]).astype(np.float32)


def filtered(levels: Tensor, kernels: Tensor, *, reflect: bool = False) -> Tensor:
    """Pictures (N, C, H, W), each correlated with a kernel (N, h, w) of odd sizes.

    Args:
        levels: float32. kernels: one for each picture. reflect: whether the picture goes on mirrored at the middle of
            its first and last pixels, instead of with its edge.
    """
    count, channels = levels.shape[:2]
    r, s = kernels.shape[1] // 2, kernels.shape[2] // 2
    padded = _mirrored(_mirrored(levels, 2, r), 3, s) if reflect else F.pad(levels, (s, s, r, r), mode="replicate")
    each = kernels.repeat_interleave(channels, 0)[:, None]
    out = F.conv2d(padded.reshape(1, count * channels, *padded.shape[2:]), each, groups=count * channels)
    return out.reshape(levels.shape)


def _mirrored(levels: Tensor, axis: int, beyond: int) -> Tensor:
    """Levels that go on ``beyond`` pixels at either end of an axis, to and fro where these are more than it has."""
    length = levels.shape[axis]
    place = torch.arange(-beyond, length + beyond, device=levels.device).remainder(max(2 * (length - 1), 1))
    return levels.index_select(axis, torch.minimum(place, 2 * (length - 1) - place))


def filtered_both_ways(levels: Tensor, taps: Tensor, *, reflect: bool = False) -> Tensor:
    """Pictures (N, C, H, W) filtered by taps (N, k) of their own along columns and rows; see ``filtered``."""
    return filtered(filtered(levels, taps[:, :, None], reflect=reflect), taps[:, None], reflect=reflect)


def channels_moved(levels: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Channels (N, C, H, W), each sampled at ``scale`` times its pixels plus ``shift``; linear, edges repeated.

    Args:
        levels: float32. scale: (N, C) float64. shift: (N, C, 2) float64, along u and v.
    """
    count, channels, height, width = levels.shape
    along = []
    for k, length in enumerate((width, height)):
        pixels = torch.arange(length, dtype=torch.float64, device=levels.device)
        source = (scale[..., None] * pixels + shift[..., k, None]).reshape(count * channels, length)
        along.append((source * (2 / max(length - 1, 1)) - 1).to(torch.float32))
    grid = torch.stack(torch.broadcast_tensors(along[0][:, None, :], along[1][:, :, None]), -1)
    flat = levels.reshape(count * channels, 1, height, width)
    out = F.grid_sample(flat, grid, mode="bilinear", padding_mode="border", align_corners=True)
    return out.reshape(levels.shape)
