"""Filters and samples of many pictures in the form that a compiler fuses; ``ops/warp_many`` has that of eager kernels.

A convolution and ``grid_sample`` are kernels of their own even in compiled code, so these are sums over
the pixels of a window. What is filtered is written down once, as bytes where it is whole: without that every sampled
pixel would be filtered anew.
"""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[int, int]


def summed(levels: Tensor, weights: Tensor, pads: tuple[Pair, Pair], stride: Pair) -> Tensor:
    """Pictures with a filter of its own each, edges repeated.

    Args:
        levels: (N, C, H, W) of any type. weights: (N, h, w) float32.
        pads: pixels before and after the rows, and the columns. stride: of the result, by row and column.

    Returns:
        (N, C, H', W') float32.
    """
    places = []
    for n, pad, taps, step in zip(levels.shape[-2:], pads, weights.shape[-2:], stride, strict=True):
        first = torch.arange((n + sum(pad) - taps) // step + 1, device=levels.device) * step - pad[0]
        places.append([(first + k).clamp(0, n - 1) for k in range(taps)])
    pictures = levels.permute(0, 2, 3, 1)  # as they are stored, so that all terms go through memory in one order
    shares = weights.reshape(len(weights), -1, 1, 1, 1).unbind(1)
    windows = [(rows[:, None], columns) for rows in places[0] for columns in places[1]]
    terms = (pictures[:, r, c].to(torch.float32) * share for (r, c), share in zip(windows, shares, strict=True))
    out: Tensor = sum(terms, start=torch.zeros((), device=levels.device))
    return out.permute(0, 3, 1, 2)


def written(levels: Tensor, white: float | None, whole: bool) -> Tensor:
    """Filtered levels as a buffer of compiled code, of bytes where they are whole and fit."""
    levels = levels.to(torch.uint8) if whole and white is not None and white <= 255 else levels
    return levels.as_strided(levels.size(), levels.stride())  # which a compiler cannot look through


def sampled(levels: Tensor, u: Tensor, v: Tensor, fill: float) -> Tensor:
    """Bilinear samples; beyond a picture lies ``fill``. As ``grid_sample`` with aligned corners.

    Args:
        levels: (N, C, H, W) of any type. u, v: from -1 to 1 across the picture, together (N, h, w).

    Returns:
        (N, C, h, w) float32.
    """
    count, _, height, width = levels.shape
    first = torch.arange(count, device=levels.device)[:, None, None]
    pictures = levels.permute(0, 2, 3, 1)
    terms = (
        (pictures[first, rows, columns].to(torch.float32) - fill) * (across * along)[..., None]
        for columns, across in _sides((u + 1) * ((width - 1) / 2), width)
        for rows, along in _sides((v + 1) * ((height - 1) / 2), height)
    )
    out: Tensor = sum(terms, start=torch.zeros((), device=levels.device))
    return (out + fill).permute(0, 3, 1, 2)


def _sides(place: Tensor, count: int) -> list[tuple[Tensor, Tensor]]:
    """The pixels on both sides of places along an axis of ``count`` pixels, and their shares, 0 beyond the axis."""
    low, out = place.floor(), []
    for at in (low, low + 1):
        share = (1 - (place - at).abs()) * ((at >= 0) & (at < count))
        out.append((at.clamp(0, count - 1).long(), share))
    return out
