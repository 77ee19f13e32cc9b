"""What a motion of the scene plans for vector maps, key points, twists, forces and distances on a device."""

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
    Keypoints2D,
    Keypoints3D,
    MapElements,
    PlanarScan,
    RangeReading,
    SatelliteFix,
    Stream,
    Wrench,
)
from fusion_aug.streams.columns import is_known_covariance
from fusion_aug.streams.families import Scene
from fusion_aug.streams.on_device import ROW_ITEM, ColumnsOnDevice
from fusion_aug.streams.readings import turned_scan
from fusion_aug.transforms.scene.on_device import plan_columns, plan_flips
from fusion_aug.transforms.scene.readings import check_looks_ahead, keep_fix, turns_of_scans
from fusion_aug.transforms.scene.robot import check_wrench_frame, swapped_keypoint_names
from fusion_aug.transforms.scene.rules import motion_per_item
from fusion_aug.transforms.scene.vector_maps import swapped_sides_of_lanes

Columns = Mapping[str, Tensor]

on_device(Scene, SatelliteFix)(keep_fix)  # which looks at no value


@on_device(Scene, MapElements)
def plan_map(stream: MapElements, call: Call) -> MapElements:
    """Vertices by the columns; the sides of lanes are text, and lie on the host."""
    return _with_text(plan_columns(stream, call), "side", swapped_sides_of_lanes(stream, call))


@on_device(Scene, Keypoints3D)
def plan_keypoints(stream: Keypoints3D, call: Call) -> Stream:
    """Points by the columns; a mirror swaps their names, which lie on the host."""
    return _with_text(plan_columns(stream, call), "name", swapped_keypoint_names(stream, call))


@on_device(Scene, Keypoints2D)
def plan_keypoints_in_pictures(stream: Keypoints2D, call: Call) -> Stream:
    """A mirror flips pixels on the canvas, and swaps their names."""
    return _with_text(plan_flips(stream, call, "pixel"), "name", swapped_keypoint_names(stream, call))


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


@on_device(Scene, PlanarScan)
def plan_planar_scan(stream: PlanarScan, call: Call) -> Stream:
    """Lengths scale; angles turn and are mirrored."""
    found = turns_of_scans(stream, call)
    if found is None:
        return stream
    turns, mirrored = (x.numpy() for x in found)
    numbers = [{"turn": turn, "mirrored": flip} for turn, flip in zip(turns, mirrored, strict=True)]
    moved = plan_columns(stream, call)
    neutral = {"turn": 0.0, "mirrored": np.bool_(False)}
    return replace_unchecked(moved, values=call.program.columns(_turned, columns_of(moved), numbers, neutral))


def _turned(columns: Columns, numbers: Columns) -> dict[str, Tensor]:
    turn, mirrored = (numbers[n].index_select(0, columns[ROW_ITEM]) for n in ("turn", "mirrored"))
    return turned_scan(columns, turn, mirrored)


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
