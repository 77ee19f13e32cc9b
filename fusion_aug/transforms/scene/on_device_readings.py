"""What a motion of the scene plans for vector maps, twists, distances and a robot's readings on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from calib.se3 import skew
from fusion_aug.core.device.rows import columns_of
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams import (
    BodyPose,
    BodyTwist,
    JointState,
    Keypoints3D,
    MapElements,
    RangeReading,
    SatelliteFix,
    Stream,
    Taxels,
    Wrench,
)
from fusion_aug.streams.columns import is_known_covariance
from fusion_aug.streams.families import Scene
from fusion_aug.streams.on_device import ROW_ITEM, ColumnsOnDevice
from fusion_aug.transforms.scene.on_device import plan_columns
from fusion_aug.transforms.scene.readings import check_looks_ahead, keep_fix
from fusion_aug.transforms.scene.robot import (
    check_joints,
    check_wrench_frame,
    column_map,
    mirrored_names,
    moves_joints,
    swapped_keypoint_names,
)
from fusion_aug.transforms.scene.rules import motion_per_item
from fusion_aug.transforms.scene.taxel_places import moved_taxels
from fusion_aug.transforms.scene.vector_maps import swapped_sides_of_lanes

Columns = Mapping[str, Tensor]
JOINTS = {"position": False, "velocity": True, "acceleration": True, "effort": True}  # whether it is a rate or force

on_device(Scene, SatelliteFix)(keep_fix)  # which looks at no value


@on_device(Scene, MapElements)
def plan_map(stream: MapElements, call: Call) -> MapElements:
    """Vertices by the columns; the sides of lanes are text, and lie on the host."""
    return _with_text(plan_columns(stream, call), "side", swapped_sides_of_lanes(stream, call))


@on_device(Scene, Keypoints3D)
def plan_keypoints(stream: Keypoints3D, call: Call) -> Stream:
    """Points by the columns; a mirror swaps their names, which lie on the host."""
    return _with_text(plan_columns(stream, call), "name", swapped_keypoint_names(stream, call))


def _with_text(stream: Stream, name: str, texts: np.ndarray | None) -> Any:
    """The stream with another column of text, unless that is None."""
    held = columns_of(stream)
    values = held if texts is None else ColumnsOnDevice(held.block, held.own, {**held.texts, name: texts})
    return replace_unchecked(stream, values=values)


@on_device(Scene, RangeReading)
def plan_range(stream: RangeReading, call: Call) -> Stream:
    """Lengths scale."""
    check_looks_ahead(stream, call)
    return plan_columns(stream, call)


# --- the origin of a frame moves on its body --------------------------------------------------------------------------
@on_device(Scene, BodyPose)
def plan_body_pose(stream: BodyPose, call: Call) -> Stream:
    """By the columns, and the velocity at the new origin of the child frame."""
    child = motion_per_item(call.family_state, stream.child, stream) if stream.child else None
    return _at_new_origin(plan_columns(stream, call), call, child, "twist_covariance")


@on_device(Scene, BodyTwist)
def plan_twist(stream: BodyTwist, call: Call) -> Stream:
    """By the columns, and the velocity at the new origin of the frame."""
    own = motion_per_item(call.family_state, stream.frame, stream)
    return _at_new_origin(plan_columns(stream, call), call, own, "covariance")


def _at_new_origin(stream: Stream, call: Call, motion: Motion | None, covariance: str) -> Stream:
    if motion is None or not {"velocity", "angular_velocity"} <= set(stream.values):
        return stream
    return _shifted(stream, call, motion, _new_velocity, covariance=covariance)


def _shifted(stream: Stream, call: Call, motion: Motion, kernel: Any, **fixed: Any) -> Stream:
    """The stream with a stage that knows how far the origin of its frame is shifted at every item."""
    if not bool(motion.matrix[:, :3, 3].any()):
        return stream
    shifts = [{"shift": t} for t in motion.matrix[:, :3, 3].expand(len(stream), 3).numpy()]
    values = call.program.columns(kernel, columns_of(stream), shifts, {"shift": np.zeros(3)}, **fixed)
    return replace_unchecked(stream, values=values)


def _new_velocity(columns: Columns, numbers: Columns, covariance: str) -> dict[str, Tensor]:
    spin = columns["angular_velocity"]
    shift = numbers["shift"].to(spin.dtype).index_select(0, columns[ROW_ITEM])
    out = {"velocity": columns["velocity"] - torch.linalg.cross(spin, shift)}
    known = columns.get(covariance)
    if known is not None:
        A = torch.eye(6, dtype=known.dtype, device=known.device).repeat(len(shift), 1, 1)
        A[:, :3, 3:] = skew(shift).to(known.dtype)  # -omega x t is t x omega
        out[covariance] = torch.where(is_known_covariance(known)[:, None, None], A @ known @ A.transpose(1, 2), known)
    return out


@on_device(Scene, Wrench)
def plan_wrench(stream: Wrench, call: Call) -> Stream:
    """By the columns, and the torque about the new origin of the frame."""
    if not stream.frame:
        check_wrench_frame(stream, call)
        return stream
    moved, own = plan_columns(stream, call), motion_per_item(call.family_state, stream.frame, stream)
    return moved if own is None else _shifted(moved, call, own, _new_torque)


def _new_torque(columns: Columns, numbers: Columns) -> dict[str, Tensor]:
    force, torque = columns["force"].to(torch.float64), columns["torque"]
    shift = numbers["shift"].index_select(0, columns[ROW_ITEM])
    return {"torque": (torque.to(torch.float64) + torch.linalg.cross(shift, force)).to(torque.dtype)}


# --- joints and taxels come to other places ---------------------------------------------------------------------------
@on_device(Scene, JointState)
def plan_joints(stream: JointState, call: Call) -> JointState:
    """A rigid motion leaves joints alone; a mirror swaps them, with signs and offsets of their own."""
    check_joints(stream, call)
    if not moves_joints(call):
        return stream
    there = [c for c in JOINTS if c in stream.values]
    maps = [
        {f"{c}.{n}": v for c in there for n, v in column_map(m, stream, call, c, JOINTS[c]).items()}
        for m in call.family_state
    ]
    plain = column_map(None, stream, call, "", False)
    neutral = {f"{c}.{n}": v for c in there for n, v in plain.items()}
    numbers = [maps[u] for u in stream.sample_index.tolist()]
    values = call.program.columns(_other_joints, columns_of(stream), numbers, neutral, names=tuple(there))
    return replace_unchecked(stream, values=values, names=mirrored_names(stream, call))


def _other_joints(columns: Columns, numbers: Columns, names: tuple[str, ...]) -> dict[str, Tensor]:
    out = {}
    for name in names:
        value = columns[name]
        source, factor, offset = (
            numbers[f"{name}.{n}"].index_select(0, columns[ROW_ITEM]) for n in ("source", "factor", "offset")
        )
        out[name] = factor.to(value.dtype) * value.gather(1, source) + offset.to(value.dtype)
    return out


@on_device(Scene, Taxels)
def plan_taxels(stream: Taxels, call: Call) -> Taxels:
    """A mirror moves the taxels on their link; each force comes to the row of the taxel at its new place."""
    motion = motion_per_item(call.family_state, stream.frame, stream)
    if motion is None:
        return stream
    poses = moved_taxels(stream.poses, motion)
    orders = [m.rows.get(call.name) for m in call.family_state]
    if all(order is None for order in orders):
        return replace_unchecked(stream, poses=poses)
    kept = torch.arange(poses.shape[1])
    order = torch.stack([kept if o is None else o for o in orders])[stream.sample_index]
    numbers = [{"order": one} for one in order.numpy()]
    values = call.program.columns(_other_rows, columns_of(stream), numbers, {"order": kept.numpy()})
    return replace_unchecked(stream, values=values, poses=poses[torch.arange(len(stream))[:, None], order])


def _other_rows(columns: Columns, numbers: Columns) -> dict[str, Tensor]:
    return {"force": columns["force"].gather(1, numbers["order"].index_select(0, columns[ROW_ITEM]))}
