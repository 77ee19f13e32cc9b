"""Vectors of robot logs as streams, by the declared meaning of their numbers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from calib.nearest_names import listed
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.part_names import numbers_of_poses
from fusion_aug.logs.core.parts import OTHER_PART, Parts
from fusion_aug.logs.core.robots import UNKNOWN_FRAME
from fusion_aug.streams import (
    Action,
    Imu,
    JointState,
    JointTarget,
    Odometry,
    RobotState,
    RobotVector,
    Signal,
    Stream,
    Wrench,
)  # fmt: skip

PARTS_OPTION = Option(
    "what numbers mean: {observation.state: {position: [0, 7]}, action: {delta_position: [0, 3, 0.05]}}, in recordings "
    "{/topic: {position: [0, 3], rpy: [3, 6]}}; docs/poses.md lists the words"
)
KINDS: tuple[type[Stream], ...] = (JointState, Wrench, Imu, Odometry, Signal, RobotState)
COMMANDS: tuple[type[Stream], ...] = (Action, JointTarget)
OF_JOINTS = ("joint", "joint_force")  # kinds of columns with a number for each joint
UNMOVED = (OTHER_PART, "value", "event")  # columns that no geometry touches


def vector_stream(
    feature: str,
    value: Tensor,
    parts: Parts,
    names: list[str],
    joints: tuple[str, ...],
    stream_fields: dict[str, Any],
    *,
    is_command: bool | None = None,
) -> Stream:
    """Make the stream of a vector.

    Args:
        feature: its name in the log.
        value: (n, k) float64. parts: that cover its k numbers.
        names: of its numbers, where the log gives them.
        joints: joints of the robot, in the order of the readings.
        stream_fields: fields that every stream has.
        is_command: whether it holds commands; by default those do whose names begin with "action".

    Raises:
        ConfigError: no kind of stream has these columns, or a column has another width.
    """
    where = f"log.parts.{feature}"
    values = {c: value[:, a:b] * f for c, (a, b, f) in parts.columns.items()}
    poses = numbers_of_poses(feature, names, value.shape[1])
    misplaced = tuple(
        poses[i] for c, (a, b, _) in parts.columns.items() if c in UNMOVED for i in range(a, b) if i in poses
    )
    start, stop, _ = parts.columns.get("position", (0, 0, 1.0))
    in_space = any(i in poses and poses[i] not in (*joints, *parts.joints) for i in range(start, stop))
    of_hand = bool(parts.tool) or in_space or bool(parts.frame and stop)  # a place, and no readings of joints
    is_command = feature.startswith("action") if is_command is None else is_command
    kind = _kind_of(is_command, set(values), of_hand, bool(misplaced), where)
    table = kind.column_table()
    for c, v in values.items():
        width = table[c].width if c in table else 0
        if width and v.shape[1] != width:
            hint = "; of joints they are joint_position" if c == "position" and "joint_position" in table else ""
            raise ConfigError(f"{where}.{c}: takes {width} numbers, got {v.shape[1]}{hint}")
    frame = UNKNOWN_FRAME if kind is Wrench else stream_fields["frame"]  # a force is seldom told in the base's axes
    fields = {**stream_fields, "frame": parts.frame or frame, "child": parts.tool}
    if issubclass(kind, JointState | RobotVector):
        fields |= {"misplaced": misplaced, "names": _joint_names(kind, values, names, joints, parts, where)}
    return kind(**fields, values=values)


def _kind_of(is_command: bool, columns: set[str], of_hand: bool, is_misplaced: bool, where: str) -> type[Stream]:
    """The class of stream that has all columns."""
    kinds: tuple[type[Stream], ...] = COMMANDS if is_command else KINDS
    if of_hand:
        kinds = tuple(k for k in kinds if issubclass(k, RobotVector))
    if is_misplaced:
        kinds = tuple(k for k in kinds if issubclass(k, JointState | RobotVector))
    for kind in kinds:
        if columns - {OTHER_PART} <= set(kind.column_table()):
            return kind
    known = sorted({c.name for k in kinds for c in k.columns} | {OTHER_PART})
    strange = sorted(columns - set(known)) or sorted(columns)  # where none is unknown, no kind has all of them
    raise ConfigError(f"{where}: no kind of stream has the columns {strange}; known: {listed(strange[0], known)}")


def _joint_names(
    kind: type[Stream],
    values: dict[str, Tensor],
    names: list[str],
    joints: tuple[str, ...],
    parts: Parts,
    where: str,
) -> tuple[str, ...]:
    """Names of the joints of a stream's columns of joints: those of its numbers, or of the robot."""
    table = kind.column_table()
    column = next((c for c in values if c in table and table[c].kind in OF_JOINTS), None)
    if column is None:
        return ()
    start, stop, _ = parts.columns[column]
    told = tuple(names[start:stop]) if not issubclass(kind, Action) else ()
    found = parts.joints or told or joints[: stop - start]
    if len(found) != stop - start:
        raise ConfigError(
            f"{where}: {stop - start} joints, but the log names {len(found)}; describe the robot with log.urdf"
        )
    return found
