"""CLAHE of the lightness of many pictures at once, on any device, with the whole numbers of OpenCV.

OpenCV turns levels of 8 bits into those of CIELAB by tables of fixed point; the same sums of integers give the same
lightness on every device, since one level more may be four after an equalization.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops import color

BITS, HALF = 15, 1 << 14  # of the fixed point of Lab
WHITE = (0.950456, 1.0, 1.088754)  # XYZ of D65, as OpenCV has it
TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
MIXES = tuple(tuple(round(4096 * m / w) for m in row) for row, w in zip(TO_XYZ, WHITE, strict=True))
FROM_XYZ = np.linalg.inv(np.array(TO_XYZ)).tolist()
LEVELS = 256


@lru_cache(maxsize=1)
def lab_tables() -> tuple[np.ndarray, np.ndarray]:
    """Light (256,) of sRGB levels in steps of 1 / 2040, and the curve of CIELAB (3072,) over such steps; int64."""
    light = np.rint(2040 * color.to_linear(color.LEVELS).numpy()).astype(np.int64)
    steps = np.arange(3072) / 2040
    curve = np.where(steps < 0.008856, steps * 7.787 + 16 / 116, np.cbrt(steps))
    return light, np.rint(curve * 2**BITS).astype(np.int64)


def lab_of(levels: Tensor, light: Tensor, curve: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L, a and b (N, H, W) in levels of 8 bits of sRGB levels (N, 3, H, W), all int64; ``lab_tables`` beside."""
    red, green, blue = light[levels].unbind(1)
    x, y, z = (curve[(r * red + g * green + b * blue + 2048) >> 12] for r, g, b in MIXES)
    lightness = (296 * y - ((16 * 255 * 2**BITS + 50) // 100) + HALF) >> BITS
    middle = 128 * 2**BITS + HALF
    return lightness, (500 * (x - y) + middle) >> BITS, (200 * (y - z) + middle) >> BITS


def levels_of_lab(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """sRGB levels (N, 3, H, W) float32 of L, a and b in levels of 8 bits."""
    L = lightness.to(torch.float32) / 2.55
    fy = (L + 16) / 116
    fx, fz = fy + (a - 128).to(torch.float32) / 500, fy - (b - 128).to(torch.float32) / 200
    x, z = (torch.where(f > 6 / 29, f**3, (f - 16 / 116) / 7.787) * w for f, w in ((fx, WHITE[0]), (fz, WHITE[2])))
    y = torch.where(L > 8, fy**3, L / 903.3)
    light = torch.stack([p * x + q * y + r * z for p, q, r in FROM_XYZ], 1)
    return (color.to_srgb(light.clamp(0, 1)) * 255).round()


def histograms(levels: Tensor) -> Tensor:
    """How often each of 256 levels comes, (..., 256) int32, of levels (..., n) int64; sums of integers are exact."""
    counts = torch.zeros(*levels.shape[:-1], LEVELS, dtype=torch.int32, device=levels.device)
    one = torch.ones((), dtype=torch.int32, device=levels.device)
    return counts.scatter_add_(-1, levels, one.expand(levels.shape))


def equalized(levels: Tensor, limit: Tensor, tiles: int) -> Tensor:
    """Adaptive equalization over ``tiles`` x ``tiles`` tiles (Zuiderveld 1994, Contrast limited adaptive equalization).

    Args:
        levels: (N, H, W) int64 from 0 to 255. limit: (N,) what each tile's histogram is clipped at, times its mean.
        tiles: along each axis.
    """
    count, height, width = levels.shape
    whole = levels
    if height % tiles or width % tiles:  # then OpenCV goes on along both axes
        for axis, length in ((1, height), (2, width)):
            place = torch.arange(length + tiles - length % tiles, device=levels.device)
            place = place.remainder(max(2 * (length - 1), 1))
            whole = whole.index_select(axis, torch.minimum(place, (2 * (length - 1) - place).abs()))
    high, wide = whole.shape[1] // tiles, whole.shape[2] // tiles
    parts = whole.view(count, tiles, high, tiles, wide).transpose(2, 3).reshape(count, tiles * tiles, high * wide)
    tables = _tables(histograms(parts), limit, high * wide).flatten(1)
    (top, below, down), (left, right, along) = (
        _neighbours(n, step, tiles, levels.device) for n, step in ((height, high), (width, wide))
    )
    corners = [
        tables.gather(1, ((row[:, None] * tiles + column) * LEVELS + levels).flatten(1)).view(levels.shape)
        for row in (top, below) for column in (left, right)
    ]  # fmt: skip
    first, second = (a * (1 - along) + b * along for a, b in (corners[:2], corners[2:]))
    down = down[:, None]
    return (first * (1 - down) + second * down).round().clamp(0, 255)


def _tables(counts: Tensor, limit: Tensor, area: int) -> Tensor:
    """What the levels of each tile become, (N, tiles, 256) float32: what is clipped is dealt out evenly."""
    most = (limit * area / LEVELS).to(torch.int64).clamp(min=1)[:, None, None]
    clipped = (counts - most).clamp(min=0).sum(-1, keepdim=True)
    each = torch.div(clipped, LEVELS, rounding_mode="floor")
    rest = clipped - each * LEVELS
    step = torch.div(LEVELS, rest.clamp(min=1), rounding_mode="floor").clamp(min=1)
    place = torch.arange(LEVELS, device=counts.device)
    more = (place % step == 0) & (torch.div(place, step, rounding_mode="floor") < rest)
    dealt = torch.minimum(counts, most) + each + more
    return (dealt.cumsum(-1).to(torch.float32) * (255 / area)).round().clamp(0, 255)


def _neighbours(length: int, step: int, tiles: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The tiles before and behind each pixel along an axis, by their middles, and how near it lies to the second."""
    place = torch.arange(length, dtype=torch.float32, device=device) * (1 / step) - 0.5
    first = place.floor()
    share = place - first
    return first.clamp(min=0).to(torch.int64), (first + 1).clamp(max=tiles - 1).to(torch.int64), share
