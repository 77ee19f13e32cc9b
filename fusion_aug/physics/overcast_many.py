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
from fusion_aug.ops.distance_many import inverse_distances
from fusion_aug.ops.illumination import BLUER, surface_grid
from fusion_aug.ops.potential_many import guided
from fusion_aug.ops.sunlight_many import in_the_sun, log_shade
from fusion_aug.ops.surfaces_many import SHARED, log_light, surfaces_of
from fusion_aug.ops.warp_many import HOST
from fusion_aug.physics.completion import SKY_DISTANCE, SKY_FROM
from fusion_aug.physics.overcast import COOL, GAMMA, LESS_ON_WALLS

LUMA = (9798, 19235, 3735)  # of OpenCV, in 2^-15; sums of whole levels are exact in float32


def numbers_of_gains(share: float) -> dict[str, Any]:
    """What ``gains_of`` needs of a picture that loses a share of the sunlight."""
    cool = share * COOL * np.exp(-LESS_ON_WALLS / GAMMA)
    kept = np.float32(1 - share).reshape(1, 1, 1)
    return {"kept": kept, "cool": cool.astype(np.float32)[:, None, None], **_tables()}


@cache
def _tables() -> dict[str, Any]:
    return {
        f"{SHARED}luma": np.array([LUMA], np.float32) / 2**15, f"{SHARED}half": np.full((1, 1, 1), 0.5, np.float32),
        f"{SHARED}warmth": np.array([-1.0, 0.0, 1.0], np.float32)[:, None, None] * np.float32(BLUER / 2 / GAMMA),
    }  # fmt: skip


def in_air(
    levels: Tensor, numbers: Mapping[str, Any], depth: Tensor, *, white: float, whole: bool, lit: bool, gaps: bool,
    veiled: bool,
) -> Tensor:  # fmt: skip
    """Pictures without a share of the sun's own light, behind the air; whole levels are rounded at the end alone.

    Args:
        levels: (N, 3, H, W) from 0 to ``white``. depth: pictures (k, H, W), m; ``numbers["depth"]`` says which.
        numbers: of every picture: ``air`` (3, h, w), its level in cells; ``loss``, minus the extinction, 1/m; ``grey``,
            the share of the sunlight that is lost where the sky shows. Those of ``inverse_distances``, and where
            pictures are ``lit`` those of ``gains_of``.
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
    inverse = inverse_distances(depth.to(torch.float32), numbers, gaps=gaps, even=even, sky=SKY_DISTANCE)
    air = enlarged(numbers["air"], size)
    grey, loss, blended = (numbers[n].reshape(-1, 1, 1, 1) for n in ("grey", "loss", "blended"))
    if lit:
        seen = levels if whole else (levels * 255).round_().clamp_(0, 255)
        levels = (levels * enlarged(gains_of(seen, inverse, numbers), size)).clamp_(max=white)
    if veiled:
        over = blurred((inverse <= 1 / SKY_FROM).to(levels.dtype), 3) * grey
        levels = torch.lerp(levels, air, over)
        levels = levels if whole else (levels * torch.where(grey > 0, blended, 1.0)).clamp_(max=white)
    # in the order in which pictures are stored, so that what a compiler fuses goes through memory in one order
    out = torch.lerp(*(x.permute(0, 2, 3, 1) for x in (air, levels, (loss / inverse).exp_())))
    out = out.round_() if whole else out * blended  # of whole levels it moves a hundredth of a level at most
    return out.permute(0, 3, 1, 2)


def gains_of(levels: Tensor, inverse: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
    """What levels are multiplied by without a share of the sun, (N, 3, h, w), in half cells: ``weather.light.gains``.

    Args:
        levels: (N, 3, H, W) whole levels from 0 to 255. inverse: (N, 1, H, W) of distances, 1/m.
        numbers: of ``numbers_of_surfaces``, ``numbers_of_groups``, ``numbers_of_shade`` and ``numbers_of_gains``.
    """
    size = (levels.shape[2], levels.shape[3])
    grid = surface_grid(size)
    seen = surfaces_of(levels, inverse, numbers, grid, SKY_FROM)
    shade = log_shade(seen, in_the_sun(seen, numbers), numbers)
    upward = seen.rise.clamp(0, 1).masked_fill_(seen.sky, 1)
    fine = (min(size[0], 2 * grid[0]), min(size[1], 2 * grid[1]))
    luma = numbers[f"{SHARED}luma"].expand(len(levels), -1, -1)
    grey = torch.baddbmm(numbers[f"{SHARED}half"], luma, levels_in_cells(levels, fine).flatten(2))  # rounded below
    guide = log_light(grey.view(len(levels), 1, *fine), numbers)
    # but for what walls have, which is among what is ``cool``
    lit = guided(torch.add(shade, upward, alpha=-LESS_ON_WALLS)[:, None], guide, factor=-1 / GAMMA)
    gain = torch.addcmul(lit, enlarged(shade[:, None], fine), numbers[f"{SHARED}warmth"]).exp_()
    return torch.addcmul(numbers["kept"], gain, numbers["cool"])


__all__ = ["gains_of", "in_air", "numbers_of_gains"]
