"""What a motion of the scene plans for a robot's joints, vectors, taxels and gels on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.rows import columns_of
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.streams import JointState, RobotVector, Stream, TactileImage, Taxels
from fusion_aug.streams.families import Scene
from fusion_aug.streams.on_device import ROW_ITEM
from fusion_aug.transforms.scene.on_device import plan_columns
from fusion_aug.transforms.scene.robot import (
    JOINTS,
    VECTOR_JOINTS,
    check_joints,
    check_vector,
    column_map,
    mirrored_names,
    moves_joints,
)
from fusion_aug.transforms.scene.rules import motion_per_item
from fusion_aug.transforms.scene.scene import MirrorScene
from fusion_aug.transforms.scene.taxel_places import moved_taxels
from fusion_aug.transforms.scene.touch import grown_gels

Columns = Mapping[str, Tensor]
S = TypeVar("S", JointState, RobotVector)

on_device(Scene, TactileImage, where=lambda cls: not issubclass(cls, MirrorScene))(grown_gels)  # looks at no picture


@on_device(Scene, JointState)
def plan_joints(stream: JointState, call: Call) -> JointState:
    """A rigid motion leaves joints alone; a mirror swaps them, with signs and offsets of their own."""
    check_joints(stream, call)
    return _with_other_joints(stream, call, JOINTS)


@on_device(Scene, RobotVector)
def plan_vector(stream: RobotVector, call: Call) -> Stream:
    """Every part by its kind; a mirror swaps joints.

    How many commands there are is not looked at, so two arms in one stream must not have any.
    """
    check_vector(stream, call, several="command" in stream.values)
    return _with_other_joints(plan_columns(stream, call), call, VECTOR_JOINTS)  # type: ignore[type-var]


def _with_other_joints(stream: S, call: Call, kinds: Mapping[str, bool]) -> S:
    """The stream with columns of joints after mirrors and scales; ``kinds``: whether each is a rate or force."""
    if not moves_joints(call):
        return stream
    there = tuple(c for c in kinds if c in stream.values)
    if stream.names and there:
        maps = [
            {f"{c}.{n}": v for c in there for n, v in column_map(m, stream, call, c, kinds[c]).items()}
            for m in call.family_state
        ]
        neutral = {f"{c}.{n}": v for c in there for n, v in column_map(None, stream, call, "", False).items()}
        numbers = [maps[u] for u in stream.sample_index.tolist()]
        values: Any = call.program.columns(_other_joints, columns_of(stream), numbers, neutral, names=there)
        stream = replace_unchecked(stream, values=values)
    return replace_unchecked(stream, names=mirrored_names(stream, call))


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
    """A mirror moves the taxels on their link; each force comes to the row of the taxel at its new place.

    Streams whose rows stay are planned too, since a mirror of some samples may join them with others.
    """
    motion = motion_per_item(call.family_state, stream.frame, stream)
    if motion is None:
        return stream
    poses = moved_taxels(stream.poses, motion)
    orders = [m.rows.get(call.name) for m in call.family_state]
    if not any(m.rows for m in call.family_state):
        return replace_unchecked(stream, poses=poses)
    kept = torch.arange(poses.shape[1])
    order = torch.stack([kept if o is None else o for o in orders])[stream.sample_index]
    numbers = [{"order": one} for one in order.numpy()]
    values = call.program.columns(_other_rows, columns_of(stream), numbers, {"order": kept.numpy()})
    return replace_unchecked(stream, values=values, poses=poses[torch.arange(len(stream))[:, None], order])


def _other_rows(columns: Columns, numbers: Columns) -> dict[str, Tensor]:
    return {"force": columns["force"].gather(1, numbers["order"].index_select(0, columns[ROW_ITEM]))}
