"""What logs of episodes share: vectors of which the user says what they mean, on one clock of a fixed rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Frame, Rig, UnknownLens
from fusion_aug.errors import ConfigError, UnhandledStream
from fusion_aug.families import Fault, ImagePlane, Kinematic, Photometric, PointOp, Weather
from fusion_aug.logs.robots import BASE, RobotLog, readings_of
from fusion_aug.registry import Call, handles
from fusion_aug.sample import Ref, Sample, Unit
from fusion_aug.streams import (
    Action,
    BodyPose,
    ImageStream,
    Imu,
    JointState,
    Odometry,
    Stream,
    Wrench,
)  # fmt: skip

KINDS: tuple[type[Stream], ...] = (JointState, Wrench, Imu, BodyPose, Odometry)
Part = tuple[int, int, float]
WINDOW = "window"  # among the columns of a feature: [first, step] seconds after the frame of its several samples


@dataclass(frozen=True, kw_only=True, eq=False)
class Undeclared(Stream):
    """Numbers of a log of which nobody has said what they mean.

    Columns: value (n, ...).
    """

    invariant_to = (ImagePlane, Weather, Photometric, PointOp, Fault)
    remedy = (
        "declare what they mean, as in log.parts='{observation.state: {position: [0, 7]}}', or leave the feature out "
        "with log.exclude"
    )


@handles(Kinematic, Undeclared)
def refuse(stream: Undeclared, call: Call) -> Undeclared:
    """Stop: readings of joints may be among the numbers.

    Raises:
        UnhandledStream: always.
    """
    raise UnhandledStream(
        f"{call.transform.__name__}: nothing is known of the numbers of {call.name!r}; {stream.remedy}"
    )


class EpisodeLog(RobotLog):
    """A log of episodes with one vector per feature and frame, and pictures without calibration."""

    uses = (*RobotLog.uses, "exclude", "parts")

    def parts_of(self, feature: str, names: list[str]) -> dict[str, Part]:
        """Column -> (start, stop, factor) of a feature, from ``log.parts`` or from the names of its numbers."""
        told = self._declared(feature)
        if told is None:
            return guessed(names)
        return {str(c): _part(p, f"log.parts.{feature}.{c}") for c, p in told.items() if c != WINDOW}

    def _declared(self, feature: str) -> Mapping[str, Any] | None:
        told = self.options.parts if self.options.parts is not None else self._told["parts"]
        if told is not None and not isinstance(told, Mapping):
            raise ConfigError(f"log.parts: expected a mapping of features to their columns, got {told!r}")
        return told.get(feature) if told else None

    def window_of(self, feature: str) -> tuple[int, int] | None:
        """First moment after the frame, and step, ns, of a feature that holds several samples per frame."""
        told = (self._declared(feature) or {}).get(WINDOW)
        if told is None:
            return None
        first, step, _ = _part([*told, 1.0], f"log.parts.{feature}.{WINDOW}", number=float)
        return round(first * 1e9), round(step * 1e9)

    def stream_of(
        self, feature: str, rows: np.ndarray, about: dict[str, Any], names: list[str], joints: tuple[str, ...]
    ) -> Stream:
        """The stream of a feature (n, k) by its declared parts."""
        parts = self.parts_of(feature, names)
        if not parts:
            return Undeclared(**about, values={"value": torch.from_numpy(rows.copy())})
        value = torch.from_numpy(rows.astype(np.float64))
        window = self.window_of(feature)
        if value.ndim == 3 and window is not None:  # samples of a faster clock, window by window
            moments = about["times"][:, None] + window[0] + window[1] * torch.arange(value.shape[1])
            about = {**about, "times": moments.reshape(-1), "records": ()}
            value = value.reshape(-1, value.shape[2])
        if value.ndim != 2:
            raise ConfigError(
                f"log.parts.{feature}: has {value.ndim - 1} axes; window: [first, step] says when its samples are"
            )
        for column, (start, stop, _) in parts.items():
            if not 0 <= start < stop <= value.shape[1]:
                raise ConfigError(
                    f"log.parts.{feature}.{column}: [{start}, {stop}] leaves the {value.shape[1]} numbers"
                )
        values = {c: value[:, a:b] * f for c, (a, b, f) in parts.items()}
        layout = tuple(f"{c}:{a}:{b}:{f!r}" for c, (a, b, f) in parts.items())
        if feature.startswith("action"):
            width = next((v.shape[1] for c, v in values.items() if c.startswith("joint_")), 0)
            return Action(**about, values=values, names=joints[:width], layout=layout)
        for kind in KINDS:
            if set(values) <= set(kind.column_table()):
                extra: dict[str, Any] = {}
                if kind is JointState:
                    width = next(iter(values.values())).shape[1]
                    extra["names"] = tuple(names[:width]) if names else joints[:width]
                return kind(**about, values=values, **extra)
        known = sorted({c.name for k in KINDS for c in k.columns})
        raise ConfigError(f"log.parts.{feature}: no kind of stream has the columns {sorted(values)}; known: {known}")

    def vector_at(
        self, stream: Stream, feature: str, names: list[str], shape: tuple[int, ...], ticks: Tensor
    ) -> np.ndarray:
        """The feature (n, ...) of a stream at ticks (n,), in the log's own units, the nearest item of each."""
        window = self.window_of(feature)
        if window is None:
            return self.vector_of(stream, feature, names, shape[-1])[nearest_items(stream, ticks).numpy()]
        moments = ticks[:, None] + window[0] + window[1] * torch.arange(shape[0])
        rows = self.vector_of(stream, feature, names, shape[-1])
        return rows[nearest_items(stream, moments.reshape(-1)).numpy()].reshape(len(ticks), *shape)

    def vector_of(self, stream: Stream, feature: str, names: list[str], width: int) -> np.ndarray:
        """The feature (items, k) of a stream, in the log's own units."""
        if isinstance(stream, Undeclared):
            return stream["value"].numpy()
        out = np.zeros((len(stream), width))
        for column, (start, stop, factor) in self.parts_of(feature, names).items():
            out[:, start:stop] = stream[column].numpy() / factor
        return out

    def assemble(self, sample_id: str, streams: dict[str, Stream], first: int = 0) -> Sample:
        """The sample of an episode, with what is known of its calibration."""
        joints = next((s for s in streams.values() if isinstance(s, JointState)), None)
        frames: dict[str, Frame] = {}
        sensors: dict[str, Any] = {}
        for name, stream in streams.items():
            if isinstance(stream, ImageStream):
                height, width = stream.image(0).shape[:2]
                camera = stream.instance(name)
                sensors[camera] = CameraSensor(frame=stream.frame, model=UnknownLens.of((int(height), int(width))))
                frames[stream.frame] = Frame(hand="camera")
            else:
                frames.setdefault(stream.frame, Frame())
        if self.robot is not None:
            streams = {n: replace(s, frame=self.robot.root) if s.frame == BASE else s for n, s in streams.items()}
            frames.pop(BASE, None)
        elif BASE not in frames:
            frames[BASE] = Frame()
        times = joints.times if joints is not None else torch.zeros(0, dtype=torch.int64)
        rig = self.described(Rig(frames, sensors), times, readings_of(joints))
        # a rig file may say that a sensor stands at another frame than the log's name for it
        streams = {n: _placed(s, n, rig) for n, s in streams.items()}
        base = self.base_of(rig)
        clock = next(n for n, s in streams.items() if isinstance(s, ImageStream) or s is not None)
        unit = Unit(id=sample_id, scene=sample_id, ref=Ref(base, first), rig=rig, truth=rig, clock=clock)
        root = rig.root_of(base)
        if root != base and rig.frames[root].hand == "world":
            unit = replace(unit, anchor=rig.T(root, base, first))
        return Sample(units=(unit,), streams=streams)


def _placed(stream: Stream, name: str, rig: Rig) -> Stream:
    sensor = rig.sensors.get(stream.instance(name))
    return stream if sensor is None or sensor.frame == stream.frame else replace(stream, frame=sensor.frame)


def _part(value: Any, where: str, number: Callable[[Any], Any] = int) -> Any:
    numbers = list(value) if isinstance(value, list | tuple) else []
    if len(numbers) not in (2, 3) or not all(isinstance(n, int | float) for n in numbers):
        raise ConfigError(f"{where}: expected [start, stop] or [start, stop, factor], got {value!r}")
    factor = float(numbers[2]) if len(numbers) == 3 else 1.0
    if factor == 0:
        raise ConfigError(f"{where}: the factor is 0")
    return number(numbers[0]), number(numbers[1]), factor


def guessed(names: list[str]) -> dict[str, Part]:
    """Columns that the names of a vector's numbers leave no doubt about."""
    known: dict[tuple[str, ...], dict[str, Part]] = {
        ("fx", "fy", "fz", "tx", "ty", "tz"): {"force": (0, 3, 1.0), "torque": (3, 6, 1.0)},
        ("ax", "ay", "az", "gx", "gy", "gz"): {"accel": (0, 3, 1.0), "gyro": (3, 6, 1.0)},
    }
    return dict(known.get(tuple(names), {}))


def nearest_items(stream: Stream, ticks: Tensor) -> Tensor:
    """Item (n,) that is handed over nearest to each tick (n,), the earlier of two."""
    handed = stream.handed_over
    after = torch.searchsorted(handed, ticks).clamp(max=len(handed) - 1)
    before = (after - 1).clamp(min=0)
    return torch.where((ticks - handed[before]).abs() <= (handed[after] - ticks).abs(), before, after)
