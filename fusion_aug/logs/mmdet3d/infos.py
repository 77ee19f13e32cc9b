"""Samples of info files: the two layouts of mmdetection3d, old and v2, as one.

v2 (mmdetection3d 1.1 and newer): a dictionary of ``metainfo`` and ``data_list``. Old (up to 1.0, and forks of it,
BEVDet and BEVFusion among them): a dictionary of ``infos`` and ``metadata``, or a bare list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import as_f64, invert, quaternion_from_rotation, rotation_from_quaternion, se3

InfoRow = dict[str, Any]
INTRINSICS = "camera_intrinsics"  # what BEVFusion calls cam_intrinsic
EYE = torch.eye(4, dtype=torch.float64)


@dataclass(frozen=True)
class CameraInfo:
    """One picture: path in the file, K (3, 3), ``T_ego_cam``, ``T_world_ego`` at its own time, time (ns)."""

    path: str
    K: Tensor
    T_ego_cam: Tensor
    T_world_ego: Tensor
    time: int


@dataclass(frozen=True)
class SweepInfo:
    """An earlier sweep: path in the file, time (ns), ``T_lidar_sweep`` (4, 4) to the keyframe's LiDAR."""

    path: str
    time: int
    T_lidar_sweep: Tensor


@dataclass(frozen=True)
class Info:
    """One sample.

    Attributes:
        token: unique in its file. time: ns. lidar: path as the file gives it. width: numbers per point, 0 if unknown.
        T_ego_lidar, T_world_ego: (4, 4). cameras: by name. sweeps: earlier clouds.
        boxes: (n, 7) in the LiDAR's frame: centre, length, width, height, yaw. names: (n,) categories.
        velocity: (n, 2) m/s in the LiDAR's frame, NaN where unknown.
    """

    token: str
    time: int
    lidar: str
    width: int
    T_ego_lidar: Tensor
    T_world_ego: Tensor
    boxes: Tensor
    names: list[str]
    velocity: Tensor
    cameras: dict[str, CameraInfo] = field(default_factory=dict)
    sweeps: list[SweepInfo] = field(default_factory=list)


def convert_legacy_boxes(boxes: Tensor) -> Tensor:
    """Convert boxes (n, 7) from the convention before 1.0 (width, length, height, -yaw - pi/2) to ours, or back."""
    out = boxes[:, [0, 1, 2, 4, 3, 5, 6]].clone()
    out[:, 6] = -boxes[:, 6] - np.pi / 2
    return out


def validate_info(info: Info) -> Info:
    """Return the info if its numbers are plausible.

    Raises:
        ValueError: they are not; the message names the field.
    """
    if not info.width == 0 and not 3 <= info.width <= 64:
        raise ValueError(f"num_pts_feats: {info.width} numbers per point")
    if not bool(torch.isfinite(info.boxes).all()):
        raise ValueError("a box holds a number that is not finite")
    if not len(info.boxes) == len(info.names) == len(info.velocity):
        raise ValueError(f"{len(info.boxes)} boxes, {len(info.names)} names, {len(info.velocity)} velocities")
    for name, camera in info.cameras.items():
        K = camera.K
        if K.shape != (3, 3) or not bool(torch.isfinite(K).all()) or abs(float(torch.linalg.det(K))) < 1e-9:
            raise ValueError(f"{name}: cam2img is no camera matrix")
    return info


def rigid(matrix: Any) -> Tensor:
    """(4, 4) from a nested list, its rotation made orthonormal: the files hold float32.

    Raises:
        ValueError: it is not near a rigid transform.
    """
    T = as_f64(np.asarray(matrix, float)).clone()
    if T.shape != (4, 4) or not bool(torch.isfinite(T).all()):
        raise ValueError("expected a 4x4 transform")
    u, _, v = torch.linalg.svd(T[:3, :3])
    R = u @ v
    if float((R - T[:3, :3]).abs().max()) > 1e-3 or float(torch.linalg.det(R)) < 0:
        raise ValueError("a transform is not rigid")
    return se3(R, T[:3, 3])


def _nanoseconds(seconds: Any) -> int:
    """Files give seconds (v2) or microseconds (old) as floats; both are exact to a microsecond."""
    value = float(seconds)
    if not np.isfinite(value) or abs(value) > 9e15:
        raise ValueError(f"timestamp: {value}")
    return round(value * 1e6) * 1000 if abs(value) < 1e12 else round(value) * 1000


def read_v2(row: InfoRow, token: str, categories: dict[int, str]) -> Info:
    """One row of ``data_list``; ``categories`` names its labels. Raises KeyError or ValueError on a damaged row."""
    lidar = row["lidar_points"]
    T_ego_lidar = rigid(lidar["lidar2ego"]) if "lidar2ego" in lidar else EYE
    T_world_ego = rigid(row["ego2global"]) if "ego2global" in row else EYE
    time = _nanoseconds(row.get("timestamp", 0.0))
    cameras = {}
    for name, cam in (row.get("images") or {}).items():
        if "lidar2cam" not in cam:
            continue
        T_ego_cam = rigid(cam["cam2ego"]) if "cam2ego" in cam else T_ego_lidar @ invert(rigid(cam["lidar2cam"]))
        # lidar2cam leads through the world, so it implies the vehicle's pose at the time of the picture
        there = T_world_ego @ T_ego_lidar @ invert(rigid(cam["lidar2cam"])) @ invert(T_ego_cam)
        K = as_f64(np.asarray(cam["cam2img"], float)[:3, :3])
        cameras[str(name)] = CameraInfo(
            str(cam["img_path"]), K, T_ego_cam, there, _nanoseconds(cam.get("timestamp", time * 1e-9))
        )
    sweeps = []
    for sweep_row in row.get("lidar_sweeps") or []:
        points = sweep_row["lidar_points"]
        back = invert(rigid(points["lidar2sensor"]))
        sweeps.append(SweepInfo(str(points["lidar_path"]), _nanoseconds(sweep_row["timestamp"]), back))
    instances = row.get("instances") or []
    boxes = as_f64([list(i["bbox_3d"])[:7] for i in instances]).reshape(-1, 7)
    velocity = as_f64([list(i.get("velocity", (np.nan, np.nan)))[:2] for i in instances]).reshape(-1, 2)
    labels = [int(i.get("bbox_label_3d", i.get("bbox_label", -1))) for i in instances]
    names = [categories.get(k, str(k)) for k in labels]
    width = int(lidar.get("num_pts_feats", 0))
    return Info(token, time, str(lidar["lidar_path"]), width, T_ego_lidar, T_world_ego, boxes, names, velocity, cameras,
                sweeps)  # fmt: skip


def _pose(row: InfoRow, name: str) -> Tensor:
    """(4, 4) of ``<name>_rotation`` (quaternion w x y z, or 3x3) and ``<name>_translation``."""
    rotation = as_f64(np.asarray(row[f"{name}_rotation"], float))
    if rotation.shape == (4,):
        rotation = rotation_from_quaternion(rotation / torch.linalg.norm(rotation))
    T = se3(rotation, as_f64(np.asarray(row[f"{name}_translation"], float)).reshape(3))
    return rigid(T)


def read_old(row: InfoRow, token: str) -> Info:
    """One row of ``infos``. Raises KeyError or ValueError on a damaged row."""
    cameras = {}
    for name, cam in (row.get("cams") or {}).items():
        K = as_f64(np.asarray(cam["cam_intrinsic" if "cam_intrinsic" in cam else INTRINSICS], float)[:3, :3])
        cameras[str(name)] = CameraInfo(
            str(cam["data_path"]), K, _pose(cam, "sensor2ego"), _pose(cam, "ego2global"), _nanoseconds(cam["timestamp"])
        )
    sweeps = [
        SweepInfo(str(s["data_path"]), _nanoseconds(s["timestamp"]), _pose(s, "sensor2lidar"))
        for s in row.get("sweeps") or []
    ]
    boxes = as_f64(np.asarray(row.get("gt_boxes", np.zeros((0, 7))), float)[:, :7]).reshape(-1, 7)
    names = [str(n) for n in row.get("gt_names", ["object"] * len(boxes))]
    velocity = as_f64(np.asarray(row.get("gt_velocity", np.full((len(boxes), 2), np.nan)), float)).reshape(-1, 2)
    return Info(token, _nanoseconds(row["timestamp"]), str(row["lidar_path"]), 0, _pose(row, "lidar2ego"),
                _pose(row, "ego2global"), boxes, names, velocity, cameras, sweeps)  # fmt: skip


def lidar_to_camera(info: Info, camera: CameraInfo) -> Tensor:
    """``T_cam_lidar`` (4, 4), each at its own time, over the world."""
    return invert(camera.T_world_ego @ camera.T_ego_cam) @ info.T_world_ego @ info.T_ego_lidar


def write_v2(row: InfoRow, info: Info, counts: list[int]) -> InfoRow:
    """Put a sample into a row of ``data_list``, in the fields that it has; counts: LiDAR points in each box."""
    row |= {"token": info.token} if "token" in row else {}
    row["ego2global"] = info.T_world_ego.tolist()
    row["lidar_points"] |= {"lidar_path": info.lidar, "lidar2ego": info.T_ego_lidar.tolist()}
    images = {}
    for name, camera in info.cameras.items():
        like = row["images"].get(name) or next(iter(row["images"].values()))
        K = camera.K.tolist()
        full = len(like["cam2img"]) == 4
        images[name] = {
            **like,
            "img_path": camera.path,
            "cam2img": [[*r, 0.0] for r in K] + [[0.0, 0.0, 0.0, 1.0]] if full else K,
            "cam2ego": camera.T_ego_cam.tolist(),
            "lidar2cam": lidar_to_camera(info, camera).tolist(),
            "timestamp": camera.time * 1e-9,
        }
        images[name].pop("lidar2img", None)
        if "lidar2img" in like:
            images[name]["lidar2img"] = (_padded(camera.K) @ lidar_to_camera(info, camera)).tolist()
    row["images"] = images
    sweeps = row.get("lidar_sweeps") or []
    for sweep_row, sweep in zip(sweeps, info.sweeps, strict=True):
        inverse = invert(sweep.T_lidar_sweep)
        sweep_row["lidar_points"] |= {"lidar_path": sweep.path, "lidar2sensor": inverse.tolist()}
        # the vehicle's pose at the sweep, by the same motion
        sweep_row["ego2global"] = (
            info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep @ invert(info.T_ego_lidar)
        ).tolist()
    for i, instance in enumerate(row.get("instances") or []):
        instance["bbox_3d"] = [float(v) for v in info.boxes[i]]
        if "velocity" in instance:
            instance["velocity"] = [float(v) for v in info.velocity[i]]
        instance["num_lidar_pts"] = counts[i]
        if "bbox_3d_isvalid" in instance:
            instance["bbox_3d_isvalid"] = bool(counts[i] + int(instance.get("num_radar_pts", 0)) > 0)
    return row


def _padded(K: Tensor) -> Tensor:
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = K
    return out


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


def write_old(row: InfoRow, info: Info, counts: list[int]) -> InfoRow:
    """Put a sample into a row of ``infos``, in the fields that it has; counts: LiDAR points in each box."""
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
            _put_pose(sweep_row, "ego2global", there @ invert(_pose(sweep_row, "sensor2ego")))
    if "gt_boxes" in row:
        row["gt_boxes"] = info.boxes.numpy().astype(np.asarray(row["gt_boxes"]).dtype)
        row["num_lidar_pts"] = np.array(counts, np.int64)
        if "valid_flag" in row:
            row["valid_flag"] = row["num_lidar_pts"] + np.asarray(row.get("num_radar_pts", 0)) > 0
    if "gt_velocity" in row:
        row["gt_velocity"] = info.velocity.numpy()
    return row
