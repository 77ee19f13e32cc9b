"""Resampling of many pictures of one size at once, each through a homography of its own, on any device.

What ``ops/warp`` does with a picture at a time, with a number of operators that hangs on neither the number of pictures
nor their maps: all are halved as often as any asks for, and each is sampled from the size that it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib.ties import TIE, nearest_whole
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.map_extent import shrinking, stays_inside
from fusion_aug.ops.warp import HALVE_BELOW, SHARP_ABOVE, SIGNED, sinc_taps

HALF = (0.125, 0.375, 0.375, 0.125)  # a binomial filter, and then the mean of two
PLAIN = (0.0, 0.0, 1.0, 0.0, 0.0)  # five taps that change nothing
HOST = "_"  # names of numbers that stay on the host begin with it


def open_levels(pictures: Tensor, numbers: Mapping[str, Any]) -> Tensor:
    """Pictures (N, H, W, C) of levels as float32 (N, C, H, W), not scaled."""
    return pictures.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)


def close_levels(levels: Tensor, numbers: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    """Levels (N, C, H, W) float32 inside their range, whole where the type is, as pictures (N, H, W, C) of it."""
    return levels.permute(0, 2, 3, 1).to(dtype, memory_format=torch.contiguous_format)


def numbers_of_map(image_map: ImageMap, shape: tuple[int, ...], *, low_pass: bool) -> dict[str, Any]:
    """What ``warp_levels`` and ``pick_pixels`` need of the map of a picture (H, W, ...).

    Args:
        image_map: one homography. shape: of the picture. low_pass: whether it is filtered where it shrinks.

    Returns:
        numbers by name, JSON-like: see there.
    """
    height, width = shape[:2]
    scale = shrinking(image_map) if low_pass and min(height, width) >= 4 else (1.0, 1.0)
    halvings, taps, back = [], [], np.eye(3)
    for axis, (s, length) in enumerate(zip(scale, (width, height), strict=True)):
        shrinks, k = s < SHARP_ABOVE - TIE, 0
        while s < HALVE_BELOW - TIE and length >= 4:
            s, length, k = s * 2, -(-length // 2), k + 1
        halvings.append(k)
        taps.append(sinc_taps(s) if shrinks else PLAIN)
        back[axis, axis], back[axis, 2] = 1 / 2**k, (1 / 2**k - 1) / 2  # pixel u of a halved one covers 2u and 2u + 1
    P = image_map.matrix()
    assert P is not None
    inverse = np.linalg.inv(P.detach().numpy())
    inverse = back @ inverse / inverse[2, 2]
    size = [-(-n // 2**k) - 1 for n, k in zip((width, height), halvings, strict=True)]  # last pixel along u and v
    inside = stays_inside(image_map, torch.Size(shape))
    return {
        "inverse": inverse,
        "reach": np.array([n if inside else n + 2 for n in size], np.float64),
        "least": np.float64(0 if inside else -2),
        "taps": np.array(taps, np.float32),
        "half": np.array(HALF, np.float32),
        "halvings": np.array(halvings, np.int64),
        HOST + "halvings": tuple(halvings),
        HOST + "sharp": taps != [PLAIN, PLAIN],
        HOST + "upright": not (inverse[0, 1] or inverse[1, 0] or inverse[2, 0] or inverse[2, 1]),
    }


def warp_levels(
    pictures: Tensor, numbers: Mapping[str, Any], size: tuple[int, int], fill: float, white: float | None, whole: bool,
    stored: bool,
) -> Tensor:  # fmt: skip
    """Pictures through their maps, low-passed where they shrink.

    Args:
        pictures: levels (N, C, H, W) float32 from 0 to ``white``, or pictures as they are ``stored``, (N, H, W, C).
        numbers: ``numbers_of_map``, stacked. size: (height, width) of the canvas.
        fill: where the canvas has no source pixel. white: of levels that have a range, which they are held in.
        whole: whether they are rounded to whole levels, as the CPU rounds those of integers.

    Returns:
        levels (N, C, h, w) float32.
    """
    levels = pictures.permute(0, 3, 1, 2) if stored else pictures
    out: Tensor | None = None
    for kind in sorted(set(numbers[HOST + "halvings"])):
        small = levels
        for k in range(max(kind)):
            small = _held(_halve(small, kind[0] > k, kind[1] > k, numbers["half"]), None, whole)
        if any(numbers[HOST + "sharp"]):
            small = _held(_filtered(small, numbers["taps"]), white, whole)
        small = small.to(torch.float32) - fill if fill else small.to(torch.float32)
        grid = _grid(numbers, size, small.shape[-2:])
        sampled = F.grid_sample(small, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
        sampled = sampled + fill if fill else sampled
        if out is None:
            out = sampled
            continue
        halvings = numbers["halvings"]
        mine = (halvings[:, 0] == kind[0]) & (halvings[:, 1] == kind[1])
        out = torch.where(mine[:, None, None, None], sampled, out)
    assert out is not None
    return out.round() if whole else out


def _held(levels: Tensor, white: float | None, whole: bool) -> Tensor:
    """Levels rounded, where they are whole, and in their range."""
    levels = levels.round_() if whole else levels
    return levels if white is None else levels.clamp_(0, white)


def pick_pixels(pictures: Tensor, numbers: Mapping[str, Any], size: tuple[int, int], fill: float) -> Tensor:
    """Pictures (N, H, W, ...) of labels, ids or depth through their maps: the nearest pixel, ``fill`` beyond them."""
    if pictures.dtype in SIGNED:
        kind = SIGNED[pictures.dtype]
        number = int(torch.tensor(fill, dtype=pictures.dtype).view(kind))
        return pick_pixels(pictures.view(kind), numbers, size, number).view(pictures.dtype)
    count, height, width = pictures.shape[:3]
    inverse = numbers["inverse"]
    u, v = _axes(inverse, size) if all(numbers[HOST + "upright"]) else _each(inverse, size)
    u, v = (nearest_whole(x) for x in (u, v))
    inside = ((u >= 0) & (u < width)) & ((v >= 0) & (v < height))
    first = torch.arange(count, device=pictures.device).reshape(-1, 1, 1) * (height * width)
    index = first + (v.clamp(0, height - 1).to(torch.int64) * width + u.clamp(0, width - 1).to(torch.int64))
    flat = pictures.reshape(count * height * width, *pictures.shape[3:])
    out = flat.index_select(0, index.reshape(-1)).reshape(*index.shape, *pictures.shape[3:])
    return out.masked_fill(~inside.reshape(*inside.shape, *[1] * (out.ndim - 3)), fill)


def _grid(numbers: Mapping[str, Any], size: tuple[int, int], picture: torch.Size) -> Tensor:
    """(N, h, w, 2) float32, where in its picture every pixel of the canvas comes from, from -1 to 1 across it."""
    inverse = numbers["inverse"]
    pair = _axes(inverse, size) if all(numbers[HOST + "upright"]) else _each(inverse, size)
    least, scaled = numbers["least"].reshape(-1, 1, 1), []
    for k, x in enumerate(pair):
        held = torch.minimum(torch.maximum(x, least), numbers["reach"][:, k].reshape(-1, 1, 1))
        scaled.append((held * (2 / max(int(picture[1 - k]) - 1, 1)) - 1).to(torch.float32))
    return torch.stack(torch.broadcast_tensors(*scaled), -1)


def _axes(inverse: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Sources u (N, 1, w) and v (N, h, 1), float64, of maps that keep rows and columns."""
    x, y = (torch.arange(n, dtype=torch.float64, device=inverse.device) for n in (size[1], size[0]))
    u = inverse[:, 0, 0, None] * x + inverse[:, 0, 2, None]
    v = inverse[:, 1, 1, None] * y + inverse[:, 1, 2, None]
    return u[:, None, :], v[:, :, None]


def _each(inverse: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Sources u and v (N, h, w), float64, of any homographies."""
    x = torch.arange(size[1], dtype=torch.float64, device=inverse.device)
    y = torch.arange(size[0], dtype=torch.float64, device=inverse.device)[:, None]
    rows = [[inverse[:, i, j, None, None] for j in range(3)] for i in range(3)]
    u, v, w = (a * x + (b * y + c) for a, b, c in rows)
    return u / w, v / w


def _padded(levels: Tensor, across: tuple[int, int], along: tuple[int, int]) -> Tensor:
    """Levels (N, C, H, W) of any type as float32 with their edges repeated.

    Args:
        across, along: how many pixels before and after the first and the last row, and column.
    """
    (top, below), (left, right), (height, width) = across, along, levels.shape[-2:]
    out = torch.empty(
        *levels.shape[:2], height + top + below, width + left + right, dtype=torch.float32, device=levels.device
    )
    inside = out[..., top : top + height, :]
    inside[..., left : left + width] = levels
    if left:
        inside[..., :left] = levels[..., :1]
    if right:
        inside[..., left + width :] = levels[..., -1:]
    if top:
        out[..., :top, :] = out[..., top : top + 1, :]
    if below:
        out[..., top + height :, :] = out[..., top + height - 1 : top + height, :]
    return out


def _convolved(padded: Tensor, weights: Tensor, stride: tuple[int, int] = (1, 1)) -> Tensor:
    """Pictures (N, C, H, W) with a filter (N, h, w) of its own each, without the rim that it does not reach."""
    count, channels = padded.shape[:2]
    each = weights.repeat_interleave(channels, 0)[:, None]
    x = padded.reshape(1, count * channels, *padded.shape[2:])
    out = F.conv2d(x, each, stride=stride, groups=count * channels)
    return out.reshape(count, channels, *out.shape[2:])


def _halve(levels: Tensor, along_u: bool, along_v: bool, half: Tensor) -> Tensor:
    """Every second pixel along the chosen axes, after a binomial filter and a mean of two (N, 4); edges repeated."""
    on = (along_v, along_u)
    pads = [(1, 1 + n % 2) if o else (0, 0) for o, n in zip(on, levels.shape[-2:], strict=True)]
    rows, columns = half[:, :, None] if along_v else half[:, :1, None] * 0 + 1, half[:, None]
    weights = rows * columns if along_u else rows
    return _convolved(_padded(levels, pads[0], pads[1]), weights, (1 + along_v, 1 + along_u))


def _filtered(levels: Tensor, taps: Tensor) -> Tensor:
    """Five taps of its own along u and v of every picture, edges repeated. ``taps`` (N, 2, 5)."""
    return _convolved(_padded(levels, (2, 2), (2, 2)), taps[:, 1, :, None] * taps[:, 0, None])


__all__ = ["close_levels", "numbers_of_map", "open_levels", "pick_pixels", "warp_levels"]
