"""What a motion of the scene plans for streams on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.rows import columns_of
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams import Boxes2D, Depth, EgoPose, HeightMap, ImageStream, Imu, Points, Stream
from fusion_aug.streams.families import Scene
from fusion_aug.streams.moved_rows import kind_of, motion_numbers, move_rows, no_motion
from fusion_aug.streams.on_device import ROW_ITEM
from fusion_aug.transforms.scene.readings import check_lever_arm
from fusion_aug.transforms.scene.rules import (
    canvas_of,
    column_motions,
    column_moves,
    flip_images,
    gravity_pulls,
    motion_per_item,
    move_points,
)

S = TypeVar("S", bound=Stream)

on_device(Scene, Points)(move_points)  # which is pending


@on_device(Scene, ImageStream)
def plan_images(stream: ImageStream, call: Call) -> ImageStream:
    """A mirror is pending; a scale of depths is planned."""
    maps = call.family_state
    if isinstance(stream, Depth | HeightMap) and any(float(m.scale) != 1.0 for m in maps):
        scales = [{"scale": float(maps[u].scale)} for u in stream.sample_index.tolist()]
        items = call.program.pictures(_scaled, list(zip(stream.items, scales, strict=True)), {})
        stream = replace_unchecked(stream, items=tuple(items))
    return flip_images(stream, call)


def _scaled(pictures: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
    return pictures * numbers["scale"].to(pictures.dtype).reshape(-1, *[1] * (pictures.ndim - 1))


@on_device(Scene, Stream)
def plan_columns(stream: Stream, call: Call) -> Stream:
    """Every typed column by the rule of its kind."""
    motions = column_motions(stream, call)
    moves = column_moves(stream, call, motions)
    names = sorted({name for m in moves for name in (m.frame, m.body) if name})
    if not moves:
        return stream
    used = {name: motion for name, motion in motions.items() if name in names and motion is not None}
    parts = [motion_numbers(name, motion, len(stream)) for name, motion in used.items()]
    numbers = [{k: v for part in parts for k, v in part[i].items()} for i in range(len(stream))]
    kinds = tuple((name, kind_of(motion)) for name, motion in used.items())
    # an accelerometer's reading turns like any vector; what a scale makes of gravity comes on top of it
    moved = tuple(m._replace(kind="polar", scaled=True) if m.kind == "specific_force" else m for m in moves)
    values = call.program.columns(move_rows, stream.values, numbers, no_motion(names), moved=moved, kinds=kinds)
    for move in moves:
        if move.kind == "specific_force" and not kind_of(used[move.frame]).is_rigid:
            motion = used[move.frame]
            pull = motion.rotate((motion.scale[:, None] - 1) * gravity_pulls(stream, call)).expand(len(stream), 3)
            extra = [{"extra": row} for row in pull.numpy()]
            values = call.program.columns(_with_extra, values, extra, {"extra": NOWHERE.numpy()}, name=move.name)
    return replace_unchecked(stream, values=values)


NOWHERE = torch.zeros(3, dtype=torch.float64)


def _with_extra(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {name: columns[name] + numbers["extra"].to(columns[name].dtype).index_select(0, columns[ROW_ITEM])}


@on_device(Scene, Imu)
def plan_imu(stream: Imu, call: Call) -> Stream:
    """By the columns, in the frame of the unit."""
    check_lever_arm(stream, call)
    return plan_columns(stream, call)


@on_device(Scene, EgoPose)
def plan_ego(stream: EgoPose, call: Call) -> Stream:
    """By the columns, and the velocity at the new origin of the reference frame; see ``move_ego``."""
    moved = plan_columns(stream, call)
    child: Motion | None = motion_per_item(call.family_state, stream.child, stream)
    if child is None or not {"velocity", "angular_velocity"} <= set(moved.values):
        return moved
    shifts = [{"shift": t} for t in child.matrix[:, :3, 3].expand(len(stream), 3).numpy()]
    values = call.program.columns(_at_new_origin, moved.values, shifts, {"shift": NOWHERE.numpy()})
    return replace_unchecked(moved, values=values)


def _at_new_origin(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    spin = columns["angular_velocity"]
    shift = numbers["shift"].to(spin.dtype).index_select(0, columns[ROW_ITEM])
    return {"velocity": columns["velocity"] - torch.linalg.cross(spin, shift)}


@on_device(Scene, Boxes2D)
def plan_boxes2d(stream: Boxes2D, call: Call) -> Boxes2D:
    """A mirror flips pixels on the canvas."""
    return plan_flips(stream, call, "corners")


def plan_flips(stream: S, call: Call, name: str) -> S:
    """The stream with pixels in the column ``name`` flipped on the canvas of mirrored samples."""
    maps = call.family_state
    if not any(m.flips_images for m in maps):
        return stream
    numbers = []
    for u in stream.sample_index.tolist():
        flips = maps[u].flips_images
        last = float(canvas_of(maps[u], stream, call.name)[1] - 1) if flips else 0.0
        numbers.append({"sign": -1.0 if flips else 1.0, "last": last})
    values = call.program.columns(_flipped, columns_of(stream), numbers, {"sign": 1.0, "last": 0.0}, name=name)
    return replace_unchecked(stream, values=values)


def _flipped(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    pixels, rows = columns[name], columns[ROW_ITEM]
    each = (-1, *[1] * (pixels.ndim - 2))
    sign, last = (numbers[n].to(pixels.dtype).index_select(0, rows).reshape(each) for n in ("sign", "last"))
    return {name: torch.stack([pixels[..., 0] * sign + last, pixels[..., 1]], -1)}
