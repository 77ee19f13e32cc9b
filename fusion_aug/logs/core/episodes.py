"""Base of logs of episodes: vectors with declared meaning, at one fixed rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from calib import CameraSensor, Frame, Rig, UnknownLens
from calib.regular_files import is_there
from fusion_aug.core.registry import Call, handles
from fusion_aug.errors import ConfigError, DataError, UnhandledStream
from fusion_aug.logs.core.episode_facts import EpisodeFacts, read_facts
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.intensity import Clouds
from fusion_aug.logs.core.part_names import parts_from_names
from fusion_aug.logs.core.parts import Parts, check_cover, read_parts
from fusion_aug.logs.core.robots import BASE, ROBOT_OPTIONS, RobotLog
from fusion_aug.logs.core.rotation_checks import check_rotations
from fusion_aug.logs.core.sidecar import rig_of_sidecar, sidecar_of
from fusion_aug.logs.core.taxel_rows import joined_rows, taxel_rows
from fusion_aug.logs.core.touch import with_touch_streams
from fusion_aug.logs.core.vectors import PARTS_OPTION, vector_stream
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import (
    ImageStream,
    Stream,
    Taxels,
)  # fmt: skip
from fusion_aug.streams.families import Fault, ImagePlane, Kinematic, Photometric, PointOp, Weather

EVENT_FEATURES = ("next.done", "next.reward", "next.success", "next.truncated")  # features that need no declaration
CAPTURE_TIMES_FILE = "capture_times.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Undeclared(Stream):
    """Numbers of a log whose meaning is not declared.

    Columns: value (n, ...).
    """

    invariant_to = (ImagePlane, Weather, Photometric, PointOp, Fault)
    remedy = (
        "declare what they mean, joints as in log.parts='{observation.state: {position: [0, 7], other: [7, 9]}}', the "
        "pose of a hand as in {position: [0, 3], rpy: [3, 6], gripper: [6, 7]}, with delta: base or delta: tool where "
        "it is a change per step, or leave the feature out with log.exclude"
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


EPISODE_OPTIONS = {**ROBOT_OPTIONS, "parts": PARTS_OPTION}


class EpisodeLog(RobotLog):
    """A log of episodes with one vector per feature and frame, and pictures without calibration."""

    @cached_property
    def lists(self) -> Mapping[str, frozenset[str]]:
        """Name of a list of samples, such as train -> the ids in it, where the log has such lists of any samples."""
        return {}

    def clouds(self, count: int) -> Clouds:
        """None: these formats hold no clouds, and a sidecar with clouds holds their scale."""
        return ()

    def parts_of(self, feature: str, names: list[str], width: int = 0) -> Parts:
        """Return the meaning of a feature's numbers, from ``log.parts`` or from the names of it and its numbers."""
        declared = self._declared(feature)
        if declared is not None:
            return read_parts(declared, f"log.parts.{feature}")
        if feature in EVENT_FEATURES:
            return Parts({"event": (0, 1, 1.0)})
        return parts_from_names(feature, names, width or len(names))

    def _declared(self, feature: str) -> Mapping[str, Any] | None:
        parts = self.declared_parts
        if parts is not None and not isinstance(parts, Mapping):
            raise ConfigError(f"log.parts: expected a mapping of features to their columns, got {parts!r}")
        return (parts or {}).get(feature, self.facts.parts.get(feature) if self.facts else None)

    @property
    def factors(self) -> dict[str, float]:
        """Column that ``log.parts`` gives a factor to SI units, as ``actions: delta_position`` -> the factor."""
        told = {f: self._declared(f) for f in self.declared_parts or () if not self.is_excluded(f)}
        spans = {f: read_parts(parts, f"log.parts.{f}").spans for f, parts in told.items() if parts is not None}
        return {f"{f}: {c}": factor for f, own in spans.items() for c, (*_, factor) in own.items() if factor != 1}

    @cached_property
    def facts(self) -> EpisodeFacts | None:
        """What the sidecar says of all episodes, of an output that was made from another log; None of other sets."""
        return read_facts(self.tree)

    def window_of(self, feature: str) -> tuple[int, int] | None:
        """Return first offset from the frame's time and step (ns) of a feature with several samples per frame."""
        return self.parts_of(feature, []).window

    def streams_of(
        self,
        name: str,
        feature: str,
        rows: np.ndarray,
        stream_fields: dict[str, Any],
        names: list[str],
        joints: tuple[str, ...],
    ) -> dict[str, Stream]:
        """Make the stream of a feature from its declared parts, or one for each of its hands.

        Args:
            name: of the stream. feature: its name in the log.
            rows: (n, k), or (n, w, k) where every frame holds a window of w samples.
            stream_fields: fields that every stream has: frame, capture times, records.
            names: names of its k numbers, where the log gives them.
            joints: joints of the robot, in the order of the readings.

        Raises:
            ConfigError: the parts do not fit the numbers, or no kind of stream has these columns.
        """
        parts = self.parts_of(feature, names, rows.shape[-1] if rows.ndim > 1 else 1)
        if parts.hands:
            check_cover(parts.spans, rows.shape[-1], f"log.parts.{feature}")
        made = {
            f"{name}{end}": stream_of_rows(feature, rows, p, names, joints, stream_fields, whole=not parts.hands)
            for end, p in parts.by_stream.items()
        }
        check_rotations(rows, parts, feature)
        return made

    def feature_array(
        self, sample: Sample, name: str, feature: str, names: list[str], shape: tuple[int, ...]
    ) -> np.ndarray:
        """Return the array (n, ...) of a feature in the units of the log; with a window, several items per row.

        Args:
            sample: that holds it. name: of its stream, before those of its hands.
            feature: its name in the log. names: of its numbers. shape: of one row.
        """
        if taxel_rows(name, sample.rig.sensors):
            return joined_rows(name, sample).numpy()
        parts = self.parts_of(feature, names, shape[-1]).by_stream
        rows = [rows_of_stream(sample[f"{name}{end}"], own, shape) for end, own in parts.items()]
        return rows[0] if len(rows) == 1 else np.sum(rows, 0)  # no number belongs to two hands

    def _check_frames(self, rig: Rig, streams: Mapping[str, Stream]) -> None:
        """Raise where ``log.parts`` names a frame that the rig does not have."""
        for name, stream in streams.items():
            for word, frame in (("frame", stream.frame), ("tool", stream.child)):
                if frame and frame not in rig.frames:
                    raise ConfigError(
                        f"log.parts: {name}: {word}: the rig has no frame {frame!r} (it has {', '.join(rig.frames)}); "
                        f"give its pose with log.rig, or the robot's description with log.urdf"
                    )

    def check_parts(self, features: Iterable[str]) -> None:
        """Raise where ``log.parts`` names a feature that the log does not have."""
        parts = self.declared_parts
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
                height, width = _size_of(stream)
                camera = stream.instance(name)
                sensors[camera] = CameraSensor(frame=stream.frame, model=UnknownLens.of((int(height), int(width))))
                frames[stream.frame] = Frame(axis_convention="camera")
            elif stream.frame == BASE:
                frames.setdefault(BASE, Frame())
        if self.robot is not None:
            streams = {n: replace(s, frame=self.robot.root) if s.frame == BASE else s for n, s in streams.items()}
            frames.pop(BASE, None)
        elif BASE not in frames:
            frames[BASE] = Frame()
        rig = Rig(frames, sensors)
        if self.facts is not None:  # the calibration of the log that it was made from
            rig = rig_of_sidecar(self.tree, sample_id) or rig
            base = self.facts.base if self.robot is None else self.robot.root
            streams = {n: replace(s, frame=base) if s.frame == BASE else s for n, s in streams.items()}
        rig = self.with_robot(rig, streams)
        if self.facts is None:
            self._check_frames(rig, streams)
        streams, rig = with_touch_streams(streams, rig, f"{self.root}: {sample_id}", self.rig_name)
        base = self.base_of(rig)
        if self.facts is not None and self.facts.reference in rig.frames:
            base = self.facts.reference
        clock = next((n for n, s in streams.items() if isinstance(s, ImageStream)), next(iter(streams)))
        meta = SampleMeta(id=sample_id, scene=sample_id, ref=Ref(base, first), rig=rig, true_rig=rig, clock=clock)
        root = rig.root_of(base)
        if root != base and rig.frames[root].axis_convention == "world":
            meta = replace(meta, anchor=rig.T(root, base, first))
        return Sample(metas=(meta,), streams=streams)


def stream_of_rows(
    feature: str,
    rows: np.ndarray,
    parts: Parts,
    names: list[str],
    joints: tuple[str, ...],
    stream_fields: dict[str, Any],
    *,
    whole: bool = True,
) -> Stream:
    """Make the stream of a feature of known parts; see ``EpisodeLog.streams_of``.

    Args:
        whole: whether every number belongs to one of the parts.
    """
    if not parts:
        frame = parts.frame or stream_fields["frame"]
        return Undeclared(**{**stream_fields, "frame": frame}, values={"value": torch.from_numpy(rows.copy())})
    value = torch.from_numpy(rows.astype(np.float64))
    value = value[:, None] if value.ndim == 1 else value  # a vector of one number may have no axis of its own
    if value.ndim == 3 and parts.window is not None:  # samples of a faster clock, window by window
        first, step = parts.window
        times = stream_fields["capture_times"][:, None] + first + step * torch.arange(value.shape[1])
        stream_fields = {**stream_fields, "capture_times": times.reshape(-1), "records": ()}
        value = value.reshape(-1, value.shape[2])
    if value.ndim != 2:
        raise ConfigError(
            f"log.parts.{feature}: has {value.ndim - 1} axes; give the times of its samples as window: [first, step]"
        )
    if whole:
        check_cover(parts.columns, value.shape[1], f"log.parts.{feature}")
    return vector_stream(feature, value, parts, names, joints, stream_fields)


def rows_of_stream(stream: Stream, parts: Parts, shape: tuple[int, ...]) -> np.ndarray:
    """The array (n, ...) of a stream of known parts; see ``EpisodeLog.feature_array``."""
    if isinstance(stream, Undeclared):
        return stream["value"].numpy()
    if isinstance(stream, Taxels):
        return stream["force"].numpy()
    out = np.zeros((len(stream), shape[-1]))
    for column, (start, stop, factor) in parts.columns.items():
        out[:, start:stop] = stream[column].numpy() / factor
    return out if parts.window is None else out.reshape(-1, *shape)


def _size_of(stream: ImageStream) -> tuple[int, int]:
    """(height, width) of a stream's pictures; of a video without decoding one."""
    first = stream.items[0]
    height, width = first.frame_size if hasattr(first, "frame_size") else stream.image(0).shape[:2]
    return int(height), int(width)
