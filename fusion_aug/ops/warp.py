"""One resampling of a picture through an image map.

On the CPU uint8 and float32 pictures go through OpenCV; elsewhere, and where a gradient is asked for, through torch.
Shrinking is low-passed first: a binomial filter and an exact halving as often as the map asks for, then one short
windowed sinc for what is left. The half-pixel shift of the halving is part of the map.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.ops.image_map import ImageMap

HALVE_BELOW = 0.56  # a map that shrinks by more than this is halved once before it is sampled
SHARP_ABOVE = 0.95  # a map that shrinks by less than this needs no filter
BINOMIAL = (0.25, 0.5, 0.25)


def warp(
    picture: Tensor,
    image_map: ImageMap,
    interpolation: str = "linear",
    fill: float = 0.0,
    antialias: bool = True,
) -> Tensor:
    """Resample a picture.

    Args:
        picture: (H, W) or (H, W, C), uint8 or float32 for "linear", any type for "nearest".
        image_map: from the picture to the canvas.
        interpolation: "linear" (low-passed where it shrinks) or "nearest" (labels, ids, depth).
        fill: value where the canvas has no source pixel.
        antialias: low-pass "linear" where the map shrinks.

    Returns:
        (h, w) or (h, w, C) in the picture's dtype, contiguous.
    """
    P = image_map.matrix()
    if P is not None and not P.requires_grad:
        moved = _whole_pixels(picture, P, image_map.size, fill)
        if moved is not None:
            return moved
    if interpolation == "nearest":
        return _nearest(picture, image_map, fill)
    reduce = torch.eye(3, dtype=torch.float64)
    if antialias:
        picture, reduce = _low_pass(picture, image_map)
    if P is not None:
        P = P @ torch.linalg.inv(reduce).to(P.device)
    through_torch = not picture.is_cpu or picture.requires_grad or (P is not None and P.requires_grad)
    if P is None or through_torch:
        grid = image_map.backward(pixel_grid(image_map.size)) @ reduce[:2, :2].T + reduce[:2, 2]
        if P is not None and P.requires_grad:
            grid = ImageMap.homography(P, image_map.size).backward(pixel_grid(image_map.size))
        return _sample_torch(picture, grid, fill) if through_torch else _sample_cv(picture, grid, fill)
    return _warp_cv(picture, P.numpy(), image_map.size, fill)


def pixel_grid(size: tuple[int, int]) -> Tensor:
    """(h, w, 2) float64 pixel coordinates (u, v) of a canvas."""
    v, u = torch.meshgrid(*(torch.arange(s, dtype=torch.float64) for s in size), indexing="ij")
    return torch.stack([u, v], -1)


def _whole_pixels(picture: Tensor, P: Tensor, size: tuple[int, int], fill: float) -> Tensor | None:
    """Flips, crops and pads by whole pixels, exact and without interpolation; None if the map is something else."""
    p = P.tolist()
    su, sv, tu, tv = p[0][0], p[1][1], p[0][2], p[1][2]
    plain = p[0][1] == 0 and p[1][0] == 0 and p[2] == [0.0, 0.0, 1.0]
    if not plain or abs(su) != 1 or abs(sv) != 1 or abs(tu - round(tu)) > 1e-9 or abs(tv - round(tv)) > 1e-9:
        return None
    height, width = picture.shape[:2]
    turned = picture.flip([axis for axis, sign in ((0, sv), (1, su)) if sign < 0]) if su < 0 or sv < 0 else picture
    left = round(tu) if su > 0 else round(tu) - (width - 1)
    top = round(tv) if sv > 0 else round(tv) - (height - 1)
    a, b = max(0, -top), min(height, size[0] - top)
    c, d = max(0, -left), min(width, size[1] - left)
    if (top, left) == (0, 0) and size == (height, width):
        return turned.contiguous()
    out = torch.full((*size, *picture.shape[2:]), fill, dtype=picture.dtype, device=picture.device)
    if b > a and d > c:
        out[top + a : top + b, left + c : left + d] = turned[a:b, c:d]
    return out


def _nearest(picture: Tensor, image_map: ImageMap, fill: float) -> Tensor:
    grid = image_map.backward(pixel_grid(image_map.size).to(picture.device))
    # half a pixel rounds up on both axes, whatever the sign
    cells = torch.floor(grid.detach() + 0.5)
    height, width = picture.shape[:2]
    u, v = cells.unbind(-1)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    index = torch.where(inside, v * width + u, torch.zeros_like(u)).to(torch.int64)
    out = picture.reshape(height * width, *picture.shape[2:])[index]
    out[~inside] = torch.as_tensor(fill, dtype=picture.dtype)
    return out


def _shrink(image_map: ImageMap) -> float:
    """How many canvas pixels one source pixel covers along the axis where it is least, at the canvas centre."""
    h, w = image_map.size
    centre = torch.tensor([(w - 1) / 2, (h - 1) / 2], dtype=torch.float64)
    offsets = torch.tensor([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
    at = image_map.backward(centre + offsets).detach()
    if not bool(torch.isfinite(at).all()):
        return 1.0
    jacobian = (at[1:] - at[:1]) * 2
    return 1.0 / max(float(torch.linalg.matrix_norm(jacobian, 2)), 1e-9)


def _low_pass(picture: Tensor, image_map: ImageMap) -> tuple[Tensor, Tensor]:
    """Filter and halve a picture until the rest of the map shrinks little; also the 3x3 map of what was done."""
    reduce = torch.eye(3, dtype=torch.float64)
    scale = _shrink(image_map)
    if scale >= SHARP_ABOVE or min(picture.shape[:2]) < 4:
        return picture, reduce
    picture, reduce = _crop_to_need(picture, image_map)
    while scale < HALVE_BELOW and min(picture.shape[:2]) >= 4:
        picture = _halve(_filter(picture, BINOMIAL))
        # pixel u of the halved picture covers 2u and 2u + 1
        reduce = torch.tensor([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]], dtype=torch.float64) @ reduce
        scale *= 2
    sharp = _filter(picture, _sinc_taps(scale))
    # the sinc overshoots at edges, which uint8 clips by itself
    return (sharp if sharp.dtype == torch.uint8 else sharp.clamp(0, 1)), reduce


def _sinc_taps(scale: float) -> tuple[float, ...]:
    """Five taps that pass what a shrinking by ``scale`` can hold: a sinc at 3/4 of it under a Lanczos window."""
    n = np.arange(-2, 3)
    taps = np.sinc(0.75 * scale * n) * np.sinc(n / 3)
    return tuple(float(t) for t in taps / taps.sum())


def _crop_to_need(picture: Tensor, image_map: ImageMap) -> tuple[Tensor, Tensor]:
    """The part of a picture that the canvas looks at, with a margin for the filter."""
    h, w = image_map.size
    height, width = picture.shape[:2]
    u, v = torch.linspace(-1, w, 9, dtype=torch.float64), torch.linspace(-1, h, 9, dtype=torch.float64)
    edge = torch.cat([torch.cartesian_prod(u, v[[0, -1]]), torch.cartesian_prod(u[[0, -1]], v)])
    need = image_map.backward(edge).detach()
    margin = 16
    whole = torch.eye(3, dtype=torch.float64)
    if not bool(torch.isfinite(need).all()) or len(image_map.steps) > 1:
        return picture, whole
    a, b = max(0, int(need[:, 1].min()) - margin), min(height, int(need[:, 1].max()) + margin)
    c, d = max(0, int(need[:, 0].min()) - margin), min(width, int(need[:, 0].max()) + margin)
    if b - a < 4 or d - c < 4:
        return picture, whole
    whole[0, 2], whole[1, 2] = -c, -a
    return picture[a:b, c:d], whole


def _filter(picture: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Filter in both directions, edges repeated."""
    if picture.is_cpu and not picture.requires_grad:
        image = picture.numpy()
        if taps == BINOMIAL:  # with sigma 0 and size 3 this is OpenCV's fast binomial
            return torch.from_numpy(cv2.GaussianBlur(image, (3, 3), 0, borderType=cv2.BORDER_REPLICATE))
        kernel = np.array(taps)
        return torch.from_numpy(cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE))
    weights = torch.tensor(taps, device=picture.device)
    x = _to_nchw(picture)
    c, n, r = x.shape[1], len(taps), len(taps) // 2
    x = F.conv2d(F.pad(x, (r, r, r, r), mode="replicate"), weights.to(x.dtype).expand(c, 1, 1, n), groups=c)
    x = F.conv2d(x, weights.to(x.dtype).reshape(n, 1).expand(c, 1, n, 1), groups=c)
    return _from_nchw(x, picture)


def _halve(picture: Tensor) -> Tensor:
    """Mean of 2x2 pixels; an odd last row or column is repeated."""
    height, width = picture.shape[:2]
    if picture.is_cpu and not picture.requires_grad:
        image = picture.numpy()
        if height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        half = (image.shape[1] // 2, image.shape[0] // 2)
        return torch.from_numpy(cv2.resize(image, half, interpolation=cv2.INTER_AREA))
    x = F.pad(_to_nchw(picture), (0, width % 2, 0, height % 2), mode="replicate")
    return _from_nchw(F.avg_pool2d(x, 2), picture)


def _border(corners: Tensor, shape: tuple[int, ...]) -> int:
    """Repeat the edge where the canvas lies inside the picture, so that its rim is not darkened; else fill."""
    height, width = shape[:2]
    low, high = corners.reshape(-1, 2).amin(0), corners.reshape(-1, 2).amax(0)
    slack = 0.5 + 1e-6
    inside = low.min() >= -slack and high[0] <= width - 1 + slack and high[1] <= height - 1 + slack
    return cv2.BORDER_REPLICATE if bool(inside) else cv2.BORDER_CONSTANT


def _warp_cv(picture: Tensor, P: np.ndarray, size: tuple[int, int], fill: float) -> Tensor:
    h, w = size
    inverse = np.linalg.inv(P)
    corners = torch.tensor([[0, 0], [w - 1, 0], [0, h - 1], [w - 1, h - 1]], dtype=torch.float64)
    mapped = ImageMap.homography(torch.from_numpy(P), size).backward(corners)
    border = _border(mapped, tuple(picture.shape))
    image, value = picture.contiguous().numpy(), (fill,) * 4
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if P[2, 0] == 0 and P[2, 1] == 0:
        out = cv2.warpAffine(
            image, inverse[:2] / inverse[2, 2], (w, h), flags=flags, borderMode=border, borderValue=value
        )
    else:
        out = cv2.warpPerspective(image, inverse, (w, h), flags=flags, borderMode=border, borderValue=value)
    return torch.from_numpy(out)


def _sample_cv(picture: Tensor, grid: Tensor, fill: float) -> Tensor:
    u, v = (np.ascontiguousarray(x.numpy(), dtype=np.float32) for x in grid.nan_to_num(nan=-1e4).unbind(-1))
    border = _border(grid, tuple(picture.shape))
    image = picture.contiguous().numpy()
    return torch.from_numpy(cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=border, borderValue=(fill,) * 4))


def _sample_torch(picture: Tensor, grid: Tensor, fill: float) -> Tensor:
    height, width = picture.shape[:2]
    grid = grid.to(picture.device)
    span = torch.tensor([max(width - 1, 1), max(height - 1, 1)], dtype=grid.dtype, device=grid.device)
    normalized = (2 * grid / span - 1).nan_to_num(nan=-9.0)
    repeat = _border(grid.detach().cpu(), tuple(picture.shape)) == cv2.BORDER_REPLICATE
    x = _to_nchw(picture) - fill
    mode = "border" if repeat else "zeros"
    x = F.grid_sample(x, normalized[None].to(x.dtype), mode="bilinear", padding_mode=mode, align_corners=True)
    return _from_nchw(x + fill, picture)


def _to_nchw(picture: Tensor) -> Tensor:
    x = picture if picture.ndim == 3 else picture[..., None]
    return x.permute(2, 0, 1)[None].to(torch.float32 if picture.dtype == torch.uint8 else picture.dtype)


def _from_nchw(x: Tensor, like: Tensor) -> Tensor:
    out = x[0].permute(1, 2, 0)
    out = out if like.ndim == 3 else out[..., 0]
    return (out.round().clamp(0, 255) if like.dtype == torch.uint8 else out).to(like.dtype).contiguous()
