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

from calib.ties import TIE
from fusion_aug.ops import warp_fused
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.map_extent import shrinking, stays_inside
from fusion_aug.ops.warp import HALVE_BELOW, SHARP_ABOVE, SIGNED, sinc_taps
from fusion_aug.ops.warp_fused import Pair

RIM = 2.0  # pixels outside of a picture that are told apart; further out nothing is sampled
HALF = (0.125, 0.375, 0.375, 0.125)  # a binomial filter, and then the mean of two
PLAIN = (0.0, 0.0, 1.0, 0.0, 0.0)  # five taps that change nothing
HOST = "_"  # names of numbers that stay on the host, as the set of those of all pictures, begin with it


def open_levels(pictures: Tensor, numbers: Mapping[str, Any]) -> Tensor:
    """Pictures (N, H, W, C) or (N, H, W) of levels as float32 (N, C, H, W), not scaled."""
    return _channels_first(pictures).to(torch.float32, memory_format=torch.contiguous_format)


def _channels_first(pictures: Tensor) -> Tensor:
    return pictures[:, None] if pictures.ndim == 3 else pictures.permute(0, 3, 1, 2)


def close_levels(levels: Tensor, numbers: Mapping[str, Any], dtype: torch.dtype, flat: bool = False) -> Tensor:
    """Levels (N, C, H, W) float32 inside their range, whole where the type is, as pictures (N, H, W, C) of it.

    Args:
        flat: whether they are stored without a channel, (N, H, W).
    """
    pictures = levels[:, 0] if flat else levels.permute(0, 2, 3, 1)
    return pictures.to(dtype, memory_format=torch.contiguous_format)


def numbers_of_map(image_map: ImageMap, shape: tuple[int, ...], *, low_pass: bool) -> dict[str, Any]:
    """What ``warp_levels`` needs of the map of a picture (H, W, ...).

    Args:
        image_map: one homography. shape: of the picture. low_pass: whether it is filtered where it shrinks.

    Returns:
        numbers by name. ``inverse`` (3, 3) takes pixels of the canvas to the picture, halved as it is sampled, from -1
        to 1 across it; they are held between ``least`` and ``reach`` (2,).
    """
    height, width = shape[:2]
    scale = shrinking(image_map) if low_pass and min(height, width) >= 4 else (1.0, 1.0)
    halvings, taps, back, inside = [], [], np.eye(3), stays_inside(image_map, torch.Size(shape))
    for axis, (s, length) in enumerate(zip(scale, (width, height), strict=True)):
        shrinks, k, size = s < SHARP_ABOVE - TIE, 0, length
        while s < HALVE_BELOW - TIE and size >= 4:
            s, size, k = s * 2, -(-size // 2), k + 1
        halvings.append(k)
        taps.append(sinc_taps(s) if shrinks else PLAIN)
        share = 2 / max(-(-length // 2**k) - 1, 1)  # of the halved picture's last pixel, which lies at 1
        # pixel u of a halved one covers 2u and 2u + 1
        back[axis, axis], back[axis, 2] = share / 2**k, share * (1 / 2**k - 1) / 2 - 1
    rim = 0.0 if inside else RIM
    beyond = back[[0, 1], [0, 1]] * 2.0 ** np.array(halvings) * rim
    inverse, upright, flat = _inverse(image_map, back)
    return {
        "inverse": inverse, "least": -1 - beyond, "reach": 1 + beyond, "taps": np.array(taps, np.float32),
        "half": np.array(HALF, np.float32), "halvings": np.array(halvings, np.int64),
        HOST + "halvings": tuple(halvings), HOST + "sharp": taps != [PLAIN, PLAIN],
        HOST + "upright": upright, HOST + "flat": flat,
    }  # fmt: skip


def numbers_of_pick(image_map: ImageMap, shape: tuple[int, ...]) -> dict[str, Any]:
    """What ``pick_pixels`` needs of the map of a picture (H, W, ...).

    Args:
        image_map: one homography. shape: of the picture.

    Returns:
        numbers by name. ``inverse`` (3, 3) takes pixels of the canvas to those of the picture: what begins with a whole
        number lies nearest to it (``calib.ties.nearest_whole``).
    """
    up = np.eye(3)
    up[:2, 2] = 0.5 + TIE
    inverse, upright, flat = _inverse(image_map, up)
    inside = stays_inside(image_map, torch.Size(shape))
    return {"inverse": inverse, HOST + "inside": inside, HOST + "upright": upright, HOST + "flat": flat}


def _inverse(image_map: ImageMap, then: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """The map from canvas to picture and what follows; whether it keeps rows and columns, and whether it is affine."""
    P = image_map.matrix()
    assert P is not None
    inverse = np.linalg.inv(P.detach().numpy())
    inverse = then @ (inverse / inverse[2, 2])
    flat = not (inverse[2, 0] or inverse[2, 1])
    return inverse, flat and not (inverse[0, 1] or inverse[1, 0]), flat


def warp_levels(
    pictures: Tensor, numbers: Mapping[str, Any], size: tuple[int, int], fill: float, white: float | None, whole: bool,
    stored: bool,
) -> Tensor:  # fmt: skip
    """Pictures through their maps, low-passed where they shrink.

    Args:
        pictures: levels (N, C, H, W) float32 from 0 to ``white``, or pictures as they are ``stored``, (N, H, W, C)
            or (N, H, W).
        numbers: ``numbers_of_map``, stacked. size: (height, width) of the canvas.
        fill: where the canvas has no source pixel. white: of levels that have a range, which they are held in.
        whole: whether they are rounded to whole levels, as the CPU rounds those of integers.

    Returns:
        levels (N, C, h, w) float32.
    """
    levels = _channels_first(pictures) if stored else pictures
    where, out = _grid(numbers, size), None
    for kind in sorted(numbers[HOST + "halvings"]):
        small = levels
        for k in range(max(kind)):
            small = _noted(held(_halve(small, kind[0] > k, kind[1] > k, numbers["half"]), None, whole), white, whole)
        if any(numbers[HOST + "sharp"]):
            small = _noted(held(_filtered(small, numbers["taps"]), white, whole), white, whole)
        one = _sampled(small, where, fill)
        if out is None:
            out = one
            continue
        halvings = numbers["halvings"]
        mine = (halvings[:, 0] == kind[0]) & (halvings[:, 1] == kind[1])
        out = torch.where(mine[:, None, None, None], one, out)
    assert out is not None
    return held(out, None, whole)


def held(levels: Tensor, white: float | None, whole: bool) -> Tensor:
    """Levels rounded, where they are whole, and between 0 and ``white``, where they have a range; in one kernel."""
    if whole and white is not None and not torch.compiler.is_compiling():
        return torch.fake_quantize_per_tensor_affine(levels, 1.0, 0, 0, int(white))  # rounds and clamps
    levels = levels.round() if whole else levels
    return levels if white is None else levels.clamp(0, white)


def pick_pixels(pictures: Tensor, numbers: Mapping[str, Any], size: tuple[int, int], fill: float) -> Tensor:
    """Pictures (N, H, W, ...) of labels, ids or depth through their maps: the nearest pixel, ``fill`` beyond them.

    Args:
        pictures: of any type. numbers: ``numbers_of_pick``, stacked. size: (height, width) of the canvas. fill: value.
    """
    if pictures.dtype in SIGNED:
        kind = SIGNED[pictures.dtype]
        number = int(torch.tensor(fill, dtype=pictures.dtype).view(kind))
        return pick_pixels(pictures.view(kind), numbers, size, number).view(pictures.dtype)
    count, height, width = pictures.shape[:3]
    asked = _split(_sources(numbers, size).floor().to(torch.int64), size)
    u, v = (x.clamp(0, n - 1) for x, n in zip(asked, (width, height), strict=True))
    out: Tensor = pictures[torch.arange(count, device=pictures.device)[:, None, None], v, u]
    if all(numbers[HOST + "inside"]):
        return out
    outside = (asked[0] != u) | (asked[1] != v)
    return out.masked_fill(outside.reshape(*outside.shape, *[1] * (out.ndim - 3)), fill)


def _grid(numbers: Mapping[str, Any], size: tuple[int, int]) -> Any:
    """Where in its picture every pixel of the canvas comes from, from -1 to 1 across it.

    Returns:
        (N, h, w, 2) float32; for a compiler u and v, which go together as (N, h, w).
    """
    sources = _sources(numbers, size)
    least, reach = (numbers[n].reshape(-1, 2, *[1] * (sources.ndim - 2)) for n in ("least", "reach"))
    sources = torch.clamp(sources, least, reach).to(torch.float32)
    if torch.compiler.is_compiling():
        return _split(sources, size)
    if sources.ndim == 4:
        return sources.movedim(1, -1)
    return torch.stack(torch.broadcast_tensors(*_split(sources, size)), -1)


def _sampled(levels: Tensor, where: Any, fill: float) -> Tensor:
    """Levels (N, C, H, W) at the places of ``_grid``."""
    if torch.compiler.is_compiling():
        u, v = where
        return warp_fused.sampled(levels, u, v, fill)
    levels = levels.to(torch.float32) - fill if fill else levels.to(torch.float32)
    out = F.grid_sample(levels, where, mode="bilinear", padding_mode="zeros", align_corners=True)
    return out + fill if fill else out


def _noted(levels: Tensor, white: float | None, whole: bool) -> Tensor:
    return warp_fused.written(levels, white, whole) if torch.compiler.is_compiling() else levels


def _sources(numbers: Mapping[str, Any], size: tuple[int, int]) -> Tensor:
    """Where in its picture every pixel of the canvas comes from, float64.

    Returns:
        u and v, (N, 2, h, w); where all maps keep rows and columns (N, 2, n), u by column and v by row, as far as these
        go.
    """
    inverse = numbers["inverse"][..., None]  # (N, 3, 3, 1)
    steps = torch.arange(max(size), dtype=torch.float64, device=inverse.device)
    if all(numbers[HOST + "upright"]):
        return torch.addcmul(inverse[:, :2, 2], torch.diagonal(inverse, dim1=1, dim2=2)[:, :, :2].movedim(2, 1), steps)
    used = inverse[:, :2] if all(numbers[HOST + "flat"]) else inverse
    by_row = torch.addcmul(used[:, :, 2], used[:, :, 1], steps[: size[0]])
    pixels = torch.addcmul(by_row[..., None], used[:, :, 0, :, None], steps[: size[1]])
    return pixels if used.shape[1] == 2 else pixels[:, :2] / pixels[:, 2:]


def _split(sources: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """u and v of ``_sources``, which go together as (N, h, w)."""
    if sources.ndim == 4:
        return sources[:, 0], sources[:, 1]
    return sources[:, 0, None, : size[1]], sources[:, 1, : size[0], None]


def _padded(levels: Tensor, across: Pair, along: Pair) -> Tensor:
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


def _convolved(padded: Tensor, weights: Tensor, stride: Pair) -> Tensor:
    """Pictures (N, C, H, W) with a filter (N, h, w) of its own each, without the rim that it does not reach."""
    count, channels = padded.shape[:2]
    each = weights.repeat_interleave(channels, 0)[:, None]
    x = padded.reshape(1, count * channels, *padded.shape[2:])
    out = F.conv2d(x, each, stride=stride, groups=count * channels)
    return out.reshape(count, channels, *out.shape[2:])


def _low_passed(levels: Tensor, weights: Tensor, pads: tuple[Pair, Pair], stride: Pair = (1, 1)) -> Tensor:
    if torch.compiler.is_compiling():
        return warp_fused.summed(levels, weights, pads, stride)
    return _convolved(_padded(levels, *pads), weights, stride)


def _halve(levels: Tensor, along_u: bool, along_v: bool, half: Tensor) -> Tensor:
    """Every second pixel along the chosen axes, after a binomial filter and a mean of two (N, 4); edges repeated."""
    height, width = (
        (1, 1 + n % 2) if on else (0, 0) for on, n in zip((along_v, along_u), levels.shape[-2:], strict=True)
    )
    rows, columns = half[:, :, None] if along_v else half[:, :1, None] * 0 + 1, half[:, None]
    weights = rows * columns if along_u else rows
    return _low_passed(levels, weights, (height, width), (1 + along_v, 1 + along_u))


def _filtered(levels: Tensor, taps: Tensor) -> Tensor:
    """Five taps of its own along u and v of every picture, edges repeated. ``taps`` (N, 2, 5)."""
    assert taps.shape[1:] == (2, 5)  # known to a compiler, too
    return _low_passed(levels, taps[:, 1, :, None] * taps[:, 0, None], ((2, 2), (2, 2)))


__all__ = ["close_levels", "held", "numbers_of_map", "numbers_of_pick", "open_levels", "pick_pixels", "warp_levels"]
