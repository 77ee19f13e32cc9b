"""Rig: a tree of frames, some of them moving, and the sensors mounted on it."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.figures import Figure, check_figures
from calib.replacing import replace_unchecked
from calib.se3 import invert
from calib.sensors import CameraSensor, Sensor, WrenchSensor
from calib.trajectory import MovingPose

EYE = torch.eye(4, dtype=torch.float64)
AXIS_CONVENTIONS = ("world", "body", "camera")

MAX_ANCESTORS = 1000  # as many as a robot may have links


@dataclass(frozen=True, eq=False, kw_only=True)
class Inertia:
    """Mass of a body, in the body's own frame.

    Attributes:
        mass: kg. center: (3,) of mass, metres. about_center: (3, 3) inertia about it, kg m^2.
    """

    mass: Annotated[float, Figure(unit="kilograms", at_least=0)]
    center: Tensor
    about_center: Tensor

    def __post_init__(self) -> None:
        check_figures(self)
        for name in ("center", "about_center"):
            if not bool(torch.isfinite(getattr(self, name)).all()):
                raise CalibrationError(f"{name}: holds NaN or infinity")

    def mapped(self, H: Tensor) -> Inertia:
        """Of the body carried by a similarity H (4, 4); it keeps its mass."""
        scale = torch.linalg.det(H[:3, :3].detach()).abs() ** (1 / 3)
        center = H[:3, :3].detach() @ self.center + H[:3, 3].detach()
        turned = H[:3, :3].detach() / scale  # a rotation or a reflection: the tensor maps alike
        return Inertia(mass=self.mass, center=center, about_center=scale**2 * turned @ self.about_center @ turned.T)


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """One frame and its pose in its parent.

    Attributes:
        parent: name of the parent frame, None for a root.
        pose: ``T_parent_frame``, (4, 4) float64, or a MovingPose: a Trajectory of known poses, or a JointPose that
            follows joint readings. Identity for a root.
        axis_convention: decides what a left-right mirror does to the body itself: "body" has y to its left
            (vehicle, LiDAR, radar, IMU), "camera" has x to its right, "world" is not a body.
        inertia: of the body at this frame, where it is known.
        mirror_of: the link on the other side of the robot, where its name does not say which that is.
    """

    parent: str | None = None
    pose: Tensor | MovingPose = field(default_factory=lambda: torch.eye(4, dtype=torch.float64))
    axis_convention: str = "body"
    inertia: Inertia | None = None
    mirror_of: str | None = None

    @property
    def pose_kind(self) -> str:
        """ "static", or the kind of its moving pose: "known" or "joint"."""
        return "static" if isinstance(self.pose, Tensor) else self.pose.kind

    def at(self, time: int | None) -> Tensor:
        """``T_parent_frame`` (4, 4) at a time in ns; a pose that does not move needs none."""
        if isinstance(self.pose, Tensor):
            return self.pose
        if time is None:
            raise CalibrationError("this frame moves, so a time is needed to look up its pose")
        return self.pose.at(time)

    def T_at_times(self, times: Tensor) -> Tensor:
        """``T_parent_frame`` at times (n,): (n, 4, 4), or (4, 4) where it does not move."""
        return self.pose if isinstance(self.pose, Tensor) else self.pose.T_at_times(times)


@dataclass(frozen=True, eq=False)
class Rig:
    """Frames and sensors of a vehicle or robot, at one time or over time.

    Attributes:
        frames: name -> Frame; every parent is one of them.
        sensors: name -> Sensor. Streams find their sensor by name.
    """

    frames: Mapping[str, Frame] = field(default_factory=dict)
    sensors: Mapping[str, Sensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Rig({len(self.frames)} frames, sensors {', '.join(self.sensors)})"

    def root_of(self, name: str) -> str:
        """The root of the tree that a frame is in.

        Raises:
            CalibrationError: the rig has no such frame, or its ancestors form a cycle.
        """
        return self.ancestors(name)[-1]

    def ancestors(self, name: str) -> list[str]:
        """The frame and its ancestors, up to the root.

        Raises:
            CalibrationError: the rig has no such frame, or its ancestors form a cycle or are too many.
        """
        chain, last = {name: None}, name
        while True:
            frame = self.frames.get(last)
            if frame is None:
                raise CalibrationError(f"frame {last!r} is not in the rig (it has {', '.join(self.frames)})")
            if frame.parent is None:
                return list(chain)
            if frame.parent in chain:
                raise CalibrationError(f"frame {name!r}: its ancestors form a cycle")
            if len(chain) > MAX_ANCESTORS:
                raise CalibrationError(f"frame {name!r}: has more than {MAX_ANCESTORS} ancestors")
            last = frame.parent
            chain[last] = None

    def T(self, a: str, b: str, time: int | None = None, time_a: int | None = None) -> Tensor:
        """``T_a_b`` (4, 4): maps a point in frame b at ``time`` to frame a at ``time_a``.

        Args:
            a: target frame.
            b: source frame.
            time: ns, when frame b is looked up.
            time_a: ns, when frame a is looked up; ``time`` by default.

        Raises:
            CalibrationError: a frame is unknown, the two are not connected, or a moving pose is unknown at that time.
        """
        time_a = time if time_a is None else time_a
        up_a, up_b = self.ancestors(a), self.ancestors(b)
        if up_a[-1] != up_b[-1]:
            raise CalibrationError(self._not_connected(a, b))
        # Below the lowest common parent, unless that parent itself moves between the two times.
        while time == time_a and len(up_a) > 1 and len(up_b) > 1 and up_a[-2] == up_b[-2]:
            up_a.pop()
            up_b.pop()
        left = self._chain_pose(up_a, time_a)
        right = self._chain_pose(up_b, time)
        if left is None:
            return torch.eye(4, dtype=torch.float64) if right is None else right
        return invert(left) if right is None else invert(left) @ right

    def _chain_pose(self, chain: list[str], time: int | None) -> Tensor | None:
        """``T_top_bottom`` of a chain of frames listed from bottom to top; None where it is one frame."""
        pose: Tensor | None = None
        for name in chain[:-1]:
            try:
                edge = self.frames[name].at(time)
            except CalibrationError as error:
                raise CalibrationError(f"frame {name!r}: {error}") from None
            pose = edge if pose is None else edge @ pose
        return pose

    def T_at_times(self, a: str, b: str, times: Tensor) -> Tensor:
        """``T_a_b`` (n, 4, 4) float64: maps a point in frame b to frame a, both looked up at times (n,) int64 ns.

        Raises:
            CalibrationError: a frame is unknown, the two are not connected, or a moving pose is unknown at a time.
        """
        up_a, up_b = self.ancestors(a), self.ancestors(b)
        if up_a[-1] != up_b[-1]:
            raise CalibrationError(self._not_connected(a, b))
        while len(up_a) > 1 and len(up_b) > 1 and up_a[-2] == up_b[-2]:
            up_a.pop()
            up_b.pop()
        ends = []
        for chain in (up_a, up_b):
            pose = torch.eye(4, dtype=torch.float64)
            for name in chain[:-1]:
                try:
                    pose = self.frames[name].T_at_times(times) @ pose
                except CalibrationError as error:
                    raise CalibrationError(f"frame {name!r}: {error}") from None
            ends.append(pose)
        return (invert(ends[0]) @ ends[1]).expand(len(times), 4, 4)

    def _not_connected(self, a: str, b: str) -> str:
        return f"frames {a!r} and {b!r} are not connected in the rig; give their poses in a rig file (log.rig=FILE)"

    def mapped(self, maps: Callable[[str], tuple[Tensor, Tensor] | None], but_poses_of: Container[str] = ()) -> Rig:
        """Every frame f carried by a similarity H_f: ``T_a_b' = H_a T_a_b H_b^-1``.

        Args:
            maps: gives H_f and its inverse, (4, 4) each, of a frame; None for a frame that stays as it is.
            but_poses_of: frames whose poses are left as they are, since others take their place.
        """
        frames = {}
        for name, frame in self.frames.items():
            above = None if frame.parent is None else maps(frame.parent)
            own = None if frame.parent is None else maps(name)
            if above is None and own is None:
                frames[name] = frame
                continue
            pose = frame.pose
            if name in but_poses_of:
                pass
            elif isinstance(pose, Tensor):
                pose = pose if above is None else above[0] @ pose
                pose = pose if own is None else pose @ own[1]
            else:
                pose = pose.mapped(EYE if above is None else above[0], EYE if own is None else own[1])
            heavy = frame.inertia if frame.inertia is None or own is None else frame.inertia.mapped(own[0])
            frames[name] = replace_unchecked(frame, pose=pose, inertia=heavy)
        return Rig(frames, self.sensors)

    def with_sensor(self, name: str, sensor: Sensor) -> Rig:
        """The rig with one sensor replaced."""
        return Rig(self.frames, {**self.sensors, name: sensor})

    def with_pose(self, name: str, pose: Tensor | MovingPose) -> Rig:
        """The rig with the pose of one frame in its parent replaced."""
        return Rig({**self.frames, name: replace_unchecked(self.frames[name], pose=pose)}, self.sensors)

    def camera(self, name: str) -> CameraSensor:
        """The camera called ``name``.

        Raises:
            CalibrationError: there is none.
        """
        sensor = self.sensors.get(name)
        if not isinstance(sensor, CameraSensor):
            cameras = ", ".join(n for n, s in self.sensors.items() if isinstance(s, CameraSensor))
            raise CalibrationError(f"the rig has no camera {name!r} (it has {cameras or 'none'})")
        return sensor

    def wrench_sign(self, name: str) -> float:
        """1 where a wrench sensor tells what the tool does to the world, -1 where it is the opposite."""
        sensor = self.sensors.get(name)
        return sensor.sign if isinstance(sensor, WrenchSensor) else 1.0

    def mirror_names(self) -> dict[str, str]:
        """Names that swap under a left-right mirror: sensors and the frames that they are mounted at."""
        names = {n: s.mirror_of for n, s in self.sensors.items() if s.mirror_of is not None}
        frames = {self.sensors[a].frame: self.sensors[b].frame for a, b in names.items()}
        return {**{a: b for a, b in frames.items() if a != b}, **names}

    def robot_root(self) -> str | None:
        """The lowest common ancestor of all joint-driven frames; None where there are none."""
        tops = []
        for name, frame in self.frames.items():
            if frame.pose_kind == "joint":
                chain = self.ancestors(name)
                moved = [i for i, n in enumerate(chain) if self.frames[n].pose_kind == "joint"]
                tops.append(chain[moved[-1] + 1 :][::-1])
        if not tops:
            return None
        shared = [names[0] for names in zip(*tops, strict=False) if len(set(names)) == 1]
        return shared[-1] if shared else None

    def renamed(self, names: Mapping[str, str]) -> Rig:
        """The rig with sensors and frames renamed, all at once (so that two may swap)."""
        if not names:
            return self

        def new(name: str) -> str:
            return names.get(name, name)

        frames = {
            new(n): replace_unchecked(
                f, parent=None if f.parent is None else new(f.parent),
                mirror_of=None if f.mirror_of is None else new(f.mirror_of),
            ) if f.parent in names or f.mirror_of in names else f
            for n, f in self.frames.items()
        }  # fmt: skip
        sensors = {
            new(n): replace_unchecked(
                s, frame=new(s.frame), mirror_of=None if s.mirror_of is None else new(s.mirror_of)
            )
            for n, s in self.sensors.items()
        }
        order = {n: frames[n] for n in self.frames if n in frames} | frames
        return Rig(order, {n: sensors[n] for n in self.sensors if n in sensors} | sensors)
