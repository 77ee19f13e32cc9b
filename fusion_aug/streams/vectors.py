"""Vectors of a robot that hold several things at once: what it says of itself, and what it is told to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from calib.rotation_forms import WIDTHS
from fusion_aug.errors import DataError
from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import Column, axial, categorical, joint, polar, pose, position, scalar
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.rotations import turn, turn_per_step

# form of a rotation -> name of the column of its changes per step
CHANGES = {form: f"delta_{form}" for form in WIDTHS} | {"axis_angle": "delta_rotation"}
OF_THE_TOOL = "tool_"  # begins the names of changes along and about the axes of the body itself


def check_width(value: Any, width: int, what: str) -> None:
    """Raise unless a column, where there is one, is (n, width).

    Raises:
        DataError: it is not; ``what`` says whose it is and what was expected.
    """
    if value is not None and (value.ndim != 2 or value.shape[1] != width):
        raise DataError(f"{what}, got shape {tuple(value.shape)}")


@dataclass(frozen=True, kw_only=True, eq=False)
class RobotVector(Stream):
    """Base of states and commands; every part by its meaning.

    Columns, of a hand (end effector) in the stream's frame: position (n, 3) m; its rotation in one of the forms of
    ``calib.rotation_forms``, named so, or pose (n, 4, 4); velocity (n, 3) m/s and angular_velocity (n, 3) rad/s.
    Per step: delta_position (n, 3); delta_rotation (n, 3), a rotation vector, or delta_ and another form,
    ``R_next = dR R``; the same with tool_ before them along and about the axes of the hand itself, ``R_next = R dR``.
    Of joints: joint_position (n, J) rad or m, joint_velocity (n, J), joint_delta (n, J) per step.
    Besides: gripper (n, k), how far it is open in any unit, gripper_velocity (n, k) per second; command (n, k),
    discrete: a gripper opens or closes; value (n, k), numbers that no geometry touches.

    Attributes:
        names: of the J joints.
        misplaced: names of numbers that are declared as ``other`` or ``value`` although they are called as those of a
            pose are: what would have to move a pose is refused.
    """

    names: tuple[str, ...] = ()
    misplaced: tuple[str, ...] = ()

    columns: ClassVar[tuple[Column, ...]] = (
        joint("joint_position"),
        joint("joint_velocity", rate=True),
        joint("joint_delta"),
        position("position"),
        pose("pose"),
        *(turn(form) for form in WIDTHS),
        polar("velocity", rate=True),
        axial("angular_velocity", rate=True),
        polar("delta_position"),
        *(turn_per_step(name, form) for form, name in CHANGES.items()),
        polar(f"{OF_THE_TOOL}delta_position", in_child_frame=True),
        *(turn_per_step(OF_THE_TOOL + name, form, in_child_frame=True) for form, name in CHANGES.items()),
        scalar("gripper"),
        Column("gripper_velocity", "plain", rate=True),
        categorical("command"),
        scalar("value"),
    )
    per_step: ClassVar[tuple[str, ...]] = (
        "joint_delta",
        *(f"{whose}{name}" for whose in ("", OF_THE_TOOL) for name in ("delta_position", *CHANGES.values())),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Mount, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        kind = type(self).__name__
        for name in ("joint_position", "joint_velocity", "joint_delta"):
            what = f"{kind}.{name}: expected one number for each of {len(self.names)} joints"
            check_width(self.values.get(name), len(self.names), what)
        for column in self.columns:
            if column.width and column.kind != "pose":
                what = "x, y, z" if column.width == 3 else f"{column.width} numbers"
                check_width(self.values.get(column.name), column.width, f"{kind}.{column.name}: expected {what}")


@dataclass(frozen=True, kw_only=True, eq=False)
class RobotState(RobotVector):
    """What a robot says of itself in one vector; see ``RobotVector`` for the columns."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Action(RobotVector):
    """Commands, every part by its meaning; see ``RobotVector`` for the columns."""
