"""Info files: the two layouts of mmdetection3d, old and v2, as one.

v2 (mmdetection3d 1.1 and newer): a dictionary of ``metainfo`` and ``data_list``. Old (up to 1.0, and forks of it,
BEVDet and BEVFusion among them): a dictionary of ``infos`` and ``metadata``, or a bare list.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import as_f64, invert, quaternion_from_rotation, rotation_from_quaternion, se3
from fusion_aug.errors import DataError
from fusion_aug.logs.safe_pickle import load_plain

Raw = dict[str, Any]
EYE = torch.eye(4, dtype=torch.float64)


@dataclass(frozen=True)
class CameraInfo:
    """One picture: its path as told, K (3, 3), ``T_ego_cam``, ``T_world_ego`` at its own time, time (ns)."""

    path: str
    K: Tensor
    T_ego_cam: Tensor
    T_world_ego: Tensor
    time: int


@dataclass(frozen=True)
class SweepInfo:
    """An earlier sweep: its path as told, time (ns), ``T_lidar_sweep`` (4, 4) to the keyframe's LiDAR."""

    path: str
    time: int
    T_lidar_sweep: Tensor


@dataclass(frozen=True)
class Info:
    """One sample.

    Attributes:
        token: unique in its file. time: ns. lidar: path as told. width: numbers per point, 0 where not told.
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


class InfoFile:
    """An info file of either layout.

    Args:
        path: the pickle.
    """

    def __init__(self, path: Path):
        self.path, data = path, load_plain(path)
        self.v2 = isinstance(data, dict) and "data_list" in data
        key = "data_list" if self.v2 else "infos"
        rows = data.get(key) if isinstance(data, dict) else data
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise DataError(f"{path}: {key}: expected a list of dictionaries, as mmdetection3d writes it")
        self.data, self.rows = data, rows
        meta = data.get("metainfo" if self.v2 else "metadata") if isinstance(data, dict) else None
        self.meta: Raw = meta if isinstance(meta, dict) else {}
        if str(self.meta.get("dataset", "")).lower() == "kitti":
            raise DataError(f"{path}: metainfo.dataset: boxes of KITTI infos are in camera axes; use log=kitti instead")
        categories = self.meta.get("categories")
        self.categories = {int(v): str(k) for k, v in categories.items()} if isinstance(categories, dict) else {}
        self.tokens = [str(r.get("token", r.get("sample_idx", i))) for i, r in enumerate(rows)]
        if len(set(self.tokens)) < len(rows):
            raise DataError(f"{path}: two samples have the same token")

    def info(self, number: int) -> Info:
        """One sample.

        Raises:
            DataError: a field is missing or holds a wrong type, named.
        """
        row, where = self.rows[number], f"{self.path}: sample {self.tokens[number]}"
        try:
            return (_read_v2 if self.v2 else _read_old)(row, self.tokens[number], self.categories)
        except KeyError as error:
            raise DataError(f"{where}: {error.args[0]} is missing") from None
        except (TypeError, ValueError, AttributeError, IndexError, RuntimeError) as error:
            raise DataError(f"{where}: holds a wrong type ({error})") from None

    def with_rows(self, rows: list[Raw]) -> Any:
        """The content of a file of the same layout with other samples."""
        if not isinstance(self.data, dict):
            return rows
        return {**self.data, "data_list" if self.v2 else "infos": rows}

    def changed(self, number: int, info: Info, counts: list[int]) -> Raw:
        """A sample as this file would tell of it after a change.

        What nobody made anew (2-D boxes of ``cam_instances``) is left out rather than told wrongly.
        """
        return (_write_v2 if self.v2 else _write_old)(copy.deepcopy(self.rows[number]), info, counts)


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
    return round(value * 1e6) * 1000 if abs(value) < 1e12 else round(value) * 1000


def _read_v2(row: Raw, token: str, categories: dict[int, str]) -> Info:
    lidar = row["lidar_points"]
    T_ego_lidar = rigid(lidar["lidar2ego"]) if "lidar2ego" in lidar else EYE
    T_world_ego = rigid(row["ego2global"]) if "ego2global" in row else EYE
    time = _nanoseconds(row.get("timestamp", 0.0))
    cameras = {}
    for name, cam in (row.get("images") or {}).items():
        if "lidar2cam" not in cam:
            continue
        T_ego_cam = rigid(cam["cam2ego"]) if "cam2ego" in cam else T_ego_lidar @ invert(rigid(cam["lidar2cam"]))
        # lidar2cam leads over the world, so it tells where the vehicle was when the picture was taken
        there = T_world_ego @ T_ego_lidar @ invert(rigid(cam["lidar2cam"])) @ invert(T_ego_cam)
        K = as_f64(np.asarray(cam["cam2img"], float)[:3, :3])
        cameras[str(name)] = CameraInfo(
            str(cam["img_path"]), K, T_ego_cam, there, _nanoseconds(cam.get("timestamp", time * 1e-9))
        )
    sweeps = []
    for told in row.get("lidar_sweeps") or []:
        points = told["lidar_points"]
        back = invert(rigid(points["lidar2sensor"]))
        sweeps.append(SweepInfo(str(points["lidar_path"]), _nanoseconds(told["timestamp"]), back))
    instances = row.get("instances") or []
    boxes = as_f64([list(i["bbox_3d"])[:7] for i in instances]).reshape(-1, 7)
    velocity = as_f64([list(i.get("velocity", (np.nan, np.nan)))[:2] for i in instances]).reshape(-1, 2)
    labels = [int(i.get("bbox_label_3d", i.get("bbox_label", -1))) for i in instances]
    names = [categories.get(k, str(k)) for k in labels]
    width = int(lidar.get("num_pts_feats", 0))
    return Info(token, time, str(lidar["lidar_path"]), width, T_ego_lidar, T_world_ego, boxes, names, velocity, cameras,
                sweeps)  # fmt: skip


def _pose(row: Raw, name: str) -> Tensor:
    """(4, 4) of ``<name>_rotation`` (quaternion w x y z, or 3x3) and ``<name>_translation``."""
    rotation = as_f64(np.asarray(row[f"{name}_rotation"], float))
    if rotation.shape == (4,):
        rotation = rotation_from_quaternion(rotation / torch.linalg.norm(rotation))
    T = se3(rotation, as_f64(np.asarray(row[f"{name}_translation"], float)).reshape(3))
    return rigid(T)


def _read_old(row: Raw, token: str, categories: dict[int, str]) -> Info:
    cameras = {}
    for name, cam in (row.get("cams") or {}).items():
        K = as_f64(np.asarray(cam["cam_intrinsic"], float)[:3, :3])
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


def _write_v2(row: Raw, info: Info, counts: list[int]) -> Raw:
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
    for told, sweep in zip(sweeps, info.sweeps, strict=True):
        inverse = invert(sweep.T_lidar_sweep)
        told["lidar_points"] |= {"lidar_path": sweep.path, "lidar2sensor": inverse.tolist()}
        # where the vehicle was at the sweep, by the same motion
        told["ego2global"] = (
            info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep @ invert(info.T_ego_lidar)
        ).tolist()
    for i, told in enumerate(row.get("instances") or []):
        told["bbox_3d"] = [float(v) for v in info.boxes[i]]
        if "velocity" in told:
            told["velocity"] = [float(v) for v in info.velocity[i]]
        told["num_lidar_pts"] = counts[i]
    row.pop("cam_instances", None)
    return row


def _padded(K: Tensor) -> Tensor:
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = K
    return out


def _put_pose(row: Raw, name: str, T: Tensor) -> None:
    """Write a pose as the row spells it: a quaternion, or a 3x3."""
    old = np.asarray(row[f"{name}_rotation"])
    kind = type(row[f"{name}_rotation"])
    rotation: Any = quaternion_from_rotation(T[:3, :3]).numpy() if old.size == 4 else T[:3, :3].numpy()
    shift: Any = T[:3, 3].numpy()
    row[f"{name}_rotation"] = rotation.tolist() if kind is list else rotation
    row[f"{name}_translation"] = shift.tolist() if isinstance(row[f"{name}_translation"], list) else shift


def _write_old(row: Raw, info: Info, counts: list[int]) -> Raw:
    row |= {"token": info.token, "lidar_path": info.lidar}
    _put_pose(row, "ego2global", info.T_world_ego)
    cams = {}
    for name, camera in info.cameras.items():
        cam = {**(row["cams"].get(name) or next(iter(row["cams"].values())))}
        cam |= {
            "data_path": camera.path,
            "type": name,
            "cam_intrinsic": camera.K.numpy(),
            "timestamp": camera.time // 1000,
        }
        _put_pose(cam, "sensor2ego", camera.T_ego_cam)
        _put_pose(cam, "ego2global", camera.T_world_ego)
        _put_pose(cam, "sensor2lidar", invert(lidar_to_camera(info, camera)))
        cams[name] = cam
    row["cams"] = cams
    for told, sweep in zip(row.get("sweeps") or [], info.sweeps, strict=True):
        told["data_path"] = sweep.path
        _put_pose(told, "sensor2lidar", sweep.T_lidar_sweep)
        there = info.T_world_ego @ info.T_ego_lidar @ sweep.T_lidar_sweep
        if "sensor2ego_rotation" in told:
            _put_pose(told, "ego2global", there @ invert(_pose(told, "sensor2ego")))
    if "gt_boxes" in row:
        row["gt_boxes"] = info.boxes.numpy().astype(np.asarray(row["gt_boxes"]).dtype)
        row["num_lidar_pts"] = np.array(counts, np.int64)
    if "gt_velocity" in row:
        row["gt_velocity"] = info.velocity.numpy()
    return row
