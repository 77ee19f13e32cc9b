"""Values between known times. Nothing is extrapolated."""

from __future__ import annotations

import torch
from torch import Tensor


def bracket(times: Tensor, at: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Items around each time, for linear interpolation.

    Args:
        times: (k,) int64 ns, sorted. at: (n,) int64 ns; times outside are clamped to the ends.

    Returns:
        indices (n,) of the items before and after, and the weight (n,) float64 of the one after.
    """
    at = at.clamp(times[0], times[-1])
    after = torch.searchsorted(times.contiguous(), at).clamp(max=len(times) - 1)
    before = torch.where(times[after] == at, after, after - 1).clamp(min=0)
    gap = (times[after] - times[before]).clamp(min=1).to(torch.float64)
    return before, after, (at - times[before]).to(torch.float64) / gap


def nearest(times: Tensor, at: Tensor) -> Tensor:
    """Index (n,) of the item of ``times`` (k,) nearest to each time ``at`` (n,), the earlier of two; int64 ns."""
    before, after, weight = bracket(times, at)
    return torch.where(weight > 0.5, after, before)


def strongest(values: Tensor, times: Tensor, at: Tensor) -> Tensor:
    """Events resampled: each falls into the nearest of the new times, and none is lost.

    Where several fall together the largest counts; a new time without one takes the smaller of those before and after,
    so that one event does not become two, and a stretch of events has no holes.

    Args:
        values: (k, ...) of the events. times: (k,) int64 ns, sorted. at: (n,) int64 ns, increasing.
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
