"""Where sunlight and shade lie in many pictures: ``illumination.Sunlight`` and ``log_shade`` of all of them at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops.illumination import (
    APART,
    BLUER,
    BRIGHT,
    FAINT,
    GROUND,
    LEAN,
    LEAST,
    LEAVES,
    ODD,
    PALER,
    PLAUSIBLE,
    PRIOR,
    REACH,
    REFERENCE,
    RIDGE,
    SCATTER,
    SHADE,
    SHADED_GROUND,
    STEP,
    TRUST,
    UPRIGHT,
    WALLS,
)
from fusion_aug.ops.potential_many import cosines, integrated
from fusion_aug.ops.surfaces_many import SHARED, ManySurfaces
from fusion_aug.ops.warp_many import HOST

Numbers = Mapping[str, Any]
BLANK = 1e4  # what no log of light is, above all of them
ROOT = 2**0.5  # times a scatter, which squares are divided by to be exponents
MEMBERS, SHARE, GROUP = "pictures taken at once", "share of each", "which of these"
ABSENT = "least log light"  # ``BLANK`` where there is no such picture
COUNT, APART_FROM = f"{HOST}how many", f"{HOST}apart"


def numbers_of_groups(together: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """What ``sunlight`` needs of pictures: which were taken at once with each.

    Args:
        together: of every picture the numbers of those, itself among them; empty for one that nobody asks for.
    """
    groups = list(dict.fromkeys(tuple(t) for t in together if len(t))) or [(0,)]
    most, members = max(map(len, groups)), [k for group in groups for k in group]
    told = {COUNT: len(groups), APART_FROM: len(set(members)) == len(members)}
    out = []
    for k, own in enumerate(together):  # the numbers of group k travel with picture k
        group = groups[k] if k < len(groups) else ()
        padded = np.array([*group, *[k] * (most - len(group))], np.int64)
        there = np.arange(most) < len(group)
        share = there.astype(np.float32) / max(len(group), 1)
        blank = np.where(there, -BLANK, BLANK).astype(np.float32)[:, None]
        of = np.int64(groups.index(tuple(own)) if own else 0)
        out.append({**told, MEMBERS: padded, SHARE: share, ABSENT: blank, GROUP: of})
    return out


@lru_cache(maxsize=16)  # all pictures of a size share them
def numbers_of_shade(grid: tuple[int, int]) -> dict[str, Any]:
    """What ``sunlight`` and ``log_shade`` need besides: tables that are the same for all pictures."""
    forms, offsets, prior, quantiles = [], [], math.log((1 - SHADED_GROUND) / SHADED_GROUND), [REFERENCE[0], 0.5]
    odd = np.full((4, 1), math.log(ODD))
    for k, kind in enumerate((GROUND, WALLS)):
        for shade in (0.0, SHADE):
            form = np.zeros(6)  # of the light, warmth, the light without the leaves' darkness, and their squares
            offset = 0.0
            for at, middle, width in ((2 * k, kind[0] + shade, kind[1]), (1, kind[2] + BLUER * shade, kind[3])):
                form[at], form[3 + at] = middle / width**2, -0.5 / width**2
                offset -= 0.5 * (middle / width) ** 2
            forms.append(form)
            offsets.append([offset])
    offsets[0][0] += prior
    odd[0] += prior
    tables = {
        "forms": np.array(forms), "offsets": np.array(offsets), "odd": odd, "quantiles": np.array(quantiles),
        "before quantiles": -np.array(quantiles), "and after": np.array([0.0, 1.0]),
        "without ground": np.array([PLAUSIBLE[2], 0.0]),
        "ridge": np.diag([RIDGE, RIDGE, RIDGE, 1e-9]) * (grid[0] * grid[1] / 4),
        "tints": -np.array([BLUER, PALER]).reshape(2, 1, 1, 1), "scatter": np.array([SCATTER[0] * ROOT]),
        "paint": np.array([[1, 1 / PRIOR]]), "no paint": np.array([[[1e-3 / PRIOR]]]), "faint": np.array([FAINT**2]),
        "tied": np.array([-1 / LEAN]), "apart": np.array([-APART / LEAN]), **cosines(grid),
    }  # fmt: skip
    return {SHARED + name: table.astype(np.float32) for name, table in tables.items()}


class InTheSun(NamedTuple):
    """Pictures against the light of the sun that is told from all that were taken at once with each.

    Attributes:
        colour: (N, 2, h, w) log light, and log of red over blue, against those of ground in the sun.
        side: (N, 3) the side of the sun; see ``illumination.Sunlight``.
    """

    colour: Tensor
    side: Tensor


def in_the_sun(seen: ManySurfaces, numbers: Numbers) -> InTheSun:
    """Pictures against the light of the sun.

    Args:
        seen: what the pictures show. numbers: ``numbers_of_groups`` and ``numbers_of_shade``.
    """
    (count,) = numbers[COUNT]
    members, shares, own = numbers[MEMBERS][:count], numbers[SHARE][:count], numbers[GROUP]
    entries, group, places = seen, own, members
    if not all(numbers[APART_FROM]):  # a picture that was taken at once with several counts in the light of each
        entries = ManySurfaces(*(x.index_select(0, members.reshape(-1)) for x in seen))
        places = torch.arange(members.numel(), device=members.device).view(members.shape)
        group = places.flatten() // members.shape[1]
    sun = _ground_in_the_sun(entries, places, numbers[ABSENT][:count], numbers)
    colour = entries.colour - sun.index_select(0, group)[..., None, None]
    value = colour[:, :1].clamp(-BRIGHT, BRIGHT).add_(colour[:, 1:])
    wall = (entries.inverse > 1 / REACH) & (entries.rise.abs() < UPRIGHT) & (entries.leafy < 1)
    rows = torch.cat([entries.facing, value], 1).mul_(wall[:, None]).flatten(2)
    squares = torch.bmm(rows, rows.transpose(1, 2)).index_select(0, places.reshape(-1)).view(*places.shape, 25)
    square = torch.bmm(shares[:, None], squares).view(-1, 5, 5)
    side = torch.linalg.solve_ex(square[:, :4, :4] + numbers[SHARED + "ridge"], square[:, :4, 4])[0][:, :3]
    if entries is not seen:
        colour = seen.colour - sun.index_select(0, own)[..., None, None]
    return InTheSun(colour, side.index_select(0, own))


def _ground_in_the_sun(seen: ManySurfaces, places: Tensor, blank: Tensor, numbers: Numbers) -> Tensor:
    """Log light, and log of red over blue, (groups, 2), of ground in the sun.

    Args:
        seen: of pictures. places: (groups, k) those of each. blank: (groups, k, 1), ``ABSENT`` of each.
    """
    ground = seen.colour.masked_fill((seen.even <= 0.5)[:, None], BLANK).flatten(2).index_select(0, places.reshape(-1))
    ground = ground.view(*places.shape, 2, -1)
    light, warm = (torch.maximum(ground[:, :, k], blank).flatten(1) for k in range(2))
    count = (warm < BLANK).sum(1, keepdim=True, dtype=torch.float32)
    at = torch.addcmul(numbers[SHARED + "before quantiles"], count, numbers[SHARED + "quantiles"])
    sides = (at[..., None] + numbers[SHARED + "and after"]).clamp_(0, warm.shape[1] - 1).long()
    part = at.frac()

    def quantile(values: Tensor, k: int) -> Tensor:
        low, high = values.sort(1).values.gather(1, sides[:, k]).split(1, 1)
        return torch.lerp(low, high, part[:, k, None])

    hue = quantile(warm, 0).clamp_(*REFERENCE[1:])
    shade = (warm - (hue - GROUND[3])).clamp_(SHADE * BLUER, 0)  # none where there is no ground
    found = torch.cat([quantile(light.sub_(shade, alpha=1 / BLUER), 1).clamp_(*PLAUSIBLE[:2]), hue], 1)
    return torch.where(count < LEAST, numbers[SHARED + "without ground"], found)


def log_shade(seen: ManySurfaces, sun: InTheSun, numbers: Numbers) -> Tensor:
    """Log of the share of light that is left of that in the sun (N, h, w): ``illumination.log_shade``.

    Args:
        seen: what the pictures show. sun: against its light. numbers: ``numbers_of_shade``.
    """
    of_walls = torch.add(sun.colour[:, 0], seen.leafy, alpha=-LEAVES)
    flat = torch.cat([sun.colour, of_walls[:, None]], 1).flatten(2)
    forms = numbers[SHARED + "forms"].expand(len(flat), -1, -1)
    density = torch.baddbmm(numbers[SHARED + "offsets"], forms, torch.cat([flat, flat * flat], 1))
    density = torch.logaddexp(density, numbers[SHARED + "odd"])
    ground, wall = (density[:, 1::2] - density[:, 0::2]).split(1, 1)  # log odds that they lie in the shade
    wall = torch.baddbmm(wall, sun.side[:, None], seen.facing[:, :3].flatten(2), alpha=-TRUST)
    odds = torch.lerp(wall.view(seen.level.shape), ground.view(seen.level.shape), seen.level)
    shaded = odds.sigmoid_().masked_fill_(seen.sky, 0)
    weight = (seen.even - seen.level).add_(1).masked_fill_(seen.sky, 0.01)  # both weights over LEAN
    waves = {n.removeprefix(SHARED): t for n, t in numbers.items() if n.startswith(SHARED)}
    lit = integrated(*_shadow_steps(seen, numbers), shaded, SHADE, weight, waves)
    return lit.clamp_(1.3 * SHADE, -0.2 * SHADE).masked_fill_(seen.sky, 0)


def _shadow_steps(seen: ManySurfaces, numbers: Numbers) -> tuple[Tensor, Tensor]:
    """Steps of log light to the next cell across and down (N, 2, h, w), each by the probability that it is a shadow's
    edge, and their ties; those of the last column and of the last row mean nothing."""
    near = seen.inverse.clamp(max=10.0).log_().masked_fill_(seen.sky, torch.nan)  # whose steps count nowhere
    (count, height, width), near = near.shape, near[:, None]
    known = torch.cat([seen.colour, near, near], 1)  # so that memory goes on behind the last one
    strides = (4 * height * width, width - 1, height * width, width, 1)
    following = known.as_strided((count, 2, 3, height, width), strides, 1)
    steps = following - known[:, None, :3]
    step, colour, apart = steps.unbind(2)
    wide = torch.add(numbers[SHARED + "scatter"], step.abs(), alpha=SCATTER[1] * ROOT)
    off = torch.addcmul(colour[:, None], numbers[SHARED + "tints"], step[:, None]).div_(wide[:, None])
    alike = torch.mul(off, off).neg_().exp_().flatten(2)  # to a shadow's edge and to one of paint
    both = numbers[SHARED + "paint"].expand(len(alike), -1, -1)
    either = torch.baddbmm(numbers[SHARED + "no paint"], both, alike).view(step.shape)
    likely = (step * alike[:, 0].view(step.shape)).div_(either)
    square = torch.addcmul(numbers[SHARED + "faint"], step, step)
    likely = torch.addcdiv(likely, likely, square, value=-(FAINT**2))  # but for faint ones
    return likely, torch.where(apart.abs() < STEP, numbers[SHARED + "tied"], numbers[SHARED + "apart"])


__all__ = ["InTheSun", "in_the_sun", "log_shade", "numbers_of_groups", "numbers_of_shade"]
