"""Episodes of a simulator as logs of what each sensor truly read, before any sensor transform.

``fusion-aug run`` with the sensor part of the wrapper's pipeline and its seed on such a log gives what the wrapper
observed: an episode's sample has the id that its draws are keyed by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch

from calib import JointPose, Rig
from calib.replacing import replace_unchecked
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs import open_log
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.write import GrowingLog
from fusion_aug.sample import Sample
from fusion_aug.sim.recording_mcap import RIG, McapEpisodes
from fusion_aug.sim.step_pictures import IMAGE
from fusion_aug.streams import Action, ImageStream, JointState, Stream
from fusion_aug.streams.dropped import with_dropped

FORMATS = ("folder", "mcap", "lerobot")
ACTION = "action"  # stream of what was sent
EPISODES = "episodes.jsonl"  # what is told of each episode, a JSON object a line, in the folder of a log


class Episodes(Protocol):
    """Where finished episodes go."""

    part: Path

    def add(self, sample: Sample) -> None: ...
    def finish(self) -> Any: ...
    def __exit__(self, kind: Any, error: Any, trace: Any) -> None: ...


class Recorder:
    """Writes episodes of a simulated robot as a log, whole or not at all.

    Joint readings, wrenches, inertial units and touch come at every physics step, pictures when they are captured. A
    rig whose links follow joints (``JointPose``) follows the readings that are recorded. LeRobot holds what there was
    at each action.

    Args:
        root: folder to write, which is not there yet or empty.
        format: "folder", which holds everything exactly; "mcap", one recording for each episode, with a rig file and
            the robot's description beside; or "lerobot", at the rate of the actions.
        joints: names, where an action is targets of joints in rad or m; else it is numbers.
        options: of the format of the output.

    Raises:
        ConfigError: there is no such format. DataError: the folder is not empty.
    """

    def __init__(self, root: str | Path, format: str = "folder", *, joints: Sequence[str] = (), **options: Any):
        if format not in FORMATS:
            raise ConfigError(f"Recorder.format: expected {', '.join(FORMATS)}, got {format!r}")
        self.root, self.format, self._joints = Path(root), format, tuple(joints)
        self._log: Episodes = McapEpisodes(self.root) if format == "mcap" else GrowingLog(root, format, **options)
        self._told: list[dict[str, Any]] = []
        self._template: Sample | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Finish the log, or remove it where something went wrong."""
        if kind is None:
            self.close()
        else:
            self._log.__exit__(kind, error, trace)

    def begin(self, template: Sample) -> None:
        """Begin an episode.

        Args:
            template: one reading of every stream, as of a ``Stepper``: id, rig and what columns there are. An episode
                that has begun and did not end is left out.
        """
        self._template = template
        self._rows: dict[str, list[tuple[int, dict[str, np.ndarray]]]] = {n: [] for n in template.streams}
        self._actions: list[tuple[int, np.ndarray]] = []

    def reading(self, name: str, time_ns: int, columns: Mapping[str, Any]) -> None:
        """Note what a sensor truly read.

        Args:
            name: of the stream. time_ns: its capture time, later than that of the reading before.
            columns: column -> numbers of one reading, which are copied; of pictures ``image`` (H, W, 3).

        Raises:
            DataError: no episode has begun, the stream is unknown, the time is not later, or a column is missing.
        """
        self._running()
        rows = self._rows.get(name)
        if rows is None:
            raise DataError(f"Recorder: there is no stream {name!r} (there are {', '.join(self._rows)})")
        if rows and time_ns <= rows[-1][0]:
            raise DataError(f"Recorder: stream {name!r}: {time_ns} ns is not later than {rows[-1][0]} ns")
        rows.append((int(time_ns), {c: np.array(v) for c, v in columns.items()}))

    def action(self, time_ns: int, action: Any) -> None:
        """Note an action (n,) as it was sent."""
        self._running()
        self._actions.append((int(time_ns), np.atleast_1d(np.array(action, np.float64)).reshape(-1)))

    def end(self, told: Mapping[str, Any] | None = None) -> Sample:
        """End the episode and write it.

        Args:
            told: JSON-able: what was drawn of the world, versions, how it went; for ``episodes``.

        Returns:
            the sample that was written.

        Raises:
            DataError: no episode has begun, or a stream has no reading.
        """
        template = self._running()
        sample = self._sample(template)
        if self.format == "lerobot":
            sample = at_times(sample, sample[ACTION].capture_times)
        self._log.add(sample)
        self._told.append({"id": template.id, **(told or {})})
        self._template = None
        return sample

    def close(self) -> Log:
        """Finish the log, which appears under its name. It is given opened; of MCAP with its rig file."""
        if self._told and self.format != "lerobot":
            text = "".join(json.dumps(told, sort_keys=True) + "\n" for told in self._told)
            (self._log.part / EPISODES).write_text(text, encoding="utf-8")
        found = self._log.finish()
        return open_log("mcap", self.root, rig=str(self.root / RIG)) if self.format == "mcap" else found

    def _running(self) -> Sample:
        if self._template is None:
            raise DataError("Recorder: no episode has begun; call begin with its template first")
        return self._template

    def _sample(self, template: Sample) -> Sample:
        empty = [n for n, rows in self._rows.items() if not rows]
        if empty or not self._actions:
            raise DataError(f"Recorder: episode {template.id!r}: there is no reading of {(empty or [ACTION])[0]!r}")
        streams = {n: recorded(template.streams[n], rows, n) for n, rows in self._rows.items()}
        values = torch.from_numpy(np.stack([a for _, a in self._actions]))
        streams[ACTION] = Action(
            frame=template.metas[0].ref.frame,
            capture_times=torch.tensor([t for t, _ in self._actions]),
            names=self._joints,
            values={"joint_position" if self._joints else "value": values},
        )
        meta = template.metas[0]
        rig = with_readings(meta.rig, streams)
        return Sample(metas=(replace(meta, rig=rig, true_rig=rig, clock=meta.clock or ACTION),), streams=streams)


def recorded(stream: Stream, rows: Sequence[tuple[int, Mapping[str, np.ndarray]]], name: str) -> Stream:
    """A stream of readings like the one of a template.

    Raises:
        DataError: a reading has other columns or shapes.
    """
    times = torch.tensor([t for t, _ in rows])
    many = stream.take_items(torch.zeros(len(rows), dtype=torch.int64))
    cleared: dict[str, Any] = {
        "capture_times": times,
        "receive_times": None,
        "source_items": None,
        "clock_offset": None,
    }
    try:
        if isinstance(stream, ImageStream):
            pictures: Any = tuple(torch.from_numpy(columns[IMAGE]) for _, columns in rows)
            return replace_unchecked(many, items=pictures, pending=(None,) * len(rows), **cleared)
        values = {
            c: torch.from_numpy(np.stack([columns[c] for _, columns in rows]))
            .to(v.dtype)
            .reshape(len(rows), *v.shape[1:])
            for c, v in stream.values.items()
        }
    except (KeyError, ValueError, RuntimeError) as error:
        expected = IMAGE if isinstance(stream, ImageStream) else ", ".join(stream.values)
        raise DataError(f"Recorder: stream {name!r}: expected {expected}, as in its template ({error})") from error
    return replace(many, values=values, **cleared)


def with_readings(rig: Rig, streams: Mapping[str, Stream]) -> Rig:
    """The rig whose links follow the recorded readings of their joints."""
    frames = dict(rig.frames)
    known = {
        joint: (s.capture_times, s.values["position"][:, k].to(torch.float64))
        for s in streams.values() if isinstance(s, JointState) and "position" in s.values
        for k, joint in enumerate(s.names)
    }  # fmt: skip
    for name, frame in rig.frames.items():
        pose = frame.pose
        if isinstance(pose, JointPose) and pose.joint.name in known:
            times, readings = known[pose.joint.name]
            frames[name] = replace_unchecked(
                frame, pose=replace(pose, times=times, readings=readings.contiguous(), reach=None)
            )
    return Rig(frames, rig.sensors)


def at_times(sample: Sample, times: torch.Tensor) -> Sample:
    """The latest readings at times (n,) int64 ns, with these as their stamps; before the first one, it is empty."""
    streams = {}
    for name, stream in sample.streams.items():
        latest = torch.searchsorted(stream.capture_times.contiguous(), times, right=True) - 1
        taken = replace_unchecked(stream.take_items(latest.clamp(min=0)), capture_times=times, source_items=None)
        streams[name] = with_dropped(taken, latest < 0) if bool((latest < 0).any()) else taken
    return sample.with_streams(streams)


def episodes(root: str | Path) -> list[dict[str, Any]]:
    """What was told of each episode of a recorded log, with its id.

    Raises:
        DataError: there is no such file.
    """
    try:
        lines = (Path(root) / EPISODES).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{Path(root) / EPISODES}: cannot be read ({error.strerror})") from None
    return [json.loads(line) for line in lines]


__all__ = ["Recorder", "episodes"]
