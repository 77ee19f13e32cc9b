"""Streams of a robot: joints, forces, poses of its parts. Vectors of several things are in ``vectors``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import (
    Column,
    axial,
    covariance,
    event,
    joint,
    joint_force,
    label,
    polar,
    pose,
    position,
    scalar,
)  # fmt: skip
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.ragged import Ragged
from fusion_aug.streams.vectors import Action, check_width


@dataclass(frozen=True, kw_only=True, eq=False)
class JointState(Stream):
    """Readings of joints.

    Columns: position (n, J) rad or m; velocity (n, J) per second; acceleration (n, J); effort (n, J) Nm or N; gripper
    (n, k), how far it is open in any unit.

    Attributes:
        names: of the J joints, as the rig's joints call them.
        misplaced: as of ``RobotVector``.
    """

    names: tuple[str, ...] = ()
    misplaced: tuple[str, ...] = ()

    columns: ClassVar[tuple[Column, ...]] = (
        joint("position"),
        joint("velocity", rate=True),
        joint("acceleration", rate_of="velocity"),
        joint_force("effort"),
        scalar("gripper"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("position", "velocity", "acceleration", "effort"):
            what = f"JointState.{name}: expected one number for each of {len(self.names)} joints"
            check_width(self.values.get(name), len(self.names), what)


@dataclass(frozen=True, kw_only=True, eq=False)
class JointTarget(Action):
    """Commands to joints, as a driver receives them. They follow the readings and move no link.

    Columns: those of ``Action``; joint_effort (n, J) Nm or N.
    """

    columns: ClassVar[tuple[Column, ...]] = (*Action.columns, joint_force("joint_effort"))

    def __post_init__(self) -> None:
        super().__post_init__()
        what = f"JointTarget.joint_effort: expected one number for each of {len(self.names)} joints"
        check_width(self.values.get("joint_effort"), len(self.names), what)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wrench(Stream):
    """Force and torque at the origin of the sensor's frame, what the side of the base does to the side of the hand.

    Where the rig's sensor says ``of: environment`` it is the opposite, what the world does to the hand. An empty
    ``frame`` stands for axes that are not known.

    Columns: force (n, 3) N; torque (n, 3) Nm; a log may tell one of them in a vector of its own.
    """

    columns: ClassVar[tuple[Column, ...]] = (polar("force", scaled=False), axial("torque", scaled=True))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("force", "torque"):
            check_width(self.values.get(name), 3, f"Wrench.{name}: expected x, y, z")


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyPose(Stream):
    """Pose of a part of the robot, such as the end effector, in the stream's frame.

    Columns: pose ``T_frame_child`` (n, 4, 4); velocity (m/s) and angular_velocity (rad/s) in the child frame; and
    covariances (n, 6, 6) of position and rotation about the axes of the stream's frame, of the twist in the child's.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        pose("pose"),
        polar("velocity", in_child_frame=True, rate=True),
        axial("angular_velocity", in_child_frame=True, rate=True),
        covariance("pose_covariance", 6),
        covariance("twist_covariance", 6, in_child_frame=True, per_second=1),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Signal(Stream):
    """Numbers that no geometry touches.

    Columns: value (n, ...), any continuous number; event (n, ...), numbers of single points in time: a reward, the end.
    """

    columns: ClassVar[tuple[Column, ...]] = (scalar("value"), event("event"))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Keypoints3D(Ragged):
    """Named points of a skeleton in space.

    Columns: xyz (rows, 3) in the stream's frame; name; visible. A mirror swaps left and right in names.
    """

    columns: ClassVar[tuple[Column, ...]] = (position("xyz"), label("name"), scalar("visible"))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)


@dataclass(frozen=True, kw_only=True, eq=False)
class Keypoints2D(Ragged):
    """Named points on a picture.

    Columns: pixel (rows, 2); name; visible. A mirror swaps left and right in names.

    Attributes:
        camera: name of the rig's camera.
    """

    camera: str = ""

    columns: ClassVar[tuple[Column, ...]] = (
        Column("pixel", "pixels", width=2),
        label("name"),
        scalar("visible"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)

    def instance(self, name: str) -> str:
        """Draws are shared with the camera."""
        return self.camera or name
