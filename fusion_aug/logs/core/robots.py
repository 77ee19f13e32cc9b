"""Base of logs of robots: the rig from the user's description, and joint readings by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calib import Frame, Joint, Rig, Robot, load_urdf, validate
from calib.replacing import replace_unchecked
from calib.rig_file import read_rig_file, rig_from_dict
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.joint_checks import check_joints
from fusion_aug.logs.core.joint_readings import joint_readings
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.mounted_links import as_mounted
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.plausible import check_rig_file
from fusion_aug.logs.core.rig_sensors import sensors_without_stream
from fusion_aug.logs.core.unread_joints import without_unread
from fusion_aug.sample import Sample
from fusion_aug.sample.manifest import NAME as MANIFEST
from fusion_aug.sample.sensors import matches, unmatched
from fusion_aug.streams import Stream

UNKNOWN_FRAME = ""  # frame of wrenches whose axes nothing says
REFERENCE_FRAME = "reference"  # reference frame of samples of a described robot
BASE = "base"  # frame of a robot without a description
CAMERA_LIKE_KINDS = ("camera", "tactile")  # kinds of sensors whose frames have x right, y down, z forward
WORLD_FRAMES = ("world", "map", "odom")
SCALE_REASON = (
    "a robot and its reach have a size, which does not scale with the scene",
    "leave it out (~pipeline.transforms.scale; pipeline=robot has none), or write the folder format (output=folder)",
)


FILE_OPTIONS = ("urdf", "joint_map", "parts", "targets", "mirror")  # of a rig file, beside frames and sensors
ROBOT_OPTIONS = {
    "rig": Option(
        "rig file (YAML) that adds or replaces sensors and frames; it may also hold urdf, joint_map, targets, parts "
        "and mirror: {link or joint: its partner on the other side}",
        is_file=True,
    ),
    "urdf": Option("description of the robot, whose links then follow the joints", is_file=True),
    "joint_map": Option(
        '{joint in the log: joint in the description}, or a file with it; "-joint" where the sign is opposite',
        or_file=True,
    ),
    "targets": Option(
        "topics of joint states, or shell patterns of them, that are commands: they follow the readings and move no "
        "link; where none are named, those with a word such as command, cmd, target or desired in their name"
    ),
    "exclude": Option("topics, features or datasets, or shell patterns of them, that are neither read nor written"),
}


class RobotLog(Log):
    """A log of a robot. What it lacks comes from ``log.rig``, ``log.urdf`` and ``log.joint_map``.

    A rig file may also hold ``urdf`` (relative to it), ``joint_map``, ``targets``, ``mirror`` and ``parts``; options
    take precedence.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        rig_file = self._rig_file if isinstance(self._rig_file, dict) else {}
        if isinstance(self._rig_file, dict):
            rig_file.setdefault("frames", {})
        rig = self.options.rig
        self._rig_file_options = {k: rig_file.pop(k, None) for k in FILE_OPTIONS}
        if rig and self._rig_file_options["urdf"] is not None:
            if not isinstance(self._rig_file_options["urdf"], str):
                raise ConfigError(f"{rig}: urdf: expected the name of a file, got {self._rig_file_options['urdf']!r}")
            self._rig_file_options["urdf"] = str(Path(rig).parent / self._rig_file_options["urdf"])
        self._exclude_patterns = self._patterns("log.exclude", self.options.exclude)
        targets, where = self.options.targets, "log.targets"
        if targets is None:
            targets, where = self._rig_file_options["targets"], f"{rig}: targets"
        self.target_patterns = self._patterns(where, targets)

    def _patterns(self, where: str, value: Any) -> tuple[str, ...]:
        """Names of topics or features, or shell patterns of them, that an option holds.

        Raises:
            ConfigError: it holds something else, or one matches nothing of the log.
        """
        names = [value] if isinstance(value, str) else value or []
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"{where}: expected names or shell patterns, got {value!r}")
        if names and not (self.root / MANIFEST).is_file():  # an output lacks what its run left out
            wrong = unmatched(names, self.excludable)
            if wrong:
                known = ", ".join(sorted(self.excludable))
                raise ConfigError(f"{where}: {wrong[0]!r} matches nothing of {self.root}; it has {known}")
        return tuple(names)

    @property
    def declared_parts(self) -> Any:
        """What the user tells of the meaning of numbers: ``log.parts``, else ``parts`` of the rig file."""
        return self.options.parts if self.options.parts is not None else self._rig_file_options["parts"]

    def is_target(self, name: str) -> bool:
        """Whether ``log.targets`` names a topic."""
        return matches(name, self.target_patterns)

    @property
    def excludable(self) -> Collection[str]:
        """Names of the topics, features or datasets of all samples, which ``log.exclude`` may leave out."""
        return ()

    @cached_property
    def robot(self) -> Robot | None:
        """The described robot with the joint names of the log; None without a description."""
        urdf = self.options.urdf or self._rig_file_options["urdf"]
        names = self.joint_map
        if urdf is None:
            if names:
                raise ConfigError("log.joint_map: names joints of a robot description; give it as log.urdf=FILE")
            return None
        return load_urdf(urdf, names)

    @cached_property
    def joint_map(self) -> dict[str, str]:
        """Joint in the log -> joint in the description."""
        joint_map = self.options.joint_map
        if isinstance(joint_map, str):
            joint_map = read_rig_file(joint_map)
            joint_map = joint_map.get("joint_map", joint_map) if isinstance(joint_map, dict) else joint_map
        joint_map = self._rig_file_options["joint_map"] if joint_map is None else joint_map
        if joint_map is not None and not isinstance(joint_map, Mapping):
            raise ConfigError("log.joint_map: expected a mapping of joints in the log to joints in the description")
        return {str(k): str(v) for k, v in (joint_map or {}).items()}

    def option_files(self) -> list[Path]:
        """Files that the options name, and the description that the rig file names."""
        urdf = None if self.options.urdf else self._rig_file_options["urdf"]
        return [*super().option_files(), *([Path(urdf)] if urdf else [])]

    def stream_name(self, name: str) -> str:
        """Name of the stream of one of ``excludable``; the same by default."""
        return name

    @property
    def stream_names(self) -> Collection[str]:
        """Names of the streams of all of ``excludable``, of those too that are left out."""
        return {self.stream_name(n) for n in self.excludable}

    def words(self, sample: Sample) -> list[str]:
        """Sensors of the rig file that no stream is of; an output may lack streams that its run left out."""
        if not self._sensors_of_file or (self.root / MANIFEST).is_file():
            return []
        return sensors_without_stream(self._sensors_of_file, sample.streams, lambda: self.stream_names, self.rig_name)

    def is_excluded(self, name: str) -> bool:
        """Whether ``log.exclude`` names a topic or feature."""
        return matches(name, self._exclude_patterns)

    def with_robot(self, rig: Rig, streams: Mapping[str, Stream]) -> Rig:
        """Return the rig with the links of the described robot, which follow its readings, and with the rig file.

        Args:
            rig: frames and sensors of the log itself.
            streams: streams that hold the joint readings.

        Raises:
            ConfigError: joints of log and description are called differently, or two streams have readings of one.
            DataError: a reading is NaN or infinite, outside the joint's limits, or not what the joint should follow.
        """
        robot = self.robot
        if robot is not None:
            readings = joint_readings(streams, robot.joints, str(self.root))
            joints = [e for _, e in robot.edges.values() if isinstance(e, Joint)]
            unread = {j.name for j in joints if j.is_rotary} - set(readings)
            if unread:
                urdf = str(self.options.urdf or self._rig_file_options["urdf"])
                robot = without_unread(robot, unread, list(readings), streams, urdf)
            followers = joint_readings(streams, {m.follower for m in robot.mimics}, str(self.root))
            check_joints(robot, {**followers, **readings}, str(self.root))
            # sliding joints without readings rest at 0 but stay joints: a mirror needs the axes of the fingers
            for span in [times[[0, -1]] for times, _ in readings.values() if len(times) > 1][:1]:
                resting = set(robot.joints) - set(readings)
                readings |= {j: (span, torch.zeros(2, dtype=torch.float64)) for j in resting}
            links = self._with_partners(robot.to_frames(None, None, readings))
            root, known = links[robot.root], rig.frames.get(robot.root)
            if known is not None and known.parent is not None:  # the log itself gives the pose of the robot
                links[robot.root] = Frame(parent=known.parent, pose=known.pose, inertia=root.inertia)
            rig = Rig({**rig.frames, **as_mounted(links, rig.frames)}, rig.sensors)
        return self._with_reference(self.with_rig_file(rig))

    def _with_reference(self, rig: Rig) -> Rig:
        """Return the rig with a reference frame at the pose of the robot's root, which becomes its child.

        A motion of the scene then moves the robot as a body, and not its first joint relative to its root.
        """
        if self.robot is None or not isinstance(rig.frames[self.robot.root].pose, Tensor):
            return rig
        root = rig.frames[self.robot.root]
        if self.robot.root in WORLD_FRAMES and root.parent is None:  # of robots that stand in their world
            frames = {
                n: replace_unchecked(f, parent=REFERENCE_FRAME) if n in self.robot.edges and f.parent == self.robot.root
                else f for n, f in rig.frames.items()
            }  # fmt: skip
            world = Frame(axis_convention="world")
            body = Frame(parent=self.robot.root, inertia=root.inertia)
            return Rig({**frames, self.robot.root: world, REFERENCE_FRAME: body}, rig.sensors)
        carrier = Frame(parent=root.parent, pose=root.pose) if root.parent is not None else Frame()
        body = Frame(parent=REFERENCE_FRAME, inertia=root.inertia)
        return Rig({**rig.frames, REFERENCE_FRAME: carrier, self.robot.root: body}, rig.sensors)

    def _with_partners(self, links: dict[str, Frame]) -> dict[str, Frame]:
        """Links with the partners that the rig file declares under ``mirror``: link or joint -> link or joint.

        Raises:
            ConfigError: it is no such mapping, or the robot has no such link or joint.
        """
        declared, where = self._rig_file_options["mirror"], f"{self.options.rig}: mirror"
        if declared is None or self.robot is None:
            return links
        if not isinstance(declared, Mapping) or not all(isinstance(n, str) for pair in declared.items() for n in pair):
            raise ConfigError(f"{where}: expected a mapping of links (or joints) to their partners, got {declared!r}")
        of_joint = {n: link for link, (_, e) in self.robot.edges.items() if isinstance(e, Joint)
                    for n in (e.own or e.name, self.joint_map.get(e.name, e.name).removeprefix("-"))}  # fmt: skip
        out = dict(links)
        for a, b in [pair for one in declared.items() for pair in (one, one[::-1])]:
            link, partner = (n if n in self.robot.edges else of_joint.get(n) for n in (a, b))
            for name, found in ((a, link), (b, partner)):
                if found is None:
                    raise ConfigError(f"{where}.{name}: the robot has no such link or joint")
            if link not in out:  # nothing reads the joint that it moves by
                continue
            known = out[str(link)]
            if known.mirror_of not in (None, partner):
                raise ConfigError(f"{where}.{a}: has two partners, {known.mirror_of!r} and {partner!r}")
            out[str(link)] = replace_unchecked(known, mirror_of=partner)
        return out

    @property
    def rig_name(self) -> str:
        """What messages call the user's rig file."""
        return str(self.options.rig or "log.rig")

    @property
    def _sensors_of_file(self) -> Mapping[str, Any]:
        """The sensors that the user's rig file lists, as it says them."""
        sensors = self._rig_file.get("sensors") if isinstance(self._rig_file, Mapping) else None
        return sensors if isinstance(sensors, Mapping) else {}

    def with_rig_file(self, rig: Rig) -> Rig:
        """Return the rig with the frames and sensors that the user's rig file adds or replaces."""
        if self._rig_file is None:
            return rig
        file = self._rig_file if isinstance(self._rig_file, Mapping) else {}
        listed = self._sensors_of_file.values()
        camera_like = {
            str(s.get("frame")) for s in listed if isinstance(s, Mapping) and s.get("kind") in CAMERA_LIKE_KINDS
        }
        for frame in file["frames"].values() if isinstance(file.get("frames"), Mapping) else ():
            parent = frame.get("parent") if isinstance(frame, Mapping) else None
            # a robot that is fixed in its world need not declare the world
            if parent in WORLD_FRAMES and parent not in rig.frames:
                rig = Rig({**rig.frames, parent: Frame(axis_convention="world")}, rig.sensors)
        # the log gives a frame's pose, but not that it follows the camera convention
        known = {
            n: replace_unchecked(f, axis_convention="camera") if n in camera_like else f for n, f in rig.frames.items()
        }
        rig, path = Rig(known, rig.sensors), str(self.options.rig)
        rig = check_rig_file(rig, rig_from_dict(self._rig_file, path, rig), path)
        # a rig file gives the pose of a link, not its mass
        frames = {
            n: replace_unchecked(
                f, inertia=f.inertia or known[n].inertia, mirror_of=f.mirror_of or known[n].mirror_of
            ) if n in known else f
            for n, f in rig.frames.items()
        }  # fmt: skip
        return validate(Rig(frames, rig.sensors), path)

    def base_of(self, rig: Rig) -> str:
        """Reference frame of the samples: the robot's root, else a frame called base, else any root."""
        for name in (REFERENCE_FRAME, *([self.robot.root] if self.robot is not None else []), "base_link", BASE):
            if name in rig.frames:
                return name
        return next(n for n, f in rig.frames.items() if f.parent is None)
