"""Streams of a robot: joints, forces, commands, poses of its parts. Tactile streams are in ``touch``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from fusion_aug.errors import DataError
from fusion_aug.streams.base import Ragged, Stream
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
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


def check_width(value: Any, width: int, what: str) -> None:
    """Raise unless a column, where there is one, is (n, width).

    Raises:
        DataError: it is not; ``what`` says whose it is and what was expected.
    """
    if value is not None and (value.ndim != 2 or value.shape[1] != width):
        raise DataError(f"{what}, got shape {tuple(value.shape)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class JointState(Stream):
    """Readings of joints.

    Columns: position (n, J) rad or m; velocity (n, J) per second; acceleration (n, J); effort (n, J) Nm or N.

    Attributes:
        names: of the J joints, as the rig's joints call them.
    """

    names: tuple[str, ...] = ()

    columns: ClassVar[tuple[Column, ...]] = (
        joint("position"),
        joint("velocity", rate=True),
        joint("acceleration", rate_of="velocity"),
        joint_force("effort"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.column_table():
            what = f"JointState.{name}: expected one number for each of {len(self.names)} joints"
            check_width(self.values.get(name), len(self.names), what)


@dataclass(frozen=True, kw_only=True, eq=False)
class Wrench(Stream):
    """Force and torque at the origin of the sensor's frame, what the side of the base does to the side of the hand.

    Columns: force (n, 3) N; torque (n, 3) Nm.
    """

    columns: ClassVar[tuple[Column, ...]] = (polar("force", scaled=False), axial("torque"))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("force", "torque"):
            check_width(self.values.get(name), 3, f"Wrench.{name}: expected x, y, z")


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyPose(Stream):
    """Pose of a part of the robot, such as the end effector, in the stream's frame.

    Columns: pose ``T_frame_child`` (n, 4, 4); velocity (m/s) and angular_velocity (rad/s) in the child frame.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        pose("pose"),
        polar("velocity", in_child_frame=True, rate=True),
        axial("angular_velocity", in_child_frame=True, rate=True),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Action(Stream):
    """Commands, every part by its meaning.

    Columns: joint_position (n, J), absolute targets; joint_velocity (n, J); joint_delta (n, J) per step;
    position (n, 3) and pose (n, 4, 4), absolute targets of the end effector in the stream's frame; delta_position
    (n, 3) and delta_rotation (n, 3) rotation vectors, per step; command (n, k), discrete: a gripper opens or closes.

    Attributes:
        names: of the J joints.
    """

    names: tuple[str, ...] = ()

    columns: ClassVar[tuple[Column, ...]] = (
        joint("joint_position"),
        joint("joint_velocity", rate=True),
        joint("joint_delta"),
        position("position"),
        pose("pose"),
        polar("delta_position"),
        axial("delta_rotation"),
        categorical("command"),
    )
    per_step: ClassVar[tuple[str, ...]] = ("joint_delta", "delta_position", "delta_rotation")
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("joint_position", "joint_velocity", "joint_delta"):
            what = f"Action.{name}: expected one number for each of {len(self.names)} joints"
            check_width(self.values.get(name), len(self.names), what)
        for name in ("position", "delta_position", "delta_rotation"):
            check_width(self.values.get(name), 3, f"Action.{name}: expected x, y, z")


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
