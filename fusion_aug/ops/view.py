"""The view of a camera from another position: where each new pixel comes from, with occlusion."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from calib import CameraSensor
from calib.se3 import invert
from calib.ties import cell_of, nearest_whole
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.stretch import far_ends, far_rims, islands


class MovedView(NamedTuple):
    """The view from the new position.

    Attributes:
        source: (H, W, 2) float64, the old pixel behind each new pixel; NaN where the old picture does not show it.
        clear: (H, W, 2) float64, as ``source``, and NaN where colours of two surfaces are mixed.
        distance: (H, W) float32, metres along the new ray; 0 where unknown.
        stretched: (H, W, 2) float64, as ``clear``, and where something hid what is seen now, the nearest old pixel of
            the farther side; NaN where the old picture does not reach.
    """

    source: Tensor
    clear: Tensor
    distance: Tensor
    stretched: Tensor


def moved_view(sensor: CameraSensor, distance: Tensor, T_old_new: Tensor) -> MovedView:
    """Look at the surface that a range picture shows from a moved camera.

    Old pixels are thrown forward onto the new canvas, the nearest wins; then every new pixel looks up where the surface
    it shows was seen. A look-up that finds another surface than it expects (one hid the other) has no source, so that
    no second copy of an edge appears; nor has the far side of a step right beside it, where colours are mixed.

    Args:
        sensor: the camera (same lens and canvas before and after).
        distance: (H, W) metres along the old rays.
        T_old_new: (4, 4) pose of the new camera in the old one's frame.
    """
    grid = pixel_grid(sensor.size)
    rays = sensor.unproject(grid)
    known = torch.isfinite(rays).all(-1)
    rays = torch.where(known[..., None], rays, torch.zeros_like(rays))
    T_new_old = invert(T_old_new)
    moved = rays * distance[..., None].to(rays) @ T_new_old[:3, :3].T + T_new_old[:3, 3]
    pixels, seen = sensor.project(moved)
    seen = seen & known
    new_range = torch.linalg.norm(moved, dim=-1)
    best = torch.full(sensor.size, torch.inf, dtype=torch.float64)
    source = torch.full((*sensor.size, 2), torch.nan, dtype=torch.float64)
    surface = _around(distance)
    # the fat one closes cracks and reaches over silhouettes, so it comes second
    for corners in (False, True):
        candidate = _splat(pixels[seen], new_range[seen], sensor.size, corners)
        rows = torch.isfinite(candidate) & (candidate < best * 0.98) & known
        at, agrees = _look_up(sensor, rays[rows] * candidate[rows][:, None], surface, T_old_new)
        taken = rows.clone()
        taken[rows] = agrees
        best[taken], source[taken] = candidate[taken], at[agrees]
    mixed = _sampled(torch.from_numpy(far_rims(distance)), source) & torch.isfinite(best)
    mixed |= torch.from_numpy(islands((torch.isfinite(best) & ~mixed).numpy()))
    clear = torch.where(mixed[..., None], torch.nan, source)
    new_distance = torch.where(torch.isfinite(best), best, torch.zeros_like(best)).to(torch.float32)
    return MovedView(source, clear, new_distance, _stretched(sensor, clear, new_distance, T_old_new))


def _stretched(sensor: CameraSensor, source: Tensor, distance: Tensor, T_old_new: Tensor) -> Tensor:
    """Old pixels (H, W, 2) with gaps filled from their farther side, but not beyond the old picture's edges."""
    gaps, ends = far_ends(torch.isfinite(source[..., 0]).numpy(), distance.numpy())
    (v, u), (v_end, u_end) = (torch.from_numpy(x).unbind(-1) for x in (gaps, ends))
    far = sensor.unproject(torch.stack([u, v], -1).to(torch.float64)) * distance[v_end, u_end, None].to(torch.float64)
    _, shown = sensor.project(far @ T_old_new[:3, :3].T + T_old_new[:3, 3])
    out = source.clone()
    out[v, u] = torch.where((shown & (v_end >= 0))[:, None], source[v_end, u_end], torch.nan)
    return out


def _splat(pixels: Tensor, values: Tensor, size: tuple[int, int], corners: bool) -> Tensor:
    """Smallest value that falls on each pixel: the nearest pixel, or all four around; infinity where none."""
    height, width = size
    out = torch.full((height * width,), torch.inf, dtype=torch.float64)
    base = cell_of(pixels) if corners else nearest_whole(pixels)
    for du, dv in ((0, 0), (1, 0), (0, 1), (1, 1)) if corners else ((0, 0),):
        u, v = base[:, 0] + du, base[:, 1] + dv
        inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        index = (v * width + u)[inside].to(torch.int64)
        out.scatter_reduce_(0, index, values[inside], "amin")
    return out.reshape(size)


def _look_up(
    sensor: CameraSensor, points: Tensor, surface: tuple[Tensor, Tensor, Tensor], T_old_new: Tensor
) -> tuple[Tensor, Tensor]:
    """Old pixels (n, 2) of points (n, 3) of the new camera's frame, and whether that is what was seen there."""
    old = points @ T_old_new[:3, :3].T + T_old_new[:3, 3]
    at, visible = sensor.project(old)
    expected = torch.linalg.norm(old, dim=-1)
    low, here, high = (_sampled(x, at) for x in surface)
    close = (here - expected).abs() <= 0.02 * expected + 0.05
    slope = (expected >= 0.98 * low) & (expected <= 1.02 * high) & (high < 1.15 * low)  # a slanted surface, no edge
    return at, visible & (close | slope)


def _around(distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Smallest, own and largest distance within a pixel."""
    x = distance[None, None].to(torch.float64)
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return -F.max_pool2d(-padded, 3, 1)[0, 0], x[0, 0], F.max_pool2d(padded, 3, 1)[0, 0]


def _sampled(picture: Tensor, at: Tensor) -> Tensor:
    height, width = picture.shape
    u, v = nearest_whole(at).nan_to_num(0).unbind(-1)
    return picture[v.clamp(0, height - 1).to(torch.int64), u.clamp(0, width - 1).to(torch.int64)]
