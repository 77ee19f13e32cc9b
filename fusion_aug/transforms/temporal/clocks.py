"""Delays of data, and errors of clocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import JointPose, Rig
from calib.replacing import replace_unchecked
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.ops.hashed import item_keys, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import is_selected
from fusion_aug.streams import Boxes2D, Boxes3D, EgoPose, JointState, MapElements, Stream, Text, Waypoints
from fusion_aug.streams.families import Temporal

LABELS = (Boxes3D, Boxes2D, EgoPose, MapElements, Text, Waypoints)  # they belong to the scene, not to a sensor


@dataclass(frozen=True, kw_only=True)
class ClockTransform(Transform, Temporal, abstract=True):
    """A change of the times of some sensors; their values stay.

    Attributes:
        sensors: names or shell patterns of the streams; each alone (scope ``sensor``) or all alike.
    """

    scope: str = "sensor"
    sensors: tuple[str, ...] = ("*",)

    strict = False  # it touches no data, so a stream without a rule cannot go wrong
    keeps_values: ClassVar[bool] = True
    inverse: ClassVar[str] = "exact"
    ignores = LABELS
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "stamps are no scene that predictions could go back to",
        "differentiable": "it has no geometric parameter",
    }

    @classmethod
    def undo(cls, stream: Stream, params: Mapping[str, Any], before: Mapping[str, Any], name: str) -> Stream:
        """The stream itself: what it shows is unchanged, and it keeps its times."""
        return stream


def selected_items(stream: Stream, call: Call) -> Tensor:
    """(n,) bool, the items that the transform applies to."""
    out = torch.zeros(len(stream), dtype=torch.bool)
    for i, params in call.asked:
        out[i] = is_selected(stream, call.name, params["sensors"])
    return out


def item_shifts_ns(stream: Stream, call: Call, seconds: Iterable[float]) -> Tensor:
    """(n,) int64 ns of the seconds of every item that is asked for, 0 where the transform does not apply."""
    ns = torch.zeros(len(stream), dtype=torch.int64)
    for (i, _), s in zip(call.asked, seconds, strict=True):
        ns[i] = round(s * 1e9)
    return torch.where(selected_items(stream, call), ns, torch.zeros_like(ns))


def with_receive_times(stream: Stream, stamps: Tensor) -> Stream:
    """The stream with other arrival times (n,) int64 ns; itself where they are the same."""
    if torch.equal(stamps, stream.arrival_times):
        return stream
    return replace_unchecked(stream, receive_times=None if torch.equal(stamps, stream.capture_times) else stamps)


@dataclass(frozen=True, kw_only=True)
class Latency(ClockTransform):
    """Data of some sensors arrive ``delay`` seconds later (``Stream.receive_times``); capture times stay.

    A recording keeps both (log time and header stamp). A format of one fixed rate gives, in every frame, what had
    arrived by then.
    """

    delay: Range = (0.0, 0.1)

    limits: ClassVar[dict[str, tuple[float, float]]] = {"delay": (0.0, 60.0)}
    strengths: ClassVar[Strengths] = {
        "delay": Strength(0.0, 0.5, "linear", "declared: as late as suite/frozen_camera", "s"),
    }
    needs_naming: ClassVar[str] = "what is reported lags behind its labels"
    example: ClassVar[dict[str, Any]] = {"delay": [0.0, 0.1], "sensors": ["CAM*"]}

    def effects(self) -> dict[str, str]:
        """ "delays" from ``delay``: items arrive later than they were captured."""
        return {"delays": "Latency.delay"}


@handles(Latency, Stream, by_item=True)
def delay_items(stream: Stream, call: Call) -> Stream:
    """Shift the arrival times."""
    return with_receive_times(
        stream, stream.arrival_times + item_shifts_ns(stream, call, [p["delay"] for _, p in call.asked])
    )


@dataclass(frozen=True, kw_only=True)
class Jitter(ClockTransform):
    """Arrival times that scatter: later by the size of a normal draw of ``sigma`` seconds, in the order of capture."""

    sigma: Range = (0.0, 0.01)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise: ClassVar[bool] = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 10.0)}
    strengths: ClassVar[Strengths] = {
        "sigma": Strength(0.0, 0.5, "linear", "declared: as late as suite/frozen_camera", "s"),
    }
    needs_naming: ClassVar[str] = "reported times become wrong"
    example: ClassVar[dict[str, Any]] = {"sigma": 0.01}

    def effects(self) -> dict[str, str]:
        """ "delays" from ``sigma``: items arrive later than they were captured."""
        return {"delays": "Jitter.sigma"}


@handles(Jitter, Stream, by_item=True)
def jitter_items(stream: Stream, call: Call) -> Stream:
    """Draw a delay for every item."""
    sensor = stream.instance(call.name)  # a picture's depth and classes arrive with it
    if not call.asked:
        return stream
    keys = item_keys([row_key(p["noise"], sensor) for _, p in call.asked])
    drawn = normal(keys, stream.capture_times[[i for i, _ in call.asked], None])[:, 0].abs().tolist()
    late = [size * p["sigma"] for size, (_, p) in zip(drawn, call.asked, strict=True)]
    selected, stamps = selected_items(stream, call), stream.arrival_times + item_shifts_ns(stream, call, late)
    for index in stream.sample_index[selected].unique().tolist():  # no message overtakes the one before
        mine = (stream.sample_index == index) & selected
        stamps[mine] = stamps[mine].cummax(0).values
    return with_receive_times(stream, stamps)


@dataclass(frozen=True, kw_only=True)
class ClockOffset(ClockTransform):
    """A clock that is ``offset`` seconds fast: reported capture times are wrong by that (``Stream.clock_offset``)."""

    offset: Range = (-0.05, 0.05)

    limits: ClassVar[dict[str, tuple[float, float]]] = {"offset": (-10.0, 10.0)}
    strengths: ClassVar[Strengths] = {
        "offset": Strength(0.0, (-0.5, 0.5), "linear", "declared: as late as suite/frozen_camera", "s"),
    }
    needs_naming: ClassVar[str] = "reported times become wrong"
    example: ClassVar[dict[str, Any]] = {"offset": [-0.02, 0.02], "sensors": ["CAM*"]}

    def effects(self) -> dict[str, str]:
        """ "clock" from ``offset``: reported capture times are wrong."""
        return {"clock": "ClockOffset.offset"}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Report wrong capture times, and links that follow the readings of joints at those."""
        out = cls.visit(sample, parameters, context)
        metas = [
            replace_unchecked(u, rig=_with_offset_links(u.rig, sample, out, k)) for k, u in enumerate(sample.metas)
        ]
        return replace_unchecked(out, metas=tuple(metas))


def _with_offset_links(rig: Rig, before: Sample, after: Sample, index: int) -> Rig:
    """The rig with links that follow the readings of a sample's joints at the times that are reported now."""
    shift: dict[str, int] = {}
    for name, joints in before.of_type(JointState).items():
        mine = joints.sample_index == index
        if bool(mine.any()):
            shift |= dict.fromkeys(joints.names, int((after[name].capture_times - joints.capture_times)[mine][0]))
    for name, frame in rig.frames.items():
        pose = frame.pose
        if isinstance(pose, JointPose) and shift.get(pose.joint.name):
            rig = rig.with_pose(name, pose.retimed(pose.times + shift[pose.joint.name]))
    return rig


@handles(ClockOffset, Stream, by_item=True)
def offset_clock(stream: Stream, call: Call) -> Stream:
    """Report wrong capture and receive times."""
    off = item_shifts_ns(stream, call, [p["offset"] for _, p in call.asked])
    if not bool(off.any()):
        return stream
    error = off if stream.clock_offset is None else off + stream.clock_offset
    stamps = None if stream.receive_times is None else stream.receive_times + off
    changed = {"capture_times": stream.capture_times + off, "clock_offset": error, "receive_times": stamps}
    return replace_unchecked(stream, **changed)
