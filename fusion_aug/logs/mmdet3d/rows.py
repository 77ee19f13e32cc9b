"""Rows of info files: a changed sample put into the row that it was read from, in the fields that the row has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import invert, quaternion_from_rotation
from fusion_aug.logs.mmdet3d.contents import PER_BOX, STEPS
from fusion_aug.logs.mmdet3d.infos import (
    INTRINSICS,
    CameraInfo,
    Info,
    InfoRow,
    are_steps,
    has_picture,
    pose_in,
    seconds_or_micros,
)

NO_RECTANGLE = [0.0, 0.0, 0.0, 0.0]  # how infos spell a box without one


@dataclass(frozen=True)
class Changes:
    """What changed of a sample beside its ``Info``.

    Attributes:
        records: place of every box that is left in the row's lists of boxes.
        counts: LiDAR points in each of these, as the data set counts; None where it does not say.
        labels: label of each of these by the new name of its class; None where the class is the same.
        left_picture: places of boxes whose rectangle is no longer in the picture.
        steps: (2, 2) map of steps along x and y of the LiDAR; None where nothing moved.
        kept: fields that hold as they are, by the user's word. masks: field -> path of a file of labels of points.
    """

    records: list[int]
    counts: list[int | None]
    labels: list[int | None]
    left_picture: set[int]
    steps: Tensor | None
    kept: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)


def lidar_to_camera(info: Info, camera: CameraInfo) -> Tensor:
    """``T_cam_lidar`` (4, 4), each at its own time, over the world."""
    return invert(camera.T_world_ego @ camera.T_ego_cam) @ info.T_world_ego @ info.T_ego_lidar


def write_v2(row: InfoRow, info: Info, changes: Changes) -> InfoRow:
    """Put a sample into a row of ``data_list``."""
    row["ego2global"] = info.T_world_ego.tolist()
    row["lidar_points"] |= {"lidar_path": info.lidar, "lidar2ego": info.T_ego_lidar.tolist()}
    held = row.get("images") or {}
    others = {n: entry for n, entry in held.items() if not has_picture(entry)}
    pictures = {n: entry for n, entry in held.items() if has_picture(entry)}
    first: InfoRow = next(iter(pictures.values()), {})
    row["images"] = {n: _image(pictures.get(n) or first, info, c) for n, c in info.cameras.items()} | others
    for sweep_row, sweep in zip(row.get("lidar_sweeps") or [], info.sweeps, strict=True):
        inverse = invert(sweep.T_lidar_sweep)
        sweep_row["lidar_points"] |= {"lidar_path": sweep.path, "lidar2sensor": inverse.tolist()}
        # the vehicle's pose at the sweep, by the same motion
        sweep_row["ego2global"] = (
            info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep @ invert(info.T_ego_lidar)
        ).tolist()
    instances = row.get("instances") or []
    if instances:
        _take_boxes(row, len(instances), changes.records)
        row["instances"] = [_instance(instances[k], j, k, info, changes) for j, k in enumerate(changes.records)]
    return _with_steps(row, changes)


def _image(like: InfoRow, info: Info, camera: CameraInfo) -> InfoRow:
    """The entry of one camera, in the fields of another entry."""
    K, T_cam_lidar = _padded(camera.K), lidar_to_camera(info, camera)
    out = {
        **like,
        "img_path": camera.path,
        "cam2img": _cut_like(like["cam2img"], K),
        "cam2ego": camera.T_ego_cam.tolist(),
        "lidar2cam": T_cam_lidar.tolist(),
        "timestamp": seconds_or_micros(like.get("timestamp"), camera.time),
    }
    others = {
        "lidar2img": lambda: _cut_like(like["lidar2img"], K @ T_cam_lidar),
        "cam2global": lambda: (camera.T_world_ego @ camera.T_ego_cam).tolist(),
        "ego2global": lambda: camera.T_world_ego.tolist(),
        "height": lambda: camera.size[0],
        "width": lambda: camera.size[1],
    }
    return out | {name: value() for name, value in others.items() if name in like}


def _padded(K: Tensor) -> Tensor:
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = K
    return out


def _cut_like(old: Any, matrix: Tensor) -> list[list[float]]:
    """A 4x4 matrix in the shape of another one: 3x3, 3x4 or 4x4."""
    rows, columns = np.asarray(old).shape
    cut: list[list[float]] = matrix[:rows, :columns].tolist()
    return cut


def _instance(instance: InfoRow, j: int, k: int, info: Info, changes: Changes) -> InfoRow:
    """One box: the j-th that is left, the k-th of the row."""
    box, velocity = info.boxes[j].tolist(), info.velocity[j].tolist()
    instance["bbox_3d"] = [float(v) for v in (*box, *velocity)][: len(instance["bbox_3d"])]
    if "velocity" in instance:
        instance["velocity"] = velocity
    if changes.labels[j] is not None:
        instance |= {n: changes.labels[j] for n in ("bbox_label_3d", "bbox_label") if n in instance}
    count = changes.counts[j]
    if count is not None and count != int(instance["num_lidar_pts"]):
        instance["num_lidar_pts"] = count
        if "bbox_3d_isvalid" in instance:
            instance["bbox_3d_isvalid"] = bool(count + int(instance.get("num_radar_pts", 0)) > 0)
    if k in info.flat:
        camera, rectangle = info.flat[k]
        instance["bbox"] = rectangle.tolist()
        if "camera_id" in instance:
            instance["camera_id"] = list(info.cameras).index(camera)
    elif k in changes.left_picture:
        instance["bbox"] = list(NO_RECTANGLE)
    return instance


def _with_steps(row: InfoRow, changes: Changes) -> InfoRow:
    """The row with the steps of future and past paths moved, but for those that are kept or are none."""
    for name in STEPS:
        if changes.steps is None or name in changes.kept or not are_steps(name, row.get(name)):
            continue
        old = np.asarray(row[name])
        moved = (old.reshape(-1, 2).astype(np.float64) @ changes.steps.numpy().T).reshape(old.shape)
        exact = moved.astype(old.dtype) if old.dtype.kind == "f" else moved
        row[name] = exact if isinstance(row[name], np.ndarray) else exact.tolist()
    return row


def write_old(row: InfoRow, info: Info, changes: Changes) -> InfoRow:
    """Put a sample into a row of ``infos``."""
    row |= {"token": info.token, "lidar_path": info.lidar}
    _put_pose(row, "ego2global", info.T_world_ego)
    cams = {}
    for name, camera in info.cameras.items():
        cam = {**(row["cams"].get(name) or next(iter(row["cams"].values())))}
        key = INTRINSICS if INTRINSICS in cam else "cam_intrinsic"
        cam |= {"data_path": camera.path, "type": name, key: camera.K.numpy(), "timestamp": camera.time // 1000}
        _put_pose(cam, "sensor2ego", camera.T_ego_cam)
        _put_pose(cam, "ego2global", camera.T_world_ego)
        _put_pose(cam, "sensor2lidar", invert(lidar_to_camera(info, camera)))
        cams[name] = cam
    row["cams"] = cams
    for sweep_row, sweep in zip(row.get("sweeps") or [], info.sweeps, strict=True):
        sweep_row["data_path"] = sweep.path
        _put_pose(sweep_row, "sensor2lidar", sweep.T_lidar_sweep)
        there = info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep
        if "sensor2ego_rotation" in sweep_row:
            _put_pose(sweep_row, "ego2global", there @ invert(pose_in(sweep_row, "sensor2ego")))
    if "gt_boxes" in row:
        _put_boxes(row, info, changes)
    return _with_steps(row, changes)


def _put_pose(row: InfoRow, name: str, T: Tensor) -> None:
    """Write a pose as the row spells it: a quaternion, or a 3x3; nothing where the row has none."""
    if f"{name}_rotation" not in row:
        return
    old = np.asarray(row[f"{name}_rotation"])
    kind = type(row[f"{name}_rotation"])
    rotation: Any = quaternion_from_rotation(T[:3, :3]).numpy() if old.size == 4 else T[:3, :3].numpy()
    shift: Any = T[:3, 3].numpy()
    row[f"{name}_rotation"] = rotation.tolist() if kind is list else rotation
    row[f"{name}_translation"] = shift.tolist() if isinstance(row[f"{name}_translation"], list) else shift


def _take_boxes(row: InfoRow, count: int, records: list[int]) -> None:
    """Leave the boxes that are left in all lists that have an entry for every box."""
    for name in PER_BOX if len(records) < count else ():
        if row.get(name) is not None and len(row[name]) == count:
            kept = [row[name][k] for k in records]
            row[name] = kept if isinstance(row[name], list) else np.asarray(row[name])[records]


def _put_boxes(row: InfoRow, info: Info, changes: Changes) -> None:
    """Write the boxes that are left into the row's lists."""
    old = np.asarray(row["gt_boxes"])
    _take_boxes(row, len(old), changes.records)
    columns = old.shape[1] if old.ndim == 2 else 7
    row["gt_boxes"] = torch.cat([info.boxes, info.velocity], 1)[:, :columns].numpy().astype(old.dtype)
    if "gt_velocity" in row:
        row["gt_velocity"] = info.velocity.numpy()
    if any(label is not None for label in changes.labels):
        row["gt_names"] = np.array(info.names)
    if "num_lidar_pts" not in row:
        return
    before = np.asarray(row["num_lidar_pts"])
    known = [int(b) if c is None else c for b, c in zip(before, changes.counts, strict=True)]
    row["num_lidar_pts"] = np.array(known, np.int64)
    if "valid_flag" in row:
        seen = row["num_lidar_pts"] + np.asarray(row.get("num_radar_pts", 0)) > 0
        row["valid_flag"] = np.where(row["num_lidar_pts"] == before, np.asarray(row["valid_flag"], bool), seen)
