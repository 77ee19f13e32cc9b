"""One resampling of a picture through an image map.

On the CPU uint8 and float32 pictures go through OpenCV; elsewhere, and where a gradient is asked for, through torch.
Shrinking is low-passed first: a binomial filter and an exact halving as often as the map asks for, then one short
windowed sinc for what is left. The half-pixel shift of the halving is part of the map.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from calib.ties import TIE, nearest_whole
from fusion_aug.ops.fours import sample_in_fours
from fusion_aug.ops.grid import pixel_grid, smooth_grid
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.map_extent import crop_to_need, shrinking, stays_inside

HALVE_BELOW = 0.56  # a map that shrinks by more than this is halved once before it is sampled
SHARP_ABOVE = 0.95  # a map that shrinks by less than this needs no filter
BINOMIAL, NOTHING = (0.25, 0.5, 0.25), (1.0,)
# torch knows these types by name and little else: pixels that only move are moved as signed integers of their size
SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}


def warp(
    picture: Tensor,
    image_map: ImageMap,
    interpolation: str = "linear",
    fill: float = 0.0,
    antialias: bool = True,
    edge: bool = False,
    full_scale: float | None = None,
) -> Tensor:
    """Resample a picture.

    Args:
        picture: (H, W) or (H, W, C); uint8, uint16 or float for "linear", any type for "nearest".
        image_map: from the picture to the canvas.
        interpolation: "linear" (low-passed where it shrinks) or "nearest" (labels, ids, depth).
        fill: value where the canvas has no source pixel.
        antialias: low-pass "linear" where the map shrinks.
        edge: repeat the picture's edge outside of it instead of ``fill``.
        full_scale: float values lie between 0 and this, and are held there, since the low-pass overshoots at edges;
            None where they have no range. Integers are held in the range of their type.

    Returns:
        (h, w) or (h, w, C) in the picture's dtype, contiguous.
    """
    whole, channels = image_map.in_whole_pixels(), picture.shape[2:]
    if whole is not None:
        return _whole_pixels(picture, whole, image_map.size, fill)
    if interpolation == "nearest":
        return _nearest(picture, image_map, fill)
    rest = image_map
    if antialias:
        picture, rest = _low_pass(picture, image_map, full_scale)
    P = rest.matrix()
    repeat = edge or stays_inside(rest, picture.shape)
    if not picture.is_cpu or picture.requires_grad or (P is not None and P.requires_grad):
        out = _sample_torch(picture, rest.backward(pixel_grid(rest.size).to(picture.device)), fill, repeat)
    elif P is None:
        out = _sample_cv(picture, smooth_grid(rest), fill, repeat)
    else:
        out = _warp_cv(picture, P.numpy(), rest.size, fill, repeat)
    return out.reshape(*rest.size, *channels)  # OpenCV drops a single channel


def gather(picture: Tensor, source: Tensor, interpolation: str = "linear", fill: float = 0.0) -> Tensor:
    """Values of a picture at pixels (H, W, 2), ``fill`` where they are NaN; no low-pass."""
    height, width = source.shape[:2]
    if interpolation == "nearest":
        return _pick_nearest(picture, source.to(picture.device), fill)
    plain = picture.is_cpu and not picture.requires_grad and not source.requires_grad
    # every source lies on the picture, whose edge pixels reach half a pixel further than their centres
    out = (_sample_cv if plain else _sample_torch)(picture, source.to(picture.device), fill, True)
    out = out.reshape(height, width, *picture.shape[2:])
    paint(out, torch.isnan(source).any(-1).to(picture.device), fill)
    return out


def paint(picture: Tensor, where: Tensor, value: float) -> None:
    """Write a value into the pixels (H, W) of a mask, in place."""
    _as_signed(picture)[where] = _as_signed(torch.tensor(value, dtype=picture.dtype))


def _as_signed(picture: Tensor) -> Tensor:
    """The same bits in a type that torch can move."""
    return picture.view(SIGNED[picture.dtype]) if picture.dtype in SIGNED else picture


def _whole_pixels(picture: Tensor, whole: tuple[int, int, int, int], size: tuple[int, int], fill: float) -> Tensor:
    """Flips, crops and pads by whole pixels, exact and without interpolation; see ``ImageMap.in_whole_pixels``."""
    su, sv, tu, tv = whole
    height, width = picture.shape[:2]
    axes = [axis for axis, sign in ((0, sv), (1, su)) if sign < 0]
    flipped = _as_signed(picture).flip(axes) if axes else picture
    flipped = flipped.view(picture.dtype) if picture.dtype in SIGNED else flipped
    left = tu if su > 0 else tu - (width - 1)
    top = tv if sv > 0 else tv - (height - 1)
    a, b = max(0, -top), min(height, size[0] - top)
    c, d = max(0, -left), min(width, size[1] - left)
    if (top, left) == (0, 0) and size == (height, width):
        return flipped.contiguous()
    out = torch.full((*size, *picture.shape[2:]), fill, dtype=picture.dtype, device=picture.device)
    if b > a and d > c:
        out[top + a : top + b, left + c : left + d] = flipped[a:b, c:d]
    return out


def _nearest(picture: Tensor, image_map: ImageMap, fill: float) -> Tensor:
    return _pick_nearest(picture, smooth_grid(image_map).to(picture.device), fill)


def _pick_nearest(picture: Tensor, grid: Tensor, fill: float) -> Tensor:
    height, width = picture.shape[:2]
    u, v = nearest_whole(grid.detach()).unbind(-1)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    index = torch.where(inside, v * width + u, torch.zeros_like(u)).to(torch.int64)
    out = picture.reshape(height * width, *picture.shape[2:])[index]
    paint(out, ~inside, fill)
    return out


def _low_pass(picture: Tensor, image_map: ImageMap, full_scale: float | None) -> tuple[Tensor, ImageMap]:
    """Filter and halve each axis until the map shrinks little; also what is left of the map from there."""
    scale = list(shrinking(image_map))
    shrinks = [s < SHARP_ABOVE - TIE for s in scale]  # a scale that was asked for may be the limit itself
    if not any(shrinks) or min(picture.shape[:2]) < 4:
        return picture, image_map
    picture, image_map = crop_to_need(picture, image_map)
    while True:
        halve = [s < HALVE_BELOW - TIE and picture.shape[1 - axis] >= 4 for axis, s in enumerate(scale)]
        if not any(halve):
            break
        picture = _halve(filtered(picture, *(BINOMIAL if h else NOTHING for h in halve)), *halve)
        back = torch.eye(3, dtype=torch.float64)
        for axis, halved in enumerate(halve):
            if halved:  # pixel u of the halved picture covers 2u and 2u + 1
                back[axis, axis], back[axis, 2] = 2.0, 0.5
                scale[axis] *= 2
        image_map = ImageMap.homography(back, image_map.size).then(image_map)
    sharp = filtered(picture, *(sinc_taps(s) if shrinks[axis] else NOTHING for axis, s in enumerate(scale)))
    # the sinc overshoots at edges, which integers clip by themselves
    held = sharp.is_floating_point() and full_scale is not None
    return (sharp.clamp(0, full_scale) if held else sharp), image_map


def sinc_taps(scale: float) -> tuple[float, ...]:
    """Five taps that pass what a shrinking by ``scale`` can hold: a sinc at 3/4 of it under a Lanczos window."""
    n = np.arange(-2, 3)
    taps = np.sinc(0.75 * scale * n) * np.sinc(n / 3)
    return tuple(float(t) for t in taps / taps.sum())


def filtered(picture: Tensor, along_u: tuple[float, ...], along_v: tuple[float, ...]) -> Tensor:
    """Filter along both axes, edges repeated."""
    if along_u == along_v == NOTHING:
        return picture
    if picture.is_cpu and not picture.requires_grad:
        image = picture.numpy()
        if {along_u, along_v} <= {BINOMIAL, NOTHING}:  # with sigma 0 and size 3 this is OpenCV's fast binomial
            size = (len(along_u), len(along_v))
            return torch.from_numpy(cv2.GaussianBlur(image, size, 0, borderType=cv2.BORDER_REPLICATE))
        kernels = (np.array(along_u), np.array(along_v))
        return torch.from_numpy(cv2.sepFilter2D(image, -1, *kernels, borderType=cv2.BORDER_REPLICATE))
    x = _to_nchw(picture)
    for taps, shape in ((along_u, (1, -1)), (along_v, (-1, 1))):
        weights = torch.tensor(taps, device=x.device, dtype=x.dtype).reshape(shape)
        r, s = (n // 2 for n in weights.shape)
        padded = F.pad(x, (s, s, r, r), mode="replicate")
        x = F.conv2d(padded, weights.expand(x.shape[1], 1, *weights.shape), groups=x.shape[1])
    return _from_nchw(x, picture)


def _halve(picture: Tensor, along_u: bool, along_v: bool) -> Tensor:
    """Mean of pairs of pixels along the chosen axes; an odd last row or column is repeated."""
    height, width = picture.shape[:2]
    right, below = width % 2 if along_u else 0, height % 2 if along_v else 0
    steps = (2 if along_v else 1, 2 if along_u else 1)
    if picture.is_cpu and not picture.requires_grad:
        image = picture.numpy()
        if right or below:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        half = (image.shape[1] // steps[1], image.shape[0] // steps[0])
        return torch.from_numpy(cv2.resize(image, half, interpolation=cv2.INTER_AREA))
    x = F.pad(_to_nchw(picture), (0, right, 0, below), mode="replicate")
    return _from_nchw(F.avg_pool2d(x, steps), picture)


def _warp_cv(picture: Tensor, P: np.ndarray, size: tuple[int, int], fill: float, repeat: bool) -> Tensor:
    inverse, (height, width) = np.linalg.inv(P), picture.shape[:2]
    bend = (abs(P[2, 0]) * width + abs(P[2, 1]) * height) * max(height, width)  # pixels that the last row is good for
    affine = bend <= TIE * abs(P[2, 2])
    function = cv2.warpAffine if affine else cv2.warpPerspective
    matrix = inverse[:2] / inverse[2, 2] if affine else inverse
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE if repeat else cv2.BORDER_CONSTANT
    sample = partial(function, M=matrix, dsize=size[::-1], flags=flags, borderMode=border, borderValue=(fill,) * 4)
    return torch.from_numpy(sample_in_fours(sample, picture.contiguous().numpy(), size))


def _sample_cv(picture: Tensor, grid: Tensor, fill: float, repeat: bool) -> Tensor:
    u, v = (np.ascontiguousarray(x.numpy(), dtype=np.float32) for x in grid.nan_to_num(nan=-1e4).unbind(-1))
    border = cv2.BORDER_REPLICATE if repeat else cv2.BORDER_CONSTANT
    sample = partial(
        cv2.remap, map1=u, map2=v, interpolation=cv2.INTER_LINEAR, borderMode=border, borderValue=(fill,) * 4
    )
    return torch.from_numpy(sample_in_fours(sample, picture.contiguous().numpy(), u.shape))


def _sample_torch(picture: Tensor, grid: Tensor, fill: float, repeat: bool) -> Tensor:
    height, width = picture.shape[:2]
    span = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=grid.dtype, device=grid.device)
    normalized = (2 * grid / span - 1).nan_to_num(nan=-9.0)
    x = _to_nchw(picture) - fill
    mode = "border" if repeat else "zeros"
    x = F.grid_sample(x, normalized[None].to(x.dtype), mode="bilinear", padding_mode=mode, align_corners=True)
    return _from_nchw(x + fill, picture)


def _to_nchw(picture: Tensor) -> Tensor:
    x = picture if picture.ndim == 3 else picture[..., None]
    return x.permute(2, 0, 1)[None].to(picture.dtype if picture.is_floating_point() else torch.float32)


def _from_nchw(x: Tensor, like: Tensor) -> Tensor:
    out = x[0].permute(1, 2, 0)
    out = out if like.ndim == 3 else out[..., 0]
    if not like.is_floating_point():
        out = out.round().clamp(0, torch.iinfo(like.dtype).max)
    return out.to(like.dtype).contiguous()
