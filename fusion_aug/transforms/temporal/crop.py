"""Segments of recordings and episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, find_transform, handles
from fusion_aug.core.strength import Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History
from fusion_aug.streams import MapElements, Opaque, Stream, Text
from fusion_aug.streams.families import Temporal
from fusion_aug.transforms.temporal.speed import WarpTransform

CLOCK, ANYWHERE = "clock", "anywhere"
HOLDING = (Text, MapElements)  # an item holds until the next one


class Segment(NamedTuple):
    """A part [begin, end) of a sample's time, ns."""

    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class TemporalCrop(Transform, Temporal):
    """Cut a segment of ``seconds`` out of a recording or an episode: all sensors, labels, poses, actions and texts.

    What was captured in [begin, begin + seconds) stays as it is, with its stamps; nothing around it is kept. A sentence
    or a map that holds at the begin stays too, with the time at which it was told, and so does a message that was sent
    once. A sample that does not last longer, such as a keyframe, stays whole.

    The reference frame with its time, and the poses in the rig, stay, so that places of two segments can be compared
    and boxes come back by ``fa.invert``. The reference time may lie outside the segment then. Places of a moving
    vehicle are those about where it was at that time, and ages of points count from there; for samples that are each
    about their own place, cut the log into windows instead (``log.window``).

    Attributes:
        seconds: length of the segment.
        align: where it may begin: "clock", at an item of the stream that delimits the sample's timesteps; the name of a
            stream, at one of its items; or "anywhere".
    """

    seconds: Range
    align: str = CLOCK

    strict = False  # it changes no value, only which there are
    keeps_values: ClassVar[bool] = True
    inverse: ClassVar[str] = "exact"
    loss_reason: ClassVar[str] = "outside the segment"
    limits: ClassVar[dict[str, tuple[float, float]]] = {"seconds": (1e-3, 1e5)}
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "what lies outside the segment is left out on purpose",
        "keeps_counts": "boxes lose the points of sweeps outside the segment",
        "content_identity": "a picture outside the segment shows nothing",
        "invertible": "what lies outside the segment does not come back",
        "differentiable": "it has no geometric parameter",
    }
    strengths: ClassVar[Strengths] = {"seconds": "which part of a recording is seen, not how it is changed"}
    example: ClassVar[dict[str, Any]] = {"seconds": 0.09}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.align, str) or not self.align:
            raise ConfigError(
                f"TemporalCrop.align: expected {CLOCK!r}, {ANYWHERE!r} or the name of a stream, got {self.align!r}"
            )

    def effects(self) -> dict[str, str]:
        """ "segment" from ``seconds``: a sample is shorter, which one of a fixed length cannot be."""
        return {"segment": "TemporalCrop.seconds"}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Length of the segment, and its begin as a share of all that are possible."""
        return {"seconds": draw(self.seconds, rng), "begin": float(rng.random()), "align": self.align}

    @classmethod
    def before(cls, sample: Sample, index: int, params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The segment, ns: ``begin`` and ``end``; nothing where the sample stays whole."""
        found = segment(sample, index, params[""])
        return {} if found is None else dict(found._asdict())

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Leave out what lies outside the segment, and streams that have nothing in it."""
        found = [segment(sample, u, parameters.of(u)) if parameters.asks(u) else None for u in range(len(sample.metas))]
        out = cls.visit(sample, parameters, context, found)
        return out.with_streams({n: s for n, s in out.streams.items() if len(s) or not len(sample[n])})

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """The stream itself: the items that are left are unchanged."""
        return stream


def segment(sample: Sample, index: int, params: Mapping[str, Any]) -> Segment | None:
    """The segment that drawn parameters choose in one sample of a batch; None where it does not last longer.

    Raises:
        DataError: the sample has no stream of the name that the segment is aligned with.
    """
    meta, align = sample.metas[index], params["align"]
    name = (meta.clock or next(iter(sample.streams))) if align in (CLOCK, ANYWHERE) else align
    stream = sample.streams.get(name)
    mine = torch.zeros(0, dtype=torch.int64) if stream is None else stream.capture_times[stream.sample_index == index]
    if len(mine) == 0:
        raise DataError(
            f"sample {meta.id!r}: TemporalCrop.align: there is no item of {name!r}, with which the segment could begin "
            f"(there are {', '.join(sample.streams)})"
        )
    length = round(params["seconds"] * 1e9)
    step = int(mine.diff().median()) if len(mine) > 1 else 0
    room = int(mine[-1]) + step - int(mine[0]) - length
    if step == 0 or room <= 0:
        return None
    if align == ANYWHERE:
        begin = int(mine[0]) + int(params["begin"] * room)
    else:
        # stamps of real clocks scatter: a thousandth of a step does not cost the last place
        possible = mine[mine - mine[0] <= room + step // 1000]
        begin = int(possible[int(params["begin"] * len(possible))])
    return Segment(begin, begin + length)


@handles(TemporalCrop, Stream)
def keep_segment(stream: Stream, call: Call) -> Stream:
    """The items within the segments of their samples, and those that hold at their begins."""
    keep = torch.ones(len(stream), dtype=torch.bool)
    for index, span in enumerate(call.family_state):
        mine = (stream.sample_index == index).nonzero()[:, 0]
        if span is not None and len(mine):
            times = stream.capture_times[mine]
            keep[mine] = ((times >= span.begin) & (times < span.end)) | _holds(stream, times, span.begin)
    return stream if bool(keep.all()) else stream.take_items(keep.nonzero()[:, 0])


def _holds(stream: Stream, times: Tensor, begin: int) -> Tensor:
    """(k,) bool, which of the items of one sample, captured at times (k,), holds at a time."""
    holds = torch.zeros(len(times), dtype=torch.bool)
    if isinstance(stream, HOLDING) or (isinstance(stream, Opaque) and len(times) == 1):
        holds[(times <= begin).nonzero()[-1:, 0]] = True
    return holds


def segment_now(history: History) -> Segment | None:
    """What is left of a sample's time after all crops of a history, in the time that it has now; None: all of it."""
    last: Segment | None = None
    for record in history:
        cls = find_transform(record.name)
        if not record.applied or cls is None:
            continue
        if cls is TemporalCrop and record.before:
            last = Segment(int(record.before["begin"]), int(record.before["end"]))
        elif last is not None and issubclass(cls, WarpTransform):
            warp = cls.warp(record.params[""], int(record.before["start"]))
            last = Segment(*warp.new(torch.tensor(last)).tolist())
    return last


__all__ = ["TemporalCrop", "segment_now"]
