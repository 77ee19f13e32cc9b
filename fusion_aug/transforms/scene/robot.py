"""What a motion of the scene does to joints and named points."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from calib.sides import other_side, swapped_sides
from fusion_aug.core.registry import Call, handles
from fusion_aug.errors import DataError, Obstacle, UnhandledStream
from fusion_aug.streams import JointState, Keypoints2D, Keypoints3D, RobotVector, Stream, Wrench, strings
from fusion_aug.streams.families import Scene
from fusion_aug.streams.held_columns import HeldColumns
from fusion_aug.transforms.scene.maps import SceneMaps
from fusion_aug.transforms.scene.rules import canvas_of, motion_per_item, move_columns
from fusion_aug.transforms.wrenches import torque_about

EFFORTS = ("effort", "joint_effort")
# of joints and of joints in vectors: whether a column is a rate or force, which no offset touches
JOINTS = {"position": False, "velocity": True, "acceleration": True, "effort": True}
VECTOR_JOINTS = {"joint_position": False, "joint_velocity": True, "joint_delta": True, "joint_effort": True}


def refuse_misplaced(stream: JointState | RobotVector, call: Call) -> None:
    """Stop where numbers are called as those of a pose are, and the log was told that nothing has to change them.

    Raises:
        UnhandledStream: there are such numbers.
    """
    if stream.misplaced:
        raise UnhandledStream(
            f"{call.transform.__name__}: stream {call.name!r}: {', '.join(stream.misplaced)} are called as places or "
            f"rotations in space are, and are declared as numbers that nothing changes; declare them in log.parts, "
            f"such as position and rpy (delta: base or delta: tool beside them where they are changes per step), or "
            f"leave the feature out with log.exclude"
        )


def mirrored_joints(stream: JointState | RobotVector, call: Call, columns: dict[str, bool]) -> dict[str, Tensor]:
    """Columns of joints under the mirrors and scales of every sample.

    Lengths scale, which are positions of sliding joints, and torques, which are efforts of all others.

    Args:
        columns: name -> whether it is a rate or force, which no offset touches.

    Raises:
        DataError: the scene is mirrored, and the rig knows of no robot.
    """
    maps: list[SceneMaps] = call.family_state
    before = {c: stream.values[c] for c in columns if c in stream.values}
    if len(maps) == 1:
        return {c: _mirrored_column(v, maps[0], stream, call, c, columns[c]) for c, v in before.items()}
    out = {c: v.clone() for c, v in before.items()}
    for u, m in enumerate(maps):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        for c, value in out.items() if len(mine) else ():
            value[mine] = _mirrored_column(value[mine], m, stream, call, c, columns[c])
    return out


def _mirrored_column(
    value: Tensor, m: SceneMaps, stream: JointState | RobotVector, call: Call, column: str, is_rate: bool
) -> Tensor:
    """Rows (n, J) of one column after the mirror and scale of their sample."""
    if m.scale.requires_grad or float(m.scale) != 1.0:
        slid = torch.tensor([n in m.state.prismatic_joints for n in stream.names])
        grows = (slid if column not in EFFORTS else ~slid).to(value.device)
        value = torch.where(grows, value * m.scale.to(value), value)
    if not m.flips_images:
        return value
    if m.robot is None:
        reason = "a mirror needs to know how the robot is built"
        remedy = "give its description as log.urdf, or leave the stream out with log.exclude"
        raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, remedy)
    return m.robot.readings(value, stream.names, rate=is_rate)


def mirrored_names(stream: JointState | RobotVector, call: Call) -> tuple[str, ...]:
    """Names of the joints under a mirror: those of the partners where a stream holds one side of the robot alone.

    Raises:
        DataError: no other stream holds the other side.
    """
    maps: list[SceneMaps] = call.family_state
    found = next(((m, m.robot) for m in maps if m.flips_images and m.robot is not None), None)
    if found is None or not found[1].is_one_sided(stream.names):
        return stream.names
    mirror, robot = found
    if call.sample.streams and mirror.names.get(call.name, call.name) == call.name:
        raise DataError(
            f"stream {call.name!r}: a mirror gives its joints to the other side of the robot, and no other stream is "
            f"its partner by name (left and right) or holds the same columns of the partners of its joints"
        )
    return tuple(robot.joints[n][0] for n in stream.names)


def refuse_unlike_partner(stream: JointState | RobotVector, call: Call) -> None:
    """Stop where a mirror gives a hand's numbers to the other hand, which the log tells in other parts.

    Raises:
        Obstacle: the two streams have other columns.
    """
    for m in call.family_state:
        partner = m.names.get(call.name, call.name)
        other = call.sample.streams.get(partner)
        if other is not None and _widths(stream) != _widths(other):
            here, there = (", ".join(sorted(set(a) - set(b))) or "other widths" for a, b in
                           ((stream.values, other.values), (other.values, stream.values)))  # fmt: skip
            reason = f"a mirror exchanges it with {partner!r}, which tells other parts ({there}; here {here})"
            remedy = "bring both hands into one form in the log, or leave the vector out with log.exclude"
            raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, remedy)


def _widths(stream: Stream) -> dict[str, Any]:
    """The columns of a stream and their widths; those of joints on a device are as wide as there are names."""
    if isinstance(stream.values, HeldColumns):
        return dict.fromkeys(stream.values, len(getattr(stream, "names", ())))
    return {c: v.shape[1:] for c, v in stream.values.items()}


@handles(Scene, JointState)
def move_joints(stream: JointState, call: Call) -> JointState:
    """A rigid motion leaves joints alone; a mirror swaps them."""
    check_joints(stream, call)
    if not moves_joints(call):
        return stream
    moved = stream.with_values(**mirrored_joints(stream, call, JOINTS))
    return replace_unchecked(moved, names=mirrored_names(stream, call))


def check_joints(stream: JointState, call: Call) -> None:
    """Raise where joints cannot follow: numbers are misplaced, or the other side has other columns."""
    if stream.misplaced and _is_moved(stream, call):
        refuse_misplaced(stream, call)
    if moves_joints(call):
        refuse_unlike_partner(stream, call)


def moves_joints(call: Call) -> bool:
    """Whether a mirror or a scale changes readings of joints."""
    return any(m.flips_images or m.scale.requires_grad or float(m.scale) != 1.0 for m in call.family_state)


def column_map(
    m: SceneMaps | None, stream: JointState | RobotVector, call: Call, column: str, is_rate: bool
) -> dict[str, Any]:
    """What ``mirrored_joints`` makes of a column, as (J,) ``factor value[source] + offset``; None keeps it."""
    eye, none = (
        torch.eye(len(stream.names), dtype=torch.float64),
        torch.zeros(1, len(stream.names), dtype=torch.float64),
    )
    if m is not None:
        eye = _mirrored_column(eye, m, stream, call, column, True)
        none = _mirrored_column(none, m, stream, call, column, is_rate)
    source = eye.abs().argmax(0)
    factor = eye.gather(0, source[None])[0]
    return {"source": source.numpy(), "factor": factor.numpy(), "offset": none[0].numpy()}


@handles(Scene, Wrench)
def move_wrench(stream: Wrench, call: Call) -> Stream:
    """By the columns, in the frame of the sensor; a map that shifts its origin by t adds t x f'.

    A scale leaves forces alone, and levers grow, so torques do.

    Raises:
        Obstacle: that frame is not known, and the motion would turn the force in it, or in one that it may be; or its
            origin moves, and a stream tells a torque without the force.
    """
    maps: list[SceneMaps] = call.family_state
    if stream.frame:
        moved, own = move_columns(stream, call), motion_per_item(maps, stream.frame, stream)
        if own is None or not bool(own.matrix[:, :3, 3].any()):
            return moved
        turned = torque_about(moved, call, own.matrix[:, :3, 3])
        return moved.with_values(**{c: v.to(moved.values[c]) for c, v in turned.items()})
    check_wrench_frame(stream, call)
    return stream


def check_wrench_frame(stream: Wrench, call: Call) -> None:
    """Raise where the unknown frame of a wrench may be turned.

    Raises:
        Obstacle: it may.
    """
    maps: list[SceneMaps] = call.family_state
    if any(m.flips_images or m.state.robot is None for m in maps):
        reason = "its axes are not known: no message, rig or part of the log names their frame"
        remedy = f"name it in the rig file, as in sensors: {{{call.name}: {{kind: wrench, frame: LINK}}}}"
        raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, f"{remedy}, or use log.exclude")


def _is_moved(stream: Stream, call: Call) -> bool:
    """Whether a stream's frame or the bodies in it move."""
    maps: list[SceneMaps] = call.family_state
    return any(motion is not None for m in maps for motion in (m(stream.frame), m.by_role["body"]))


@handles(Scene, RobotVector)
def move_vector(stream: RobotVector, call: Call) -> Stream:
    """Every part by its kind.

    Raises:
        DataError: a mirror swaps the arms, and several commands do not say which arm each is for.
        UnhandledStream: numbers of a pose are declared as others.
    """
    commands = stream.values.get("command")
    check_vector(stream, call, several=commands is not None and commands.shape[1] > 1)
    moved = move_columns(stream, call)
    if not moves_joints(call):
        return moved
    moved = moved.with_values(**mirrored_joints(stream, call, VECTOR_JOINTS))
    return replace_unchecked(moved, names=mirrored_names(stream, call))


def check_vector(stream: RobotVector, call: Call, *, several: bool) -> None:
    """Raise where a vector cannot follow; see ``move_vector``.

    Args:
        several: whether it holds commands of several grippers, or may.
    """
    if stream.misplaced and _is_moved(stream, call):
        refuse_misplaced(stream, call)
    if not moves_joints(call):
        return
    arms = any(
        m.flips_images and m.robot is not None and m.robot.has_two_arms(m.state.prismatic_joints)
        for m in call.family_state
    )
    refuse_unlike_partner(stream, call)
    alone = other_side(call.name, call.sample.streams) == call.name
    if arms and alone and several:
        raise DataError(
            f"stream {call.name!r}: command: a mirror swaps the arms, and nothing says which command is for which; "
            f"give them as joint_position, or in one stream per arm"
        )


def swap_keypoint_names(stream: Stream, call: Call) -> Stream:
    """Names of points with left and right swapped: whatever its axis, a mirror makes a left hand of a right one."""
    names = swapped_keypoint_names(stream, call)
    return stream if names is None else stream.with_values(name=names)


def swapped_keypoint_names(stream: Stream, call: Call) -> np.ndarray | None:
    """The column ``name`` after the mirrors of the samples; None where it stays or there is none."""
    maps: list[SceneMaps] = call.family_state
    item = stream.sample_index[stream.row_item].tolist()
    if "name" not in stream.values or not any(m.flips_images for m in maps):
        return None
    names = [str(n) for n in stream.values["name"]]
    swapped = [_opposite_name(n, set(names)) if maps[u].flips_images else n for n, u in zip(names, item, strict=True)]
    return strings(swapped)


def _opposite_name(name: str, names: set[str]) -> str:
    swapped = swapped_sides(name)  # its partner may be out of view
    return swapped if swapped != name else other_side(name, names)


@handles(Scene, Keypoints3D)
def move_keypoints(stream: Keypoints3D, call: Call) -> Stream:
    """Points move; a mirror swaps their names."""
    return swap_keypoint_names(move_columns(stream, call), call)


@handles(Scene, Keypoints2D)
def flip_keypoints(stream: Keypoints2D, call: Call) -> Stream:
    """A mirror flips pixels on the canvas and swaps names."""
    maps: list[SceneMaps] = call.family_state
    if not any(m.flips_images for m in maps):
        return stream
    indices = stream.sample_index.tolist()
    widths = torch.tensor([canvas_of(maps[u], stream, call.name)[1] for u in indices], dtype=torch.float64)
    flips = torch.tensor([maps[u].flips_images for u in indices])
    pixel, rows = stream.values["pixel"].clone(), stream.row_item
    mirrored = widths[rows].to(pixel) - 1 - pixel[:, 0]
    pixel[:, 0] = torch.where(flips[rows].to(pixel.device), mirrored, pixel[:, 0])
    return swap_keypoint_names(stream.with_values(pixel=pixel), call)
