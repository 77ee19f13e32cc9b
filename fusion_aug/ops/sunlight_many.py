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
    GREEN,
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
MEMBERS, PRESENT, GROUP = "pictures taken at once", "of which there are", "which of these"
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
        there = (np.arange(most) < len(group)).astype(np.float32)
        out.append({**told, MEMBERS: padded, PRESENT: there, GROUP: np.int64(groups.index(tuple(own)) if own else 0)})
    return out


@lru_cache(maxsize=16)  # all pictures of a size share them
def numbers_of_shade(grid: tuple[int, int]) -> dict[str, Any]:
    """What ``sunlight`` and ``log_shade`` need besides: tables that are the same for all pictures."""
    forms, offsets, prior = [], [], math.log((1 - SHADED_GROUND) / SHADED_GROUND)
    odd = np.full((4, 1), math.log(ODD))
    for k, kind in enumerate((GROUND, WALLS)):
        for shade in (0.0, SHADE):
            form = np.zeros(6)  # of the light, or that without the leaves' darkness, warmth, and their squares
            offset = 0.0
            for at, middle, width in ((k, kind[0] + shade, kind[1]), (2, kind[2] + BLUER * shade, kind[3])):
                form[at], form[3 + at] = middle / width**2, -0.5 / width**2
                offset -= 0.5 * (middle / width) ** 2
            forms.append(form)
            offsets.append([offset])
    offsets[0][0] += prior
    odd[0] += prior
    tables = {
        "forms": np.array(forms), "offsets": np.array(offsets), "odd": odd, "one": np.ones((1, 1, 1)),
        "quantiles": np.array([REFERENCE[0], 0.5]), "without ground": np.array([PLAUSIBLE[2], 0.0]),
        "ridge": np.diag([RIDGE, RIDGE, RIDGE, 1e-9]), "tints": -np.array([BLUER, PALER]).reshape(2, 1, 1, 1),
        **cosines(grid),
    }  # fmt: skip
    return {SHARED + name: table.astype(np.float32) for name, table in tables.items()}


class InTheSun(NamedTuple):
    """Pictures against the light of the sun that is told from all that were taken at once with each.

    Attributes:
        bright, hue: (N, h, w) log light, and log of red over blue, against those of ground in the sun.
        side: (N, 3) the side of the sun; see ``illumination.Sunlight``.
    """

    bright: Tensor
    hue: Tensor
    side: Tensor


def in_the_sun(seen: ManySurfaces, numbers: Numbers) -> InTheSun:
    """Pictures against the light of the sun.

    Args:
        seen: what the pictures show. numbers: ``numbers_of_groups`` and ``numbers_of_shade``.
    """
    (count,) = numbers[COUNT]
    members, there, own = numbers[MEMBERS][:count], numbers[PRESENT][:count], numbers[GROUP]
    entries, group, places = seen, own, members
    if not all(numbers[APART_FROM]):  # a picture that was taken at once with several counts in the light of each
        entries = ManySurfaces(*(x.index_select(0, members.reshape(-1)) for x in seen))
        places = torch.arange(members.numel(), device=members.device).view(members.shape)
        group = places.flatten() // members.shape[1]
    sun = _ground_in_the_sun(entries, places, there, numbers)
    light = sun.index_select(0, group)[..., None, None]
    bright, hue = entries.light - light[:, 0], entries.warm - light[:, 1]
    wall = (entries.distance < REACH) & (entries.rise.abs() < UPRIGHT) & (entries.green < GREEN[1])
    one, value = numbers[SHARED + "one"].expand_as(hue), bright.clamp(-BRIGHT, BRIGHT).add_(hue)
    rows = torch.stack([*entries.facing.unbind(1), one, value], 1).mul_(wall[:, None]).flatten(2)
    squares = torch.bmm(rows, rows.transpose(1, 2)).index_select(0, places.reshape(-1))
    share = there * (4 / (there.sum(1, keepdim=True) * rows.shape[2]))
    square = (squares.view(*places.shape, 25) * share[..., None]).sum(1).view(-1, 5, 5)
    side = torch.linalg.solve_ex(square[:, :4, :4] + numbers[SHARED + "ridge"], square[:, :4, 4])[0][:, :3]
    if entries is not seen:
        light = sun.index_select(0, own)[..., None, None]
        bright, hue = seen.light - light[:, 0], seen.warm - light[:, 1]
    return InTheSun(bright, hue, side.index_select(0, own))


def _ground_in_the_sun(seen: ManySurfaces, places: Tensor, there: Tensor, numbers: Numbers) -> Tensor:
    """Log light, and log of red over blue, (groups, 2), of ground in the sun.

    Args:
        seen: of pictures. places: (groups, k) those of each. there: (groups, k) 0 for one that is none.
    """
    warm = torch.where(seen.even > 0.5, seen.warm, BLANK)
    both = torch.stack([warm, seen.light], 1).flatten(2).index_select(0, places.reshape(-1))
    warm, light = both.view(*places.shape, 2, -1).unbind(2)
    warm = torch.where(there[..., None] > 0, warm, BLANK).flatten(1)
    on, light = warm < BLANK, light.flatten(1)
    count = on.sum(1, keepdim=True)
    at = ((count - 1) * numbers[SHARED + "quantiles"]).clamp_(min=0)
    first = at.long()
    after, part = (first + 1).clamp_(max=warm.shape[1] - 1), at.frac()

    def quantile(values: Tensor, k: int) -> Tensor:
        ordered = values.sort(1).values
        low, high = (ordered.gather(1, places[:, k, None]) for places in (first, after))
        return torch.lerp(low, high, part[:, k, None])

    hue = quantile(warm, 0).clamp_(*REFERENCE[1:])
    shade = (warm - (hue - GROUND[3])).clamp_(SHADE * BLUER, 0)
    lit = torch.where(on, torch.add(light, shade, alpha=-1 / BLUER), BLANK)
    found = torch.cat([quantile(lit, 1).clamp_(*PLAUSIBLE[:2]), hue], 1)
    return torch.where(count < LEAST, numbers[SHARED + "without ground"], found)


def log_shade(seen: ManySurfaces, sun: InTheSun, numbers: Numbers) -> Tensor:
    """Log of the share of light that is left of that in the sun (N, h, w): ``illumination.log_shade``.

    Args:
        seen: what the pictures show. sun: against its light. numbers: ``numbers_of_shade``.
    """
    bright, hue = sun.bright, sun.hue
    flat = torch.stack([bright, torch.add(bright, seen.leafy, alpha=-LEAVES), hue], 1).flatten(2)
    forms = numbers[SHARED + "forms"].expand(len(flat), -1, -1)
    density = torch.baddbmm(numbers[SHARED + "offsets"], forms, torch.cat([flat, flat * flat], 1))
    density = torch.logaddexp(density, numbers[SHARED + "odd"])
    ground, wall = (density[:, 1::2] - density[:, 0::2]).split(1, 1)  # log odds that they lie in the shade
    wall = torch.baddbmm(wall, (-TRUST * sun.side)[:, None], seen.facing.flatten(2))
    odds = torch.lerp(wall.view(hue.shape), ground.view(hue.shape), seen.level)
    expected = odds.sigmoid_().mul_(SHADE).masked_fill_(seen.sky, 0)
    weight = (seen.even - seen.level).mul_(LEAN).add_(LEAN).masked_fill_(seen.sky, LEAN * 0.01)
    waves = {n.removeprefix(SHARED): t for n, t in numbers.items() if n.startswith(SHARED)}
    across, down = _shadow_steps(seen, numbers)
    lit = integrated(across, down, expected, weight, waves)
    return lit.clamp_(1.3 * SHADE, -0.2 * SHADE).masked_fill_(seen.sky, 0)


def _shadow_steps(seen: ManySurfaces, numbers: Numbers) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Steps of log light across and down, each by the probability that it is a shadow's edge, and their weights."""
    far = seen.distance.clamp(min=0.1).log_().masked_fill_(seen.sky, torch.nan)  # whose steps count nowhere
    known = torch.stack([seen.light, seen.warm, far], 1)
    steps = torch.stack([known.roll(-1, 3), known.roll(-1, 2)], 1) - known[:, None]  # the last one is none
    step, colour, apart = steps.unbind(2)
    wide = step.abs().mul_(SCATTER[1] * 2**0.5).add_(SCATTER[0] * 2**0.5)
    off = torch.addcmul(colour[:, None], numbers[SHARED + "tints"], step[:, None]).div_(wide[:, None])
    shadow, paint = (off * off).neg_().exp_().unbind(1)
    likely = step * shadow / torch.add(shadow, paint, alpha=1 / PRIOR).add_(1e-3 / PRIOR)
    square = step * step
    likely = likely.mul_(square).div_(square.add_(FAINT**2))
    weight = torch.where(apart.abs() < STEP, 1.0, APART)
    return (likely[:, 0, :, :-1], weight[:, 0, :, :-1]), (likely[:, 1, :-1], weight[:, 1, :-1])


__all__ = ["InTheSun", "in_the_sun", "log_shade", "numbers_of_groups", "numbers_of_shade"]
