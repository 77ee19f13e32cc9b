"""What moved sensors other than cameras measure."""

from __future__ import annotations

import torch
from torch import Tensor

from calib.rates import expected_imu_reading
from calib.se3 import invert, transform_points
from calib.ties import nearest_whole
from fusion_aug.core.registry import Call, handles, refuse_opaque, unhandled
from fusion_aug.errors import ConfigError, Obstacle, UnhandledStream
from fusion_aug.ops.points import hidden_by_move, points_in_boxes
from fusion_aug.ops.similarity import Motion
from fusion_aug.sample import SampleMeta
from fusion_aug.sample.depth import camera_range
from fusion_aug.sample.ego import radar_velocity
from fusion_aug.streams import Boxes3D, Imu, Keypoints2D, Lidar, Opaque, Points, Radar, Stream, Taxels, Wrench
from fusion_aug.streams.columns import NON_GEOMETRIC, RULES, Column
from fusion_aug.transforms.mount.frame_motions import is_pure_rotation, item_motions
from fusion_aug.transforms.mount.moved_clouds import cloud_from
from fusion_aug.transforms.mount.viewpoint import Viewpoint
from fusion_aug.transforms.wrenches import torque_about

EYE = torch.eye(4, dtype=torch.float64)


@handles(Viewpoint, Stream)
def move_columns(stream: Stream, call: Call) -> Stream:
    """A sensor that measures at its own position: its typed columns are given in its rotated axes."""
    found = item_motions(stream, call.family_state)
    if all(m is None for m in found):
        return stream
    if not stream.columns:
        raise UnhandledStream(
            f"{type(stream).__name__} ({call.name!r}) declares no columns, so Viewpoint cannot move it: {stream.remedy}"
        )
    if any(c.kind == "specific_force" for c in stream.columns):
        raise unhandled(Viewpoint, type(stream), call.name)
    named = [c for c in stream.columns if c.name in stream.values and c.kind not in NON_GEOMETRIC]
    return stream.with_values(**_in_moved_axes(stream, found, named))


def _in_moved_axes(stream: Stream, moves: list[Tensor | None], columns: list[Column]) -> dict[str, Tensor]:
    """Columns of a stream in its moved frame; what is given in the world (an attitude) follows the frame as a body."""
    back = torch.stack([EYE if m is None else invert(m) for m in moves])
    one = torch.ones(len(back), dtype=back.dtype)
    motion = Motion(back, one, one, True).take_rows(stream.row_item)
    out = {}
    for c in columns:
        frame, body = (None, motion) if c.in_world else (motion, None)
        out[c.name] = RULES[c.kind](stream.values[c.name], frame, body, c.scaled)
    return out


@handles(Viewpoint, Opaque)
def keep_opaque(stream: Opaque, call: Call) -> Stream:
    """What is not understood is kept while its sensor stays where it is."""
    stays = all(m is None for m in item_motions(stream, call.family_state))
    return stream if stays or stream.is_untouched_by(Viewpoint) else refuse_opaque(stream, call)


@handles(Viewpoint, Imu)
def move_imu(stream: Imu, call: Call) -> Imu:
    """Readings at another place of a rigid body: f' = R^T (f + alpha x r + omega x (omega x r)), r the shift.

    Where joints or links changed, the body itself moves otherwise: readings change by as much as those that follow
    from the poses in the two rigs.
    """
    found = item_motions(stream, call.family_state)
    if all(m is None for m in found):
        return stream
    others = [c for c in stream.columns if c.name in stream.values and c.name not in ("gyro", "accel")]
    turned = stream.with_values(**_in_moved_axes(stream, found, others)) if others else stream
    by_joints = [m.joints_changed(stream.frame) for m in call.family_state]
    if any(by_joints):
        return _moved_by_joints(turned, call, by_joints)
    moves = torch.stack([EYE if m is None else m for m in found])
    gyro, accel = stream.values["gyro"].to(torch.float64), stream.values["accel"].to(torch.float64)
    lever, back = moves[:, :3, 3], moves[:, :3, :3].transpose(1, 2)
    angular_acceleration = torch.zeros_like(gyro)
    for u in stream.sample_index.unique().tolist():
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) > 1:
            seconds = (stream.capture_times[mine] - stream.capture_times[mine[0]]).to(torch.float64) * 1e-9
            angular_acceleration[mine] = torch.gradient(gyro[mine], spacing=(seconds,), dim=0)[0]
    swing = torch.linalg.cross(angular_acceleration, lever) + torch.linalg.cross(gyro, torch.linalg.cross(gyro, lever))
    return turned.with_values(
        gyro=(back @ gyro[..., None])[..., 0].to(stream.values["gyro"]),
        accel=(back @ (accel + swing)[..., None])[..., 0].to(stream.values["accel"]),
    )


def _moved_by_joints(stream: Imu, call: Call, joints_changed: list[bool]) -> Imu:
    gyro, accel = stream.values["gyro"].to(torch.float64).clone(), stream.values["accel"].to(torch.float64).clone()
    for u, (moves, by_joints) in enumerate(zip(call.family_state, joints_changed, strict=True)):
        mine = (stream.sample_index == u).nonzero()[:, 0]
        if len(mine) and by_joints:
            before, after = (
                expected_imu_reading(rig, stream.frame, stream.true_capture_times[mine])
                for rig in (moves.before, moves.after)
            )
            gyro[mine] += after[0] - before[0]
            accel[mine] += after[1] - before[1]
    return stream.with_values(gyro=gyro.to(stream.values["gyro"]), accel=accel.to(stream.values["accel"]))


@handles(Viewpoint, Wrench)
def move_wrench(stream: Wrench, call: Call) -> Wrench:
    """In the rotated axes f' = R^T f; about the new origin of a sensor moved on its link R^T (tau - r x f).

    Raises:
        Obstacle: its frame is not known, and links were moved, of which one may carry it; or its origin moves, and it
            tells a torque without the force.
    """
    if not stream.frame and any(m.joints_changed(f) for m in call.family_state for f in m.before.frames):
        reason = "its axes are not known: no message, rig or part of the log names their frame"
        remedy = f"name it in the rig file, as in sensors: {{{call.name}: {{kind: wrench, frame: LINK}}}}"
        raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, f"{remedy}, or use log.exclude")
    found = item_motions(stream, call.family_state)
    if all(m is None for m in found):
        return stream
    back = torch.stack([EYE if m is None else m for m in found])[:, :3, :3].transpose(1, 2)
    own = [m.errors.get(stream.frame, EYE)[:3, 3] for m in call.family_state]
    about = torque_about(stream, call, -torch.stack([own[u] for u in stream.sample_index.tolist()]))
    told = {**{c: v.to(torch.float64) for c, v in stream.values.items()}, **about}
    return stream.with_values(**{c: (back @ v[..., None])[..., 0].to(stream.values[c]) for c, v in told.items()})


@handles(Viewpoint, Points)
def move_points(stream: Points, call: Call) -> Points:
    """The cloud in the moved sensor's frame."""
    found = item_motions(stream, call.family_state)
    return stream if all(m is None for m in found) else cloud_from(stream, call, found)


@handles(Viewpoint, Lidar)
def move_scan(stream: Lidar, call: Call) -> Points:
    """The cloud in the moved sensor's frame, without what now lies behind something nearer."""
    if stream.origins:
        return _move_shared_cloud(stream, call)
    moved = move_points(stream, call)
    if moved is stream:
        return stream
    old, hidden = stream.realized(), torch.zeros(moved.rows, dtype=torch.bool)
    for i, move in enumerate(item_motions(stream, call.family_state)):
        if move is not None and not is_pure_rotation(move):
            rows = moved.item_slice(i)
            hidden[rows] = hidden_by_move(old.values["xyz"][rows], moved.values["xyz"][rows]).cpu()
    return moved.select(~hidden) if bool(hidden.any()) else moved


def _move_shared_cloud(stream: Points, call: Call) -> Points:
    """A cloud of several scanners in a frame of its own: what stays in view of each scanner that moved.

    Raises:
        ConfigError: the cloud's own frame was moved, at which no scanner is mounted.
    """
    old = stream.realized()
    hidden = torch.zeros(old.rows, dtype=torch.bool)
    for i, (index, time) in enumerate(
        zip(stream.sample_index.tolist(), stream.true_capture_times.tolist(), strict=True)
    ):
        moves = call.family_state[index]
        if moves(stream.frame, time) is not None:
            scanners = ", ".join(stream.origins)
            raise ConfigError(f"Viewpoint.sensors: {call.name!r} is the joint cloud of {scanners}; move those instead")
        rows = torch.arange(old.item_slice(i).start, old.item_slice(i).stop)
        for k, frame in enumerate(stream.origins):
            move = moves(frame, time)
            if move is None or is_pure_rotation(move):
                continue
            own = rows[old.values["origin"][rows].cpu() == k]
            T = moves.before.T(frame, stream.frame, time)
            there = transform_points(T, old.values["xyz"][own].cpu().to(torch.float64))
            hidden[own] = hidden_by_move(there, transform_points(invert(move), there))
    return old.select(~hidden) if bool(hidden.any()) else stream


@handles(Viewpoint, Radar)
def move_radar(stream: Radar, call: Call) -> Radar:
    """Detections in the moved radar's frame, with the velocity along the new ray.

    A detection inside a box moves as the box does. Any other is taken to move along its old ray, as fast as was
    measured. The raw velocity then loses the velocity of the new position: v + omega x p.
    """
    found = item_motions(stream, call.family_state)
    if all(m is None for m in found):
        return stream
    old = stream.realized()
    moved = move_points(old, call)
    if not {"velocity", "velocity_comp"} <= set(moved.values):
        return moved  # type: ignore[return-value]
    velocity, compensated = moved.values["velocity"].clone(), moved.values["velocity_comp"].clone()
    for i, move in enumerate(found):
        rows = old.item_slice(i)
        if move is None or rows.start == rows.stop:
            continue
        R = move[:3, :3].T.detach()
        ray = _rays(moved.values["xyz"][rows])
        target = _target_velocity(old, call, i)  # in the old radar frame
        own = radar_velocity(call.sample, old, i)
        new = radar_velocity(call.sample, old, i, move[:3, 3].detach())
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
    rows, (index, time) = stream.item_slice(item), _index_and_time(stream, item)
    out = stream.values["velocity_comp"][rows].to(torch.float64).clone()
    chosen: SampleMeta = call.sample.metas[index]
    T = chosen.true_rig.T(chosen.ref.frame, stream.frame, time, chosen.ref.time)
    xyz = transform_points(T, stream.values["xyz"][rows].to(torch.float64))
    for boxes in call.sample.of_type(Boxes3D).values():
        mine = (boxes.sample_index == index).nonzero()[:, 0]
        if "velocity" not in boxes.values or len(mine) == 0:
            continue
        key = int(mine[0])
        span = boxes.item_slice(key)
        grown = boxes.values["size"][span] + torch.tensor([0.5, 0.5, 100.0])  # a radar measures no height
        inside = points_in_boxes(xyz, boxes.poses_at(key, time), grown)
        for hit, v in zip(inside, boxes.values["velocity"][span], strict=True):
            if bool(torch.isfinite(v).all()):
                out[hit] = T[:3, :3].T @ v
    return out


def _index_and_time(stream: Stream, item: int) -> tuple[int, int]:
    return int(stream.sample_index[item]), int(stream.true_capture_times[item])


@handles(Viewpoint, Taxels)
def move_taxels(stream: Taxels, call: Call) -> Taxels:
    """The stream itself: the link that the elements are fixed on has moved with them."""
    return stream


@handles(Viewpoint, Keypoints2D)
def move_keypoints(stream: Keypoints2D, call: Call) -> Keypoints2D:
    """Key points seen from the new position, at the distance of their pixels; those out of view are left out.

    After a pure rotation the distance does not matter.
    """
    found = item_motions(stream, call.family_state)
    pixel = stream.values["pixel"].to(torch.float64).clone()
    keep = torch.ones(stream.rows, dtype=torch.bool)
    for i, move in enumerate(found):
        rows = stream.item_slice(i)
        if move is None or rows.start == rows.stop:
            continue
        index, time = _index_and_time(stream, i)
        sensor = call.sample.metas[index].true_rig.camera(stream.instance(call.name))
        rays = sensor.unproject(pixel[rows])
        distance = torch.ones(len(rays), dtype=torch.float64)
        if not is_pure_rotation(move):
            camera = call.sample[stream.instance(call.name)]
            same = (camera.sample_index == index).nonzero()[:, 0]
            item = int(same[(camera.true_capture_times[same] - time).abs().argmin()])
            settings = call.family_state[index].settings
            distances = camera_range(call.sample, stream.instance(call.name), item, settings)
            u, v = nearest_whole(pixel[rows]).to(torch.int64).unbind(1)
            distance = distances[v.clamp(0, distances.shape[0] - 1), u.clamp(0, distances.shape[1] - 1)].to(
                torch.float64
            )
        there = transform_points(invert(move), rays * distance.nan_to_num(1e6, posinf=1e6)[:, None])
        pixel[rows], seen = sensor.project(there)
        keep[rows] = seen
    moved = stream.with_values(pixel=pixel)
    return moved if bool(keep.all()) else moved.select(keep)


__all__ = ["Viewpoint"]
