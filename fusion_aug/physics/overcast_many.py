"""Many pictures in the light of an overcast sky and behind the air, on any device: ``weather.light`` of all at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.cells_many import blurred, enlarged, levels_in_cells
from fusion_aug.ops.distance_many import distances
from fusion_aug.ops.illumination import BLUER, surface_grid
from fusion_aug.ops.potential_many import guided
from fusion_aug.ops.sunlight_many import in_the_sun, log_shade
from fusion_aug.ops.surfaces_many import SHARED, log_light, surfaces_of
from fusion_aug.ops.warp_many import HOST
from fusion_aug.physics.completion import SKY_DISTANCE, SKY_FROM
from fusion_aug.physics.overcast import COOL, GAMMA, LESS_ON_WALLS

LUMA = (9798, 19235, 3735)  # of OpenCV, in 2^-15; sums of whole levels are exact in float32


@cache
def numbers_of_gains() -> dict[str, Any]:
    """What ``gains_of`` needs, tables that are the same for all pictures."""
    return {
        f"{SHARED}luma": np.array([LUMA], np.float32) / 2**15, f"{SHARED}cool": COOL.astype(np.float32)[:, None, None],
        f"{SHARED}warmth": np.array([1.0, 0.0, -1.0], np.float32)[:, None, None],
    }  # fmt: skip


def in_air(
    levels: Tensor, numbers: Mapping[str, Any], depth: Tensor, *, white: float, whole: bool, lit: bool, gaps: bool,
    veiled: bool,
) -> Tensor:  # fmt: skip
    """Pictures without a share of the sun's own light, behind the air.

    Args:
        levels: (N, 3, H, W) from 0 to ``white``. depth: pictures (k, H, W), m; ``numbers["depth"]`` says which.
        numbers: of every picture: ``air`` (3, h, w), its level in cells; ``loss``, minus the extinction, 1/m;
            ``share`` of the sunlight that is lost; ``grey``, the same where the sky shows. Those of ``distances``, and
            where pictures are ``lit`` those of ``gains_of``.
        white: level. whole: whether levels are whole ones. lit: whether sunlight is taken out of some.
        gaps: whether some pixels hold no depth. veiled: whether some have ``grey``.

    Raises:
        DataError: a gradient is asked of the pictures.
    """
    if levels.requires_grad:
        raise DataError("weather on a device carries no gradient through pictures; detach them")
    size = (levels.shape[2], levels.shape[3])
    straight = all(numbers[HOST + "straight"]) and len(depth) == len(levels)
    depth = depth if straight else depth.index_select(0, numbers["depth"])
    even = all(numbers[HOST + "even"])
    distance, inverse = distances(depth.to(torch.float32), numbers, gaps=gaps, even=even, sky=SKY_DISTANCE)
    air = enlarged(numbers["air"].to(torch.float32), size)
    air = air.round_() if whole else air
    share, grey, loss, blended = (numbers[n].reshape(-1, 1, 1, 1) for n in ("share", "grey", "loss", "blended"))
    if lit:
        seen = levels if whole else (levels * 255).round_().clamp_(0, 255)
        levels = _held(levels * enlarged(gains_of(seen, inverse, share, numbers), size), white, whole)
    if veiled:
        over = blurred((distance >= SKY_FROM).to(levels.dtype), 3) * grey
        levels = _held(torch.lerp(levels, air, over) * torch.where(grey > 0, blended, 1.0), white, whole)
    out = torch.lerp(air, levels, (distance * loss).exp_())
    return out.round_() if whole else out * blended  # of whole levels it moves a hundredth of a level at most


def _held(levels: Tensor, white: float, whole: bool) -> Tensor:
    return (levels.round_() if whole else levels).clamp_(max=white)


def gains_of(levels: Tensor, inverse: Tensor, share: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
    """What levels are multiplied by without a share of the sun, (N, 3, h, w), in half cells: ``weather.light.gains``.

    Args:
        levels: (N, 3, H, W) whole levels from 0 to 255. inverse: (N, 1, H, W) of distances, 1/m.
        share: (N, 1, 1, 1) of the sunlight that is lost. numbers: of ``numbers_of_surfaces``, ``numbers_of_groups``,
            ``numbers_of_shade`` and ``numbers_of_gains``.
    """
    size = (levels.shape[2], levels.shape[3])
    grid = surface_grid(size)
    seen = surfaces_of(levels, inverse, numbers, grid, SKY_FROM)
    shade = log_shade(seen, in_the_sun(seen, numbers), numbers)
    walls = ((1 - seen.rise.clamp(0, 1)) * LESS_ON_WALLS).masked_fill_(seen.sky, 0)
    fine = (min(size[0], 2 * grid[0]), min(size[1], 2 * grid[1]))
    halves = levels_in_cells(levels, fine)
    grey = torch.matmul(numbers[f"{SHARED}luma"], halves.flatten(2)).add_(0.5).floor_()
    guide = log_light(grey.view(len(levels), 1, *fine), numbers)
    lit = guided((shade + walls)[:, None], guide, factor=-1 / GAMMA)
    colour = enlarged(shade[:, None] * (-BLUER / 2 / GAMMA), fine)
    gain = torch.addcmul(lit, colour, numbers[f"{SHARED}warmth"]).exp_()
    return torch.addcmul(1 - share, gain, share * numbers[f"{SHARED}cool"])


__all__ = ["gains_of", "in_air", "numbers_of_gains"]
