"""Joint states and wrenches of ROS 2, both ways.

Drivers of an arm and of its gripper share one topic, each with its own joints; others leave velocities out of some
messages. So the messages of a topic are one stream per set of joints and of columns: each set is interpolated on its
own stamps and mirrored with its own partners. Where a topic has several, their names are those of the topic and of the
first joint of the set, as ``joint_states:finger_joint``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.robots import UNKNOWN_FRAME
from fusion_aug.logs.mcap.messages import ReceivedMessage, register_reader
from fusion_aug.logs.mcap.writing import register_writer, vector
from fusion_aug.streams import JointState, JointTarget, Stream, Wrench
from fusion_aug.streams.naming import SET_MARK, message_of

COLUMNS = ("position", "velocity", "effort")
MOST_SETS = 100  # of joints on one topic; a stream each
COMMAND_WORDS = frozenset(
    ("command", "commands", "commanded", "cmd", "cmds", "target", "targets", "desired", "reference", "references",
     "setpoint", "setpoints", "goal", "goals")
)  # fmt: skip


def is_command_topic(topic: str, declared: Collection[str], is_declared: bool) -> bool:
    """Whether joint states on a topic are commands: the user says so, or, where he says nothing of any, its name does.

    Args:
        topic: its name. declared: patterns of ``log.targets``. is_declared: whether one of them is of this topic.
    """
    return is_declared or (not declared and bool(COMMAND_WORDS & set(re.split(r"[^a-z]+", topic.lower()))))


def joint_sets(messages: Sequence[ReceivedMessage], name: str) -> dict[str, list[ReceivedMessage]]:
    """The messages of a topic by the joints that they name, in any order, and the columns that they have.

    Args:
        messages: of the topic. name: of its stream.

    Returns:
        name of a stream -> its messages; ``name`` alone where all are alike.

    Raises:
        DataError: there are more than ``MOST_SETS``.
    """
    sets: dict[tuple[Any, ...], list[ReceivedMessage]] = {}
    for message in messages:
        m = message.message
        joints = tuple(str(n) for n in m.name)
        who: Any = frozenset(joints) if len(set(joints)) == len(joints) else joints
        sets.setdefault((who, *(len(getattr(m, c)) > 0 for c in COLUMNS)), []).append(message)
    if len(sets) > MOST_SETS:
        raise DataError(f"{name}: its messages name more than {MOST_SETS} sets of joints")
    if len(sets) <= 1:
        return {name: list(messages)} if sets else {}
    out: dict[str, list[ReceivedMessage]] = {}
    for found in sets.values():
        own = own_name = f"{name}{SET_MARK}{next(iter(found[0].message.name), '')}"
        k = 2
        while own in out:
            own, k = f"{own_name}#{k}", k + 1
        out[own] = found
    return out


def topics_of_streams(names: Mapping[str, str], streams: Iterable[str]) -> dict[str, str]:
    """Stream -> its topic, of the streams that topics hold.

    Args:
        names: topic -> name of its stream. streams: names of streams.
    """
    topics = {name: topic for topic, name in names.items()}
    heads = {n: n if n in topics else message_of(n) for n in streams}
    return {n: topics[head] for n, head in heads.items() if head in topics}


@register_reader("sensor_msgs/msg/JointState")
def joints(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read joint states that name the same joints, in any order: position, velocity, effort by the order of the first.

    Raises:
        DataError: a column has another number of values than there are joints.
    """
    names, values = _by_joint(messages, where)
    return JointState(**stream_fields, names=names, values=values)


def targets(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read joint states that are commands."""
    names, values = _by_joint(messages, where)
    return JointTarget(**stream_fields, names=names, values={f"joint_{c}": v for c, v in values.items()})


def _by_joint(messages: list[ReceivedMessage], where: str) -> tuple[tuple[str, ...], dict[str, Tensor]]:
    names = tuple(str(n) for n in messages[0].message.name)
    orders = [_order(names, h.message.name) for h in messages]
    values = {}
    for column in COLUMNS:
        rows = [np.asarray(getattr(h.message, column), dtype=np.float64) for h in messages]
        lengths = {len(r) for r in rows}
        if not lengths <= {0, len(names)}:
            raise DataError(f"{where}: {column}: {sorted(lengths)} numbers for {len(names)} joints")
        if names and lengths == {len(names)}:
            rows = [r if order is None else r[order] for r, order in zip(rows, orders, strict=True)]
            values[column] = torch.from_numpy(np.stack(rows))
    return names, values


def _order(names: Sequence[str], own: Sequence[Any]) -> list[int] | None:
    """Where the joints ``names`` stand among those of a message; None where they are in the same order."""
    listed = [str(n) for n in own]
    return None if listed == list(names) else [listed.index(n) for n in names]


@register_writer(JointState)
def joint_message(stream: JointState, template: Any, i: int) -> Any:
    """Write position, velocity and effort of joints, in the order of the message that is the template."""
    return _with_joints(template, stream.names, {c: stream[c][i] for c in COLUMNS if c in stream.values})


@register_writer(JointTarget)
def target_message(stream: JointTarget, template: Any, i: int) -> Any:
    """Write commands to joints."""
    held = {c: stream[f"joint_{c}"][i] for c in COLUMNS if f"joint_{c}" in stream.values}
    return _with_joints(template, stream.names, held)


def _with_joints(template: Any, names: Sequence[str], row: Mapping[str, Tensor]) -> Any:
    own = [str(n) for n in template.name]
    # a mirror may have given the joints of one side to the other, whose names the message then has
    listed = own if len(set(own)) == len(own) and set(own) == set(names) else list(names)
    order = _order(listed, names)
    values = {c: v.to(torch.float64).numpy().copy() for c, v in row.items()}
    values = {c: v if order is None else v[order] for c, v in values.items()}
    return replace(template, name=listed, **values)


@register_reader("geometry_msgs/msg/WrenchStamped")
def wrench(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read a wrench: force N, torque Nm, in the frame of the message; of unknown axes where that names none."""
    frame = stream_fields["frame"] if messages[0].frame else UNKNOWN_FRAME
    values = {c: _vectors([getattr(h.message.wrench, c) for h in messages]) for c in ("force", "torque")}
    return Wrench(**{**stream_fields, "frame": frame}, values=values)


@register_writer(Wrench)
def wrench_message(stream: Wrench, template: Any, i: int) -> Any:
    """Write force N and torque Nm."""
    written = replace(template.wrench, force=vector(stream["force"][i]), torque=vector(stream["torque"][i]))
    return replace(template, wrench=written)


def _vectors(rows: list[Any]) -> Tensor:
    return torch.tensor([[r.x, r.y, r.z] for r in rows], dtype=torch.float64).reshape(-1, 3)
