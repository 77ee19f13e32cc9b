"""Base of logs of episodes: vectors with declared meaning, at one fixed rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Frame, Rig, UnknownLens
from calib.regular_files import is_there
from fusion_aug.core.registry import Call, handles
from fusion_aug.errors import ConfigError, DataError, UnhandledStream
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.intensity import Clouds
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.robots import BASE, ROBOT_OPTIONS, RobotLog
from fusion_aug.logs.core.sidecar import sidecar_of
from fusion_aug.logs.core.touch import with_touch_streams
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import (
    Action,
    ImageStream,
    Imu,
    JointState,
    Odometry,
    Signal,
    Stream,
    Taxels,
    Wrench,
)  # fmt: skip
from fusion_aug.streams.columns import label
from fusion_aug.streams.families import Fault, ImagePlane, Kinematic, Photometric, PointOp, Weather

KINDS: tuple[type[Stream], ...] = (JointState, Wrench, Imu, Odometry, Signal)
EVENT_FEATURES = ("next.done", "next.reward", "next.success", "next.truncated")  # features that need no declaration
Part = tuple[int, int, float]
OTHER_PART = "other"  # numbers of a vector that no transform has to change
LABEL = label("")
CAPTURE_TIMES_FILE = "capture_times.json"
WINDOW = "window"  # key beside the columns of a feature: [first, step], seconds after the frame, of its samples


@dataclass(frozen=True, kw_only=True, eq=False)
class Undeclared(Stream):
    """Numbers of a log whose meaning is not declared.

    Columns: value (n, ...).
    """

    invariant_to = (ImagePlane, Weather, Photometric, PointOp, Fault)
    remedy = (
        "declare what they mean, as in log.parts='{observation.state: {position: [0, 7], other: [7, 9]}}', or leave "
        "the feature out with log.exclude"
    )


@handles(Kinematic, Undeclared)
def refuse(stream: Undeclared, call: Call) -> Undeclared:
    """Stop, since joint readings may be among the numbers.

    Raises:
        UnhandledStream: always.
    """
    raise UnhandledStream(
        f"{call.transform.__name__}: nothing is known of the numbers of {call.name!r}; {stream.remedy}"
    )


EPISODE_OPTIONS = {
    **ROBOT_OPTIONS,
    "parts": Option(
        "what numbers mean: {observation.state: {position: [0, 7]}, action: {delta_position: [0, 3, 0.05]}}"
    ),
}


class EpisodeLog(RobotLog):
    """A log of episodes with one vector per feature and frame, and pictures without calibration."""

    def clouds(self, count: int) -> Clouds:
        """None: these formats hold no clouds, and a sidecar with clouds holds their scale."""
        return ()

    def parts_of(self, feature: str, names: list[str]) -> dict[str, Part]:
        """Return column -> (start, stop, factor) of a feature, from ``log.parts`` or from the names of its numbers."""
        declared = self._declared(feature)
        if declared is None:
            return {"event": (0, 1, 1.0)} if feature in EVENT_FEATURES else parts_from_names(names)
        return {str(c): _part(p, f"log.parts.{feature}.{c}") for c, p in declared.items() if c != WINDOW}

    def _declared(self, feature: str) -> Mapping[str, Any] | None:
        parts = self.options.parts if self.options.parts is not None else self._rig_file_options["parts"]
        if parts is not None and not isinstance(parts, Mapping):
            raise ConfigError(f"log.parts: expected a mapping of features to their columns, got {parts!r}")
        return parts.get(feature) if parts else None

    def window_of(self, feature: str) -> tuple[int, int] | None:
        """Return first offset from the frame's time and step (ns) of a feature with several samples per frame."""
        window = (self._declared(feature) or {}).get(WINDOW)
        if window is None:
            return None
        numbers = list(window) if isinstance(window, list | tuple) else []
        if len(numbers) != 2 or not all(isinstance(n, int | float) for n in numbers) or not numbers[1] > 0:
            raise ConfigError(f"log.parts.{feature}.{WINDOW}: expected [first, step] in seconds, got {window!r}")
        return round(numbers[0] * 1e9), round(numbers[1] * 1e9)

    def stream_of(
        self, feature: str, rows: np.ndarray, stream_fields: dict[str, Any], names: list[str], joints: tuple[str, ...]
    ) -> Stream:
        """Make the stream of a feature from its declared parts.

        Args:
            feature: its name in the log.
            rows: (n, k), or (n, w, k) where every frame holds a window of w samples.
            stream_fields: fields that every stream has: frame, capture times, records.
            names: names of its k numbers, where the log gives them.
            joints: joints of the robot, in the order of the readings.

        Raises:
            ConfigError: the parts do not fit the numbers, or no kind of stream has these columns.
        """
        parts = self.parts_of(feature, names)
        if not parts:
            return Undeclared(**stream_fields, values={"value": torch.from_numpy(rows.copy())})
        value = torch.from_numpy(rows.astype(np.float64))
        value = value[:, None] if value.ndim == 1 else value  # a vector of one number may have no axis of its own
        window = self.window_of(feature)
        if value.ndim == 3 and window is not None:  # samples of a faster clock, window by window
            times = stream_fields["capture_times"][:, None] + window[0] + window[1] * torch.arange(value.shape[1])
            stream_fields = {**stream_fields, "capture_times": times.reshape(-1), "records": ()}
            value = value.reshape(-1, value.shape[2])
        if value.ndim != 2:
            raise ConfigError(
                f"log.parts.{feature}: has {value.ndim - 1} axes; give the times of its samples as "
                f"window: [first, step]"
            )
        check_cover(parts, value.shape[1], f"log.parts.{feature}")
        values = {c: value[:, a:b] * f for c, (a, b, f) in parts.items()}
        kinds = (Action,) if feature.startswith("action") else KINDS
        for kind in kinds:
            table = kind.column_table()
            if not set(values) - {OTHER_PART} <= set(table):
                continue
            for c, v in values.items():
                width = table[c].width if c in table else 0
                if width and v.shape[1] != width:
                    raise ConfigError(f"log.parts.{feature}.{c}: takes {width} numbers, got {v.shape[1]}")
            return kind(**stream_fields, values=values, **self._joint_names(kind, values, names, joints, feature))
        known = sorted({c.name for k in kinds for c in k.columns} | {OTHER_PART})
        raise ConfigError(f"log.parts.{feature}: no kind of stream has the columns {sorted(values)}; known: {known}")

    def _joint_names(
        self, kind: type[Stream], values: dict[str, Tensor], names: list[str], joints: tuple[str, ...], feature: str
    ) -> dict[str, Any]:
        """Return the field ``names`` of streams with joint columns."""
        width = next((v.shape[1] for c, v in values.items() if kind.column_table().get(c, LABEL).kind == "joint"), 0)
        if kind not in (JointState, Action) or width == 0:
            return {}
        joint_names = tuple(names[:width]) if kind is JointState and names else joints[:width]
        if len(joint_names) != width:
            raise ConfigError(
                f"log.parts.{feature}: {width} joints, but the log names {len(joint_names)}; "
                f"describe the robot with log.urdf"
            )
        return {"names": joint_names}

    def feature_array(self, stream: Stream, feature: str, names: list[str], shape: tuple[int, ...]) -> np.ndarray:
        """Return the array (n, ...) of a feature in the units of the log; with a window, several items per row."""
        if isinstance(stream, Undeclared):
            return stream["value"].numpy()
        if isinstance(stream, Taxels):
            return stream["force"].numpy()
        out = np.zeros((len(stream), shape[-1]))
        for column, (start, stop, factor) in self.parts_of(feature, names).items():
            out[:, start:stop] = stream[column].numpy() / factor
        return out if self.window_of(feature) is None else out.reshape(-1, *shape)

    def check_parts(self, features: Iterable[str]) -> None:
        """Raise where ``log.parts`` names a feature that the log does not have."""
        parts = self.options.parts if self.options.parts is not None else self._rig_file_options["parts"]
        unknown = sorted(set(parts or ()) - set(features)) if isinstance(parts, Mapping) else []
        if unknown:
            raise ConfigError(f"log.parts: the log has no feature {unknown[0]!r} (it has {', '.join(features)})")

    def with_capture_times(self, streams: dict[str, Stream], sample_id: str) -> dict[str, Stream]:
        """Return streams with the capture times that the sidecar holds, where these differ from the frames' times."""
        path = sidecar_of(self.tree, sample_id) / CAPTURE_TIMES_FILE
        out = dict(streams)
        for name, times in (read_json(path) if is_there(path) else {}).items():
            if name not in streams or len(times) != len(streams[name]):
                raise DataError(f"{path}: {name}: {len(times)} stamps do not fit the stream")
            out[name] = replace(
                streams[name], capture_times=torch.tensor(times), receive_times=streams[name].capture_times
            )
        return out

    def make_sample(self, sample_id: str, streams: dict[str, Stream], first: int = 0) -> Sample:
        """Make the sample of an episode, with the calibration that is known."""
        frames: dict[str, Frame] = {}
        sensors: dict[str, Any] = {}
        for name, stream in streams.items():
            if isinstance(stream, ImageStream):
                height, width = stream.image(0).shape[:2]
                camera = stream.instance(name)
                sensors[camera] = CameraSensor(frame=stream.frame, model=UnknownLens.of((int(height), int(width))))
                frames[stream.frame] = Frame(axis_convention="camera")
            else:
                frames.setdefault(stream.frame, Frame())
        if self.robot is not None:
            streams = {n: replace(s, frame=self.robot.root) if s.frame == BASE else s for n, s in streams.items()}
            frames.pop(BASE, None)
        elif BASE not in frames:
            frames[BASE] = Frame()
        rig = self.with_robot(Rig(frames, sensors), streams)
        streams, rig = with_touch_streams(streams, rig, f"{self.root}: {sample_id}")
        base = self.base_of(rig)
        clock = next((n for n, s in streams.items() if isinstance(s, ImageStream)), next(iter(streams)))
        meta = SampleMeta(id=sample_id, scene=sample_id, ref=Ref(base, first), rig=rig, true_rig=rig, clock=clock)
        root = rig.root_of(base)
        if root != base and rig.frames[root].axis_convention == "world":
            meta = replace(meta, anchor=rig.T(root, base, first))
        return Sample(metas=(meta,), streams=streams)


def check_cover(parts: Mapping[str, Part], width: int, where: str) -> None:
    """Raise unless every number of a vector belongs to exactly one part."""
    owner: dict[int, str] = {}
    for column, (start, stop, _) in parts.items():
        if not 0 <= start < stop <= width:
            raise ConfigError(f"{where}.{column}: [{start}, {stop}] is not within the {width} numbers")
        for i in range(start, stop):
            if i in owner:
                raise ConfigError(f"{where}.{column}: number {i} belongs to {owner[i]!r} already")
            owner[i] = column
    left = [i for i in range(width) if i not in owner]
    if left:
        raise ConfigError(
            f"{where}: number {left[0]} of {width} is not declared; give its column, or declare "
            f"{OTHER_PART}: [{left[0]}, {left[-1] + 1}] where no transform has to change it"
        )


def _part(value: Any, where: str) -> Part:
    numbers = list(value) if isinstance(value, list | tuple) else []
    if len(numbers) not in (2, 3) or not all(isinstance(n, int | float) for n in numbers):
        raise ConfigError(f"{where}: expected [start, stop] or [start, stop, factor], got {value!r}")
    factor = float(numbers[2]) if len(numbers) == 3 else 1.0
    if factor == 0:
        raise ConfigError(f"{where}: the factor is 0")
    return int(numbers[0]), int(numbers[1]), factor


def parts_from_names(names: list[str]) -> dict[str, Part]:
    """Return the columns that the names of a vector's numbers imply without doubt."""
    known: dict[tuple[str, ...], dict[str, Part]] = {
        ("fx", "fy", "fz", "tx", "ty", "tz"): {"force": (0, 3, 1.0), "torque": (3, 6, 1.0)},
        ("ax", "ay", "az", "gx", "gy", "gz"): {"accel": (0, 3, 1.0), "gyro": (3, 6, 1.0)},
    }
    return dict(known.get(tuple(names), {}))
