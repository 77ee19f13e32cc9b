"""What logs of robots share: a rig from the user's description, and readings by name."""

from __future__ import annotations

from collections.abc import Container, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calib import Frame, Joint, Rig, Robot, load_urdf, validate
from calib.changed import changed
from calib.rig_file import read_rig_file, rig_from_dict
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.log import Log, Option
from fusion_aug.logs.core.writer import Problem
from fusion_aug.streams import JointState, Stream
from fusion_aug.transforms.scene.scene import ScaleScene

REFERENCE = "reference"  # frame of its own that samples of a described robot refer to
BASE = "base"  # frame of a robot whose description is not given
EYES = ("camera", "tactile")  # kinds of sensors that look: x right, y down, z forward
WORLDS = ("world", "map", "odom")
SCALED = (
    "the links of the robot come from its description, which does not grow with the scene",
    "leave the scale out (pipeline=robot has none), or write the folder format (output=folder)",
)


ROBOT_OPTIONS = {
    "rig": Option(
        "rig file (YAML) that adds or replaces sensors and frames; it may hold urdf, joint_map and parts too"
    ),
    "urdf": Option("description of the robot, whose links then follow the joints"),
    "joint_map": Option(
        '{joint in the log: joint in the description}, or a file with it; "-joint" where the log counts backwards'
    ),
    "exclude": Option("topics, features or datasets, or shell patterns of them, that are neither read nor written"),
}


class RobotLog(Log):
    """A log of a robot. What it lacks comes from ``log.rig``, ``log.urdf`` and ``log.joint_map``.

    A rig file may hold ``urdf`` (a path beside it), ``joint_map`` and ``parts`` too; the options come first.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        told = self._rig_file if isinstance(self._rig_file, dict) else {}
        if isinstance(self._rig_file, dict):
            told.setdefault("frames", {})
        rig = self.options.rig
        self._told = {k: told.pop(k, None) for k in ("urdf", "joint_map", "parts")}
        if rig and self._told["urdf"] is not None:
            if not isinstance(self._told["urdf"], str):
                raise ConfigError(f"{rig}: urdf: expected the name of a file, got {self._told['urdf']!r}")
            self._told["urdf"] = str(Path(rig).parent / self._told["urdf"])
        left_out = self.options.exclude
        names = [left_out] if isinstance(left_out, str) else left_out or []
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"log.exclude: expected names or shell patterns, got {left_out!r}")
        self._left_out = tuple(names)

    @cached_property
    def robot(self) -> Robot | None:
        """The robot as described, its joints called as in the log; None without a description."""
        urdf = self.options.urdf or self._told["urdf"]
        names = self.joint_map
        if urdf is None:
            if names:
                raise ConfigError("log.joint_map: names joints of a robot description; give it as log.urdf=FILE")
            return None
        return load_urdf(urdf, names)

    @cached_property
    def joint_map(self) -> dict[str, str]:
        """Joint in the log -> joint in the description."""
        told = self.options.joint_map
        if isinstance(told, str):
            told = read_rig_file(told)
            told = told.get("joint_map", told) if isinstance(told, dict) else told
        told = self._told["joint_map"] if told is None else told
        if told is not None and not isinstance(told, Mapping):
            raise ConfigError("log.joint_map: expected a mapping of joints in the log to joints in the description")
        return {str(k): str(v) for k, v in (told or {}).items()}

    def excluded(self, name: str) -> bool:
        """Whether the user leaves a topic or feature out."""
        return any(fnmatchcase(name, pattern) for pattern in self._left_out)

    def described(self, rig: Rig, streams: Mapping[str, Stream]) -> Rig:
        """The rig with the robot's links, following its readings, and with the user's rig file.

        Args:
            rig: what the log itself tells.
            streams: hold the readings.
        """
        if self.robot is not None:
            readings = readings_of(streams, self.robot.joints, str(self.root))
            turning = {e.name for _, e in self.robot.edges.values() if isinstance(e, Joint) and e.turns}
            missing = sorted(turning - set(readings))
            if missing:
                told = ", ".join(readings) or "no joints"
                raise ConfigError(
                    f"log.joint_map: the log has no reading of joint {missing[0]!r} of the description (it has {told})"
                )
            # fingers of which the log tells nothing rest at 0, and are joints still: by them a mirror knows the hand
            for span in [times[[0, -1]] for times, _ in readings.values() if len(times) > 1][:1]:
                still = set(self.robot.joints) - turning - set(readings)
                readings |= {j: (span, torch.zeros(2, dtype=torch.float64)) for j in still}
            links = self.robot.frames(None, None, readings)
            root, stands = links[self.robot.root], rig.frames.get(self.robot.root)
            if stands is not None and stands.parent is not None:  # the log itself says where the robot stands
                links[self.robot.root] = Frame(parent=stands.parent, pose=stands.pose, inertia=root.inertia)
            rig = Rig({**rig.frames, **links}, rig.sensors)
        return self._with_reference(self._with_rig_file(rig))

    def _with_reference(self, rig: Rig) -> Rig:
        """The rig with a frame of its own for the reference, which stands where the robot's root does.

        So a motion of the scene moves the robot as a body, and not its first joint on its root.
        """
        if self.robot is None or not isinstance(rig.frames[self.robot.root].pose, Tensor):
            return rig
        root = rig.frames[self.robot.root]
        carrier = Frame(parent=root.parent, pose=root.pose) if root.parent is not None else Frame()
        body = Frame(parent=REFERENCE, inertia=root.inertia)
        return Rig({**rig.frames, REFERENCE: carrier, self.robot.root: body}, rig.sensors)

    def _with_rig_file(self, rig: Rig) -> Rig:
        """The rig with what the user's rig file adds or replaces."""
        if self._rig_file is None:
            return rig
        file = self._rig_file if isinstance(self._rig_file, Mapping) else {}
        told = file.get("sensors")
        listed = told.values() if isinstance(told, Mapping) else ()
        looks = {str(s.get("frame")) for s in listed if isinstance(s, Mapping) and s.get("kind") in EYES}
        for frame in file["frames"].values() if isinstance(file.get("frames"), Mapping) else ():
            above = frame.get("parent") if isinstance(frame, Mapping) else None
            if above in WORLDS and above not in rig.frames:  # a robot that is bolted to its world need not declare it
                rig = Rig({**rig.frames, above: Frame(axis_convention="world")}, rig.sensors)
        # what the log tells of a frame is not which way a camera's axes point
        known = {n: changed(f, axis_convention="camera") if n in looks else f for n, f in rig.frames.items()}
        rig = Rig(known, rig.sensors)
        rig = rig_from_dict(self._rig_file, str(self.options.rig), rig)
        # a rig file says where a link stands, not what it weighs
        frames = {
            n: Frame(parent=f.parent, pose=f.pose, axis_convention=f.axis_convention, inertia=known[n].inertia)
            if n in known and f.inertia is None and known[n].inertia is not None else f
            for n, f in rig.frames.items()
        }  # fmt: skip
        return validate(Rig(frames, rig.sensors), str(self.options.rig))

    def base_of(self, rig: Rig) -> str:
        """The frame that a sample is referred to: the robot's root, else a frame called base, else any root."""
        for name in (REFERENCE, *([self.robot.root] if self.robot is not None else []), "base_link", BASE):
            if name in rig.frames:
                return name
        return next(n for n, f in rig.frames.items() if f.parent is None)


def readings_of(streams: Mapping[str, Stream], joints: Container[str], where: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Joint -> stamps (k,) and positions (k,) of those that are asked for, from all streams of joints.

    Raises:
        ConfigError: two streams tell of one joint.
        DataError: a reading is not a number; ``where`` names the log.
    """
    out: dict[str, tuple[Tensor, Tensor]] = {}
    told: dict[str, str] = {}
    for name, stream in streams.items():
        if not isinstance(stream, JointState) or "position" not in stream.values or not len(stream):
            continue
        new = torch.cat([torch.ones(1, dtype=torch.bool), stream.capture_times.diff() > 0])  # a late one stands twice
        for i, joint in enumerate(stream.names):
            if joint not in joints:
                continue
            if joint in out:
                raise ConfigError(
                    f"log.exclude: joint {joint!r} is told by {told[joint]!r} and by {name!r}; leave one of them out"
                )
            wrong = (~torch.isfinite(stream.values["position"][:, i])).nonzero()[:, 0]
            if len(wrong):
                raise DataError(
                    f"{where}: stream {name!r}: the position of joint {joint!r} is NaN or infinity at "
                    f"{int(stream.capture_times[wrong[0]])} ns; leave the stream out with log.exclude, or mend the log"
                )
            told[joint] = name
            out[joint] = (stream.capture_times[new], stream.values["position"][new, i].to(torch.float64))
    return out


def robot_problems(transform: Transform) -> list[Problem]:
    """Changes of scale, which a described robot would not follow."""
    found = [type(t).__name__ for t in leaves(transform) if isinstance(t, ScaleScene) and t.p > 0]
    return [Problem("scaled_robot", name, *SCALED) for name in found]
