"""Values between stamps. Nothing is extrapolated."""

from __future__ import annotations

import torch
from torch import Tensor


def bracket(times: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Items (n,) before and after each moment, and the weight (n,) of the one after. Moments are cut at the ends."""
    at = at.clamp(times[0], times[-1])
    after = torch.searchsorted(times.contiguous(), at).clamp(max=len(times) - 1)
    before = torch.where(times[after] == at, after, after - 1).clamp(min=0)
    gap = (times[after] - times[before]).clamp(min=1).to(torch.float64)
    return before, after, (at - times[before]).to(torch.float64) / gap


def nearest(times: Tensor, at: Tensor) -> Tensor:
    """Item (n,) nearest to each moment (n,), the earlier of two."""
    before, after, weight = bracket(times, at)
    return torch.where(weight > 0.5, after, before)


def strongest(values: Tensor, times: Tensor, at: Tensor) -> Tensor:
    """Marks (k, ...) at moments (n,) in increasing order: each mark falls into the moment nearest to it, none is lost.

    Where several fall together the largest counts; a moment of none takes the smaller of those beside it, so that one
    mark does not become two, and a stretch of marks has no holes.
    """
    if len(at) == 0:
        return values[:0]
    before, after, _ = bracket(times, at)
    size = values.to(torch.float64).abs()
    out = torch.where(size[before] <= size[after], values[before], values[after])
    filled: set[int] = set()
    for i, slot in enumerate(nearest(at, times).tolist()):
        larger = slot not in filled or size[i] > out[slot].to(torch.float64).abs()
        out[slot] = torch.where(torch.as_tensor(larger), values[i], out[slot])
        filled.add(slot)
    return out
