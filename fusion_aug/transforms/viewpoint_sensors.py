"""What moved sensors other than cameras measure."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.se3 import invert, transform_points
from fusion_aug.columns import RULES, UNTOUCHED
from fusion_aug.errors import UnhandledStream
from fusion_aug.motion import Motion
from fusion_aug.ops.points import points_in_boxes, seen_from_origin
from fusion_aug.registry import Call, handles
from fusion_aug.sample import Unit
from fusion_aug.streams import Boxes3D, EgoPose, Imu, Points, Radar, Stream
from fusion_aug.transforms.viewpoint import Viewpoint, item_moves, only_turns

EYE = torch.eye(4, dtype=torch.float64)


@handles(Viewpoint, Stream)
def move_columns(stream: Stream, call: Call) -> Stream:
    """A sensor that measures a field at its own place: its typed columns are given in its turned axes."""
    found = item_moves(stream, call.shared)
    if all(m is None for m in found):
        return stream
    if not stream.columns or any(c.kind == "specific_force" for c in stream.columns):
        raise UnhandledStream(f"Viewpoint has no rule for stream {call.name!r} ({type(stream).__name__})")
    back = torch.stack([EYE if m is None else invert(m) for m in found])
    motion = Motion.of(back).rows(stream.row_item)
    named = {c.name: c for c in stream.columns if c.name in stream.values and c.kind not in UNTOUCHED}
    return stream.with_values(**{n: RULES[c.kind](stream.values[n], motion, None, c.scaled) for n, c in named.items()})


@handles(Viewpoint, Imu)
def move_imu(stream: Imu, call: Call) -> Imu:
    """Readings at another place of a rigid body: f' = R^T (f + alpha x r + omega x (omega x r)), r the shift."""
    found = item_moves(stream, call.shared)
    if all(m is None for m in found):
        return stream
    moves = torch.stack([EYE if m is None else m for m in found])
    gyro, accel = stream.values["gyro"].to(torch.float64), stream.values["accel"].to(torch.float64)
    lever, back = moves[:, :3, 3], moves[:, :3, :3].transpose(1, 2)
    turning = torch.zeros_like(gyro)
    for u in stream.sample_index.unique().tolist():
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) > 1:
            seconds = (stream.times[mine] - stream.times[mine[0]]).to(torch.float64) * 1e-9
            turning[mine] = torch.gradient(gyro[mine], spacing=(seconds,), dim=0)[0]
    swing = torch.linalg.cross(turning, lever) + torch.linalg.cross(gyro, torch.linalg.cross(gyro, lever))
    return stream.with_values(
        gyro=(back @ gyro[..., None])[..., 0].to(stream.values["gyro"]),
        accel=(back @ (accel + swing)[..., None])[..., 0].to(stream.values["accel"]),
    )


@handles(Viewpoint, Points)
def move_points(stream: Points, call: Call) -> Points:
    """The cloud in the moved sensor's frame, without what now lies behind something nearer."""
    found = item_moves(stream, call.shared)
    if all(m is None for m in found):
        return stream
    moved = stream.expressed(torch.stack([EYE if m is None else invert(m) for m in found]))
    if all(m is None or only_turns(m) for m in found) or isinstance(stream, Radar):
        return moved
    keep = torch.ones(moved.rows, dtype=torch.bool)
    for i, move in enumerate(found):
        if move is not None and not only_turns(move):
            keep[moved.rows_of(i)] = seen_from_origin(moved.values["xyz"][moved.rows_of(i)])
    return moved if bool(keep.all()) else moved.select(keep)


@handles(Viewpoint, Radar)
def move_radar(stream: Radar, call: Call) -> Radar:
    """Detections in the moved radar's frame, with the velocity along the new ray.

    A detection inside a box moves as the box does. Any other is taken to move along its old ray, as fast as was
    measured. The raw velocity then loses what the new place moves with: v + omega x p.
    """
    found = item_moves(stream, call.shared)
    if all(m is None for m in found):
        return stream
    old = stream.realized()
    moved = move_points(old, call)
    velocity, compensated = moved.values["velocity"].clone(), moved.values["velocity_comp"].clone()
    for i, move in enumerate(found):
        rows = old.rows_of(i)
        if move is None or rows.start == rows.stop:
            continue
        R = move[:3, :3].T.detach()
        ray = _rays(moved.values["xyz"][rows])
        target = _target_velocity(old, call, i)  # in the old radar frame
        own = _radar_velocity(old, call, i, torch.zeros(3, dtype=torch.float64))
        new = _radar_velocity(old, call, i, move[:3, 3].detach())
        along = ((target @ R.T) * ray).sum(1)
        if own is None or new is None:  # no ego motion known: keep what the ego motion was measured to take off
            gap = (old.values["velocity"][rows] - old.values["velocity_comp"][rows]).to(torch.float64) @ R.T
            raw = along + (gap * ray).sum(1)
        else:
            raw = along - ray @ (R @ new)
        compensated[rows] = (along[:, None] * ray).to(compensated)
        velocity[rows] = (raw[:, None] * ray).to(velocity)
    return moved.with_values(velocity=velocity, velocity_comp=compensated)  # type: ignore[return-value]


def _rays(xyz: Tensor) -> Tensor:
    xyz = xyz.to(torch.float64)
    return xyz / torch.linalg.norm(xyz, dim=1, keepdim=True).clamp(min=1e-9)


def _target_velocity(stream: Radar, call: Call, item: int) -> Tensor:
    """Velocity (rows, 3) over ground of what each detection hit, in the radar's frame."""
    rows, (unit, time) = stream.rows_of(item), _when(stream, item)
    out = stream.values["velocity_comp"][rows].to(torch.float64).clone()
    chosen: Unit = call.sample.units[unit]
    T = chosen.truth.T(chosen.ref.frame, stream.frame, time, chosen.ref.time)
    xyz = transform_points(T, stream.values["xyz"][rows].to(torch.float64))
    for boxes in call.sample.of_type(Boxes3D).values():
        mine = (boxes.sample_index == unit).nonzero()[:, 0]
        if "velocity" not in boxes.values or len(mine) == 0:
            continue
        span = boxes.rows_of(int(mine[0]))
        grown = boxes.values["size"][span] + torch.tensor([0.5, 0.5, 100.0])  # a radar measures no height
        inside = points_in_boxes(xyz, boxes.values["pose"][span], grown)
        for hit, v in zip(inside, boxes.values["velocity"][span], strict=True):
            if bool(torch.isfinite(v).all()):
                out[hit] = T[:3, :3].T @ v
    return out


def _radar_velocity(stream: Radar, call: Call, item: int, place: Tensor) -> Tensor | None:
    """Velocity (3,) over ground of a place in the radar's frame, in that frame; None where no twist is known."""
    unit, time = _when(stream, item)
    rig = call.sample.units[unit].truth
    for ego in call.sample.of_type(EgoPose).values():
        mine = (ego.sample_index == unit).nonzero()[:, 0]
        if len(mine) == 0 or ego.child not in rig.frames or not {"velocity", "angular_velocity"} <= set(ego.values):
            continue
        k = int(mine[(ego.times[mine] - time).abs().argmin()])
        v, w = ego.values["velocity"][k], ego.values["angular_velocity"][k]
        if not bool(torch.isfinite(v).all() & torch.isfinite(w).all()):
            continue
        T = rig.T(ego.child, stream.frame, time)
        return T[:3, :3].T @ (v + torch.linalg.cross(w, transform_points(T, place[None])[0]))
    return None


def _when(stream: Stream, item: int) -> tuple[int, int]:
    return int(stream.sample_index[item]), int(stream.times[item])


__all__ = ["Viewpoint"]
