"""Recordings with two clocks: a simulator's in their stamps, and another one in their log times."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.writer import Problem
from fusion_aug.logs.mcap.times import is_far
from fusion_aug.sample import Sample

REASON = (
    "the stamps of the recording are of another clock than its log times, and messages of {topics} have no stamps, so "
    "that nothing tells when they were captured"
)
REMEDY = "leave them out with log.exclude=[{topics}]"


def two_clocks(
    pipeline: Transform, sample: Sample, captured: Mapping[str, Sequence[int]], static: Collection[str]
) -> list[Problem]:
    """A problem for every change of speed where some topics are known by the clock of the log alone.

    Args:
        pipeline: what will be applied. sample: of the log.
        captured: topic -> when its messages were captured, ns. static: topics that hold at all times.
    """
    steps = [leaf for leaf in leaves(pipeline) if "time" in leaf.effects() and leaf.p > 0]
    apart = [t for t, times in captured.items() if t not in static and times and is_far(times[0], sample.ref.time)]
    topics = ", ".join(sorted(apart))
    reason, remedy = REASON.format(topics=topics), REMEDY.format(topics=topics)
    return [Problem("time", type(step).__name__, reason, remedy) for step in steps] if apart else []
