"""Removed and dropped items, and other rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import is_selected
from fusion_aug.streams import ImageStream, Points, Stream
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.streams.families import Temporal
from fusion_aug.transforms.temporal.clocks import LABELS
from fusion_aug.transforms.temporal.reading import interpolate_signal


@dataclass(frozen=True, kw_only=True)
class SamplingTransform(Transform, Temporal, abstract=True):
    """A change of which items of some sensors there are. Labels and ego poses stay.

    Attributes:
        sensors: names or shell patterns of the sensors.
    """

    scope: str = "sensor"
    sensors: tuple[str, ...] = ("*",)

    ignores = LABELS
    strict = False  # it changes no value, only which there are
    keeps_values: ClassVar[bool] = True
    inverse: ClassVar[str] = "exact"
    loss_reason: ClassVar[str] = "removed in time"
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    exemptions: ClassVar[dict[str, str]] = {
        "keeps_rows": "items are lost or added on purpose",
        "keeps_counts": "boxes lose the points of lost sweeps",
        "content_identity": "a lost picture shows nothing",
        "invertible": "what is lost does not come back",
        "differentiable": "it has no geometric parameter",
    }

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """The stream itself: the items that are left are unchanged.

        Raises:
            DataError: it is a continuous signal, which was interpolated between its samples.
        """
        if stream.is_continuous:
            raise DataError(f"invert: {cls.__name__} cannot be undone on {type(stream).__name__}: it was resampled")
        return stream


def applies_to(stream: Stream, call: Call, params: Mapping[str, Any] | None) -> bool:
    """Whether a draw applies to a stream; none does to a sample that is left as it is."""
    return params is not None and is_selected(stream, call.name, params["sensors"])


@dataclass(frozen=True, kw_only=True)
class DropFrames(SamplingTransform):
    """Remove a ``share`` of the pictures and sweeps; that at a sample's reference time (a keyframe) stays."""

    share: Range = (0.0, 0.2)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise: ClassVar[bool] = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {
        "share": Strength(
            0.0, 0.9, "linear", "declared: as much as suite/points_reducing takes of a cloud", "share of the items"
        ),
    }
    needs_naming: ClassVar[str] = "items disappear, also of labels"
    example: ClassVar[dict[str, Any]] = {"share": 0.5}

    def effects(self) -> dict[str, str]:
        """ "sampling" from ``share``: items are missing."""
        return {"sampling": "DropFrames.share"}


@handles(DropFrames, ImageStream)
@handles(DropFrames, Points)
def drop_frames(stream: Stream, call: Call) -> Stream:
    """Keep the items that their stamps spare. Pictures of one camera and time share a draw."""
    name, keep = stream.instance(call.name), []
    for index in range(len(call.sample.metas)):
        mine = (stream.sample_index == index).nonzero()[:, 0].tolist()
        if not mine:
            continue
        params, key = call.params[mine[0]], call.sample.key_item(call.name, index)
        if not applies_to(stream, call, params):
            keep += mine
            continue
        share = params["share"]
        lost = chance(row_key(params["noise"], name), stream.capture_times[mine], share).tolist()
        keep += [i for i, is_lost in zip(mine, lost, strict=True) if not is_lost or i == key]
    return stream if len(keep) == len(stream) else stream.take_items(torch.tensor(keep))


@dataclass(frozen=True, kw_only=True)
class TemporalMask(SamplingTransform):
    """A gap of ``seconds`` that begins anywhere in a sensor's items: what is in it is empty and not ``present``."""

    seconds: Range = (0.1, 0.5)

    limits: ClassVar[dict[str, tuple[float, float]]] = {"seconds": (0.0, 1e5)}
    strengths: ClassVar[Strengths] = {
        "seconds": Strength(0.0, 0.5, "linear", "declared: as long as suite/frozen_camera", "s"),
    }
    needs_naming: ClassVar[str] = "items disappear, also of labels"
    example: ClassVar[dict[str, Any]] = {"seconds": [0.02, 0.2]}

    def effects(self) -> dict[str, str]:
        """ "dropped_sensor" from ``seconds``: a sensor has no data for a while."""
        return {"dropped_sensor": "TemporalMask.seconds"}

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Length of the gap, and its begin as a share of what is left of the sensor's time."""
        return {"seconds": draw(self.seconds, rng), "begin": float(rng.random()), "sensors": list(self.sensors)}


@handles(TemporalMask, Stream)
def mask_gap(stream: Stream, call: Call) -> Stream:
    """Drop the items in the gap."""
    dropped = items_in_gap(stream, call)
    return with_dropped(stream, dropped) if bool(dropped.any()) else stream


def items_in_gap(stream: Stream, call: Call) -> Tensor:
    """(n,) bool, which items of the stream lie in the gaps of their samples."""
    dropped = torch.zeros(len(stream), dtype=torch.bool)
    for index in range(len(call.sample.metas)):
        mine = (stream.sample_index == index).nonzero()[:, 0]
        if len(mine) == 0 or not applies_to(stream, call, call.params[int(mine[0])]):
            continue
        params, times = call.params[int(mine[0])], stream.capture_times[mine]
        length = round(params["seconds"] * 1e9)
        begin = int(times[0]) + int(params["begin"] * max(0, int(times[-1] - times[0]) - length))
        # a gap that covers a sensor's only item would be a ModalityDropout
        dropped[mine] = (times >= begin) & (times < begin + length) & (len(mine) > 1)
    return dropped


@dataclass(frozen=True, kw_only=True)
class RateChange(SamplingTransform):
    """Sensors at another rate, in Hz. Signals are interpolated; of pictures and sweeps the latest is taken.

    Slots are counted from the item at a sample's reference time, so that keyframes stay. A picture keeps its capture
    time; ``receive_times`` hold the slot that it fills, and with it the delay that it had. A format without receive
    times holds each picture once.
    """

    rate: Range = 10.0

    version: ClassVar[int] = 2  # since 2026-11: deltas in the tool's frame add up to its path
    limits: ClassVar[dict[str, tuple[float, float]]] = {"rate": (0.01, 1e5)}
    strengths: ClassVar[Strengths] = {
        "rate": "what leaves a stream alone is its own rate, which differs from stream to stream",
    }
    example: ClassVar[dict[str, Any]] = {"rate": 100}

    def effects(self) -> dict[str, str]:
        """ "sampling" from ``rate``: items are at other times."""
        return {"sampling": "RateChange.rate"}


@handles(RateChange, Stream)
def change_rate(stream: Stream, call: Call) -> Stream:
    """Fill the slots of the new rate.

    Raises:
        UnhandledStream: the sensor is a kind of data without columns.
    """
    parts, owners = [], []
    for index in range(len(call.sample.metas)):
        mine = (stream.sample_index == index).nonzero()[:, 0]
        if len(mine) == 0:
            continue
        params = call.params[int(mine[0])]
        part = stream if len(mine) == len(stream) else stream.take_items(mine)
        if len(part) > 1 and applies_to(stream, call, params):
            if not stream.columns and not isinstance(stream, ImageStream):
                raise UnhandledStream(f"RateChange: nothing is known of the values of {call.name!r}; {stream.remedy}")
            step = round(1e9 / params["rate"])
            slots = slot_times(part.capture_times, stream.capture_times[call.sample.key_item(call.name, index)], step)
            part = (
                interpolate_signal(part, call.name, slots, slots + step)
                if stream.is_continuous
                else latest_per_slot(part, slots)
            )
        parts.append(part)
        owners.append(torch.full((len(part),), index))
    return parts[0] if len(parts) == 1 else stream.concat(parts, owners) if parts else stream


def slot_times(times: Tensor, key: Tensor, step: int) -> Tensor:
    """Times (n,) int64 ns of slots that lie whole steps before and after a key time, within times (k,)."""
    before, after = int(key - times[0]) // step, int(times[-1] - key) // step
    return key + step * torch.arange(-before, after + 1)


def latest_per_slot(stream: Stream, slots: Tensor) -> Stream:
    """The latest item captured by every slot (n,) ns, received in the slot with its own delay."""
    latest = (torch.searchsorted(stream.capture_times.contiguous(), slots, right=True) - 1).clamp(min=0)
    picked = stream.take_items(latest)
    stamps = slots + (picked.arrival_times - picked.capture_times)
    return replace(picked, receive_times=None if torch.equal(picked.capture_times, stamps) else stamps)
