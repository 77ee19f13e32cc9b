"""Samples of info files: the two layouts of mmdetection3d, old and v2, as one. ``rows`` writes them.

v2 (mmdetection3d 1.1 and newer): a dictionary of ``metainfo`` and ``data_list``. Old (up to 1.0, and forks of it,
BEVDet and BEVFusion among them): a dictionary of ``infos`` and ``metadata``, or a bare list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import as_f64, invert, rotation_from_quaternion, se3
from calib.se3_arrays import determinants

InfoRow = dict[str, Any]
INTRINSICS = "camera_intrinsics"  # what BEVFusion calls cam_intrinsic
AGENT_STEPS = "gt_agent_fut_trajs"
EYE = torch.eye(4, dtype=torch.float64)


@dataclass(frozen=True)
class CameraInfo:
    """One picture: path in the file, K (3, 3), ``T_ego_cam``, ``T_world_ego`` at its own time, time (ns).

    ``size`` is its (height, width) in pixels, 0 where the file does not say it.
    """

    path: str
    K: Tensor
    T_ego_cam: Tensor
    T_world_ego: Tensor
    time: int
    size: tuple[int, int] = (0, 0)


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
        flat: number of a box -> its camera, and left, top, right, bottom in its picture, pixels; of those that are set.
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
    flat: dict[int, tuple[str, Tensor]] = field(default_factory=dict)


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
    T = np.asarray(matrix, float)
    if T.shape != (4, 4) or not np.isfinite(T).all():
        raise ValueError("expected a 4x4 transform")
    u, _, v = torch.linalg.svd(torch.from_numpy(T[:3, :3].copy()))
    R = u @ v
    if float(np.abs(R.numpy() - T[:3, :3]).max()) > 1e-3 or determinants(R.numpy())[0] < 0:
        raise ValueError("a transform is not rigid")
    return se3(R, as_f64(T[:3, 3]))


def _nanoseconds(seconds: Any) -> int:
    """Files give seconds (v2) or microseconds (old) as floats; both are exact to a microsecond."""
    value = float(seconds)
    if not np.isfinite(value) or abs(value) > 9e15:
        raise ValueError(f"timestamp: {value}")
    return round(value * 1e6) * 1000 if abs(value) < 1e12 else round(value) * 1000


def seconds_or_micros(old: Any, time: int) -> float | int:
    """A time (ns) in the unit of a file's own stamp: seconds, or microseconds where that is as large."""
    return time // 1000 if old is not None and abs(float(old)) >= 1e12 else time * 1e-9


def read_v2(row: InfoRow, token: str, categories: dict[int, str]) -> Info:
    """One row of ``data_list``; ``categories`` names its labels. Raises KeyError or ValueError on a damaged row."""
    lidar = row["lidar_points"]
    T_ego_lidar = rigid(lidar["lidar2ego"]) if "lidar2ego" in lidar else EYE
    T_world_ego = rigid(row["ego2global"]) if "ego2global" in row else EYE
    time = _nanoseconds(row.get("timestamp", 0.0))
    cameras = {}
    for name, cam in (row.get("images") or {}).items():
        if not has_picture(cam):
            continue
        if "lidar2cam" not in cam and "cam2ego" not in cam:
            raise ValueError(f"images.{name}: has neither lidar2cam nor cam2ego, so its mounting is unknown; add one")
        T_ego_cam = rigid(cam["cam2ego"]) if "cam2ego" in cam else T_ego_lidar @ invert(rigid(cam["lidar2cam"]))
        there = T_world_ego
        if (
            "lidar2cam" in cam
        ):  # it leads through the world, so it implies the vehicle's pose when the picture was taken
            there = T_world_ego @ T_ego_lidar @ invert(rigid(cam["lidar2cam"])) @ invert(T_ego_cam)
        K = as_f64(np.asarray(cam["cam2img"], float)[:3, :3])
        size = (int(cam.get("height") or 0), int(cam.get("width") or 0))
        cameras[str(name)] = CameraInfo(
            str(cam["img_path"]), K, T_ego_cam, there, _nanoseconds(cam.get("timestamp", time * 1e-9)), size
        )
    sweeps = []
    for sweep_row in row.get("lidar_sweeps") or []:
        points = sweep_row["lidar_points"]
        back = invert(rigid(points["lidar2sensor"]))
        sweeps.append(SweepInfo(str(points["lidar_path"]), _nanoseconds(sweep_row["timestamp"]), back))
    instances = row.get("instances") or []
    boxes = as_f64([_seven(i["bbox_3d"], "bbox_3d") for i in instances]).reshape(-1, 7)
    velocity = as_f64([list(i.get("velocity", _last_two(i["bbox_3d"])))[:2] for i in instances]).reshape(-1, 2)
    labels = [int(i.get("bbox_label_3d", i.get("bbox_label", -1))) for i in instances]
    names = [categories.get(k, str(k)) for k in labels]
    width = int(lidar.get("num_pts_feats", 0))
    flat = {k: found for k, i in enumerate(instances) if (found := rectangle_of(i, list(cameras))) is not None}
    return Info(token, time, str(lidar["lidar_path"]), width, T_ego_lidar, T_world_ego, boxes, names, velocity, cameras,
                sweeps, flat)  # fmt: skip


def has_picture(entry: Any) -> bool:
    """Whether an entry of ``images`` is a camera with a picture; KITTI's also hold matrices alone."""
    return isinstance(entry, dict) and "img_path" in entry


def is_rectangle(bbox: Any) -> bool:
    """Whether a ``bbox`` is one, and not a placeholder: finite, wider and higher than 0."""
    numbers = np.asarray(bbox, float)
    return numbers.shape == (4,) and bool(np.isfinite(numbers).all() and (numbers[2:] > numbers[:2]).all())


def are_steps(name: str, value: Any) -> bool:
    """Whether a path is one of steps along x and y: (..., 2) numbers, or of boxes also (boxes, 2 steps) in one row."""
    try:
        steps = np.asarray(value)
    except ValueError:  # lists of different lengths
        return False
    flat = name == AGENT_STEPS and steps.ndim == 2 and steps.shape[1] % 2 == 0
    return steps.dtype.kind in "fiu" and steps.ndim > 1 and (steps.shape[-1] == 2 or flat)


def rectangle_of(instance: InfoRow, cameras: list[str]) -> tuple[str, Tensor] | None:
    """Camera and rectangle (4,) of a box; None without a rectangle, or where nothing says which camera's it is.

    Args:
        instance: entry of ``instances``. cameras: of the sample, in their order, in which ``camera_id`` counts.
    """
    bbox, number = instance.get("bbox"), instance.get("camera_id", 0 if len(cameras) == 1 else None)
    if bbox is None or not is_rectangle(bbox) or number is None or not 0 <= int(number) < len(cameras):
        return None
    return cameras[int(number)], as_f64(np.asarray(bbox, float))


def _seven(box: Any, field: str) -> list[float]:
    """Centre, size and yaw of a box; with nine numbers the last two repeat its velocity."""
    numbers = [float(v) for v in box]
    if len(numbers) not in (7, 9):
        raise ValueError(f"{field}: expected 7 numbers of a box (or 9, with its velocity), got {len(numbers)}")
    return numbers[:7]


def _last_two(box: Any) -> list[float]:
    """Velocity of a box of nine numbers; unknown of others."""
    return [float(v) for v in box[7:9]] if len(box) == 9 else [np.nan, np.nan]


def pose_in(row: InfoRow, name: str) -> Tensor:
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
            str(cam["data_path"]),
            K,
            pose_in(cam, "sensor2ego"),
            pose_in(cam, "ego2global"),
            _nanoseconds(cam["timestamp"]),
        )
    sweeps = [
        SweepInfo(str(s["data_path"]), _nanoseconds(s["timestamp"]), pose_in(s, "sensor2lidar"))
        for s in row.get("sweeps") or []
    ]
    rows = np.asarray(row.get("gt_boxes", ()), float)
    boxes = as_f64([_seven(box, "gt_boxes") for box in rows]).reshape(-1, 7)
    names = [str(n) for n in row.get("gt_names", ["object"] * len(boxes))]
    velocity = as_f64(np.asarray(row.get("gt_velocity", [_last_two(b) for b in rows]), float)).reshape(-1, 2)
    return Info(token, _nanoseconds(row["timestamp"]), str(row["lidar_path"]), 0, pose_in(row, "lidar2ego"),
                pose_in(row, "ego2global"), boxes, names, velocity, cameras, sweeps)  # fmt: skip
