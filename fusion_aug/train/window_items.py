"""What windows of episodes are cut with: items that hold, streams that stand for what is not decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from fusion_aug.core.engine import Run
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context
from fusion_aug.core.transform import Transform
from fusion_aug.ops.resample import nearest
from fusion_aug.physics.timewarp import Warp
from fusion_aug.sample import Sample
from fusion_aug.streams import Stream, Text, strings
from fusion_aug.transforms.temporal.speed import WarpTransform, warp_origin

ROUNDING = 1_000  # ns by which stamps of equal rates may be off each other
STAMPS = "stamps of what is not decoded"  # streams that stand for it while the pipeline runs
CLOCK = "stamps of the clock"


@dataclass
class WarpDraws(Run):
    """A pass that draws the warps of time of a pipeline, and nothing else.

    Attributes:
        found: the warps, in order.
    """

    found: list[Warp] = field(default_factory=list)

    def run_transform(self, transform: Any, sample: Sample, path: str, among: Sequence[int] | None = None) -> Sample:
        """Draw a warp; other transforms draw for themselves."""
        if isinstance(transform, WarpTransform) and self.gated_in(transform, sample, path, among):
            drawn = self.draw(transform, sample, 0, path)
            self.found.append(transform.warp(drawn[""], warp_origin(sample.meta)))
        return sample


def drawn_warps(
    pipeline: Transform, sample: Sample, *, seed: int, epoch: int, resources: Mapping[str, Any] | None
) -> list[Warp]:
    """The warps of time that a pipeline will apply to a sample."""
    draws = WarpDraws(Keys(seed, epoch), Context(resources or {}))
    pipeline.walk(sample, draws, "")
    return draws.found


def holding(times: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
    """The last items of sorted times (k,) at or before times (n,), int64 ns; and whether there is none, (n,) bool."""
    index = torch.searchsorted(times.contiguous(), at + ROUNDING, right=True) - 1
    return index.clamp(min=0), index < 0


def with_stand_ins(light: Sample, source: Sample, heavy: Mapping[str, Stream]) -> Sample:
    """A sample with streams that hold the stamps of what was taken out, since draws and warps depend on them."""
    clock = source.meta.clock
    stamps = {STAMPS: torch.cat([s.capture_times for s in heavy.values()]).unique()} if heavy else {}
    if clock in heavy:
        stamps[CLOCK] = heavy[clock].capture_times
        light = light.with_meta(0, clock=CLOCK)
    empty = {
        n: Text(frame=source.ref.frame, capture_times=t, values={"text": strings([""] * len(t))})
        for n, t in stamps.items()
    }
    return light.with_streams({**light.streams, **empty})


def without_stand_ins(sample: Sample, source: Sample) -> Sample:
    """A sample without the streams of ``with_stand_ins``."""
    if CLOCK in sample.streams:
        sample = sample.with_meta(0, clock=source.meta.clock)
    return sample.with_streams({n: s for n, s in sample.streams.items() if n not in (STAMPS, CLOCK)})


def stamps_alone(stream: Stream) -> Stream:
    """A stream of the same stamps and nothing else."""
    return Text(
        frame=stream.frame, capture_times=stream.capture_times, receive_times=stream.receive_times,
        values={"text": strings([""] * len(stream))},
    )  # fmt: skip


def nearest_item(times: Tensor, time: int) -> tuple[int, int]:
    """The command nearest to a time: its place and its own time."""
    first = int(nearest(times, torch.tensor([time]))[0])
    return first, int(times[first])


def taken(stream: Stream, index: Tensor, padded: Tensor) -> Stream:
    """Items of a stream, realized once and then repeated; what is padded is not ``present``."""
    once, again = index.unique(return_inverse=True)
    taken = stream.take_items(once).realized().take_items(again)
    if not bool(padded.any()):
        return taken
    return replace(taken, present=taken.present & ~padded)
