"""Times of two views: the maps of time that each went through, and what of the source each still covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.registry import find_transform
from fusion_aug.physics.timewarp import Warp
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History
from fusion_aug.transforms.temporal.crop import Segment, TemporalCrop
from fusion_aug.transforms.temporal.speed import warps_of

ROUNDING = 10  # ns of the source within which a time lies that was rounded to 1 ns of a view, at speeds up to 20


@dataclass(frozen=True, eq=False)
class ViewTime:
    """The time of one view, and that of its source.

    Attributes:
        warps: from new time to old, in the order in which they were applied.
        span: first and last time [begin, end) of the source that the view covers, ns.
    """

    warps: tuple[Warp, ...]
    span: Segment

    @staticmethod
    def of(sample: Sample, index: int) -> ViewTime:
        """The time of one sample of a batch."""
        history = sample.metas[index].history
        warps = tuple(warps_of(history))
        own = [s.true_capture_times[s.sample_index == index] for s in sample.streams.values()]
        times = torch.cat([torch.tensor([sample.metas[index].ref.time]), *own])
        begin, end = to_source(torch.stack([times.min(), times.max()]), warps).tolist()
        slack = ROUNDING * len(warps)
        found = _cropped(history) or [Segment(begin - slack, end + 1 + slack)]
        return ViewTime(warps, Segment(max(s.begin for s in found), min(s.end for s in found)))


def _cropped(history: History) -> list[Segment]:
    """The segments of all crops of a history, in the time of the source."""
    found = []
    for k, record in enumerate(history):
        if record.applied and record.before and find_transform(record.name) is TemporalCrop:
            ends = torch.tensor([int(record.before["begin"]), int(record.before["end"])])
            found.append(Segment(*to_source(ends, tuple(warps_of(history[:k]))).tolist()))
    return found


def to_source(times: Tensor, warps: tuple[Warp, ...]) -> Tensor:
    """Times (n,) int64 ns of the source that times of a view stand for."""
    return through(times, [(w, False) for w in reversed(warps)])


def through(times: Tensor, steps: list[tuple[Warp, bool]]) -> Tensor:
    """Times (n,) int64 ns after maps of time, rounded once, at the end.

    Args:
        times: (n,) int64 ns. steps: maps, and of each whether it goes from old time to new.
    """
    if not steps:
        return times
    origin = steps[0][0].start
    seconds = (times - origin).numpy().astype(np.float64) * 1e-9
    for warp, forward in steps:
        off = (origin - warp.start) * 1e-9
        seconds = (warp.new_seconds if forward else warp.old_seconds)(seconds + off) - off
    return origin + torch.from_numpy(np.round(seconds * 1e9).astype(np.int64))
