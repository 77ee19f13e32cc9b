"""Samples as the dictionaries that mmdetection3d, BEVFusion and OpenPCDet train from.

Everything is in the reference frame (their "lidar" frame). The matrices obey, to rounding,

    pixel = dehom(img_aug_matrix cam2img lidar2cam inv(lidar_aug_matrix) [x; 1]) = dehom(lidar2img [x; 1])

with x a point of the returned cloud, after augmentation. ``lidar_aug_matrix`` is the whole motion of the scene from the
history; ``cam2img`` and ``lidar2cam`` are the camera without it, and ``img_aug_matrix`` is the map of its pixels.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import Pinhole
from calib.cameras import flip_u
from fusion_aug.errors import DataError
from fusion_aug.logs.core.classes import Classes
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import REF, Sample
from fusion_aug.sample.sensors import scans
from fusion_aug.streams import Boxes3D, Camera
from fusion_aug.train.masks import grid_tables, picture_masks
from fusion_aug.train.predictions import class_names
from fusion_aug.train.trajectories import trajectory_tables
from fusion_aug.transforms.scene.scene import scene_motion

ClassMap = Sequence[str] | Mapping[str, str | Sequence[str]]
MIRROR = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))


def camera_matrices(sample: Sample, name: str) -> dict[str, np.ndarray]:
    """``camera_tensors`` as arrays."""
    return {k: v.detach().numpy() for k, v in camera_tensors(sample, name).items()}


def camera_tensors(sample: Sample, name: str) -> dict[str, Tensor]:
    """``lidar2img``, ``lidar2cam``, ``cam2img`` and ``img_aug_matrix``, each (4, 4) float64, of a camera.

    They carry the gradients of poses and intrinsics.

    Raises:
        DataError: the lens is distorted or a fisheye, which no matrix can hold.
    """
    sensor = sample.rig.camera(sample[name].instance(name))
    if sensor.model.lens != Pinhole.lens:
        raise DataError(
            f"camera {name!r}: a lens of model {sensor.model.lens} fits no 4x4 matrix; leave it out with cameras=[...]"
        )
    item, H = sample.key_item(name), scene_motion(sample.history)
    meta, time = sample.meta, int(sample[name].capture_times[item])
    T = meta.rig.T(sample[name].frame, meta.ref.frame, meta.ref.time, time)
    lidar2img = _full(sensor.A @ sensor.model.K) @ T
    model, A = sensor.model, sensor.A
    mirrored = float(torch.linalg.det(H[:3, :3].detach())) < 0
    if mirrored:  # the camera that took the picture, before anybody looked at it in a mirror
        A, model = A @ flip_u(model.size[1]), model.mirrored()
    scale = torch.linalg.det(H[:3, :3]).abs() ** (1 / 3)
    before = (MIRROR if mirrored else torch.eye(4, dtype=torch.float64)) @ T @ H
    before[:3] /= scale  # T_cam' = M T_cam H^-1, and M holds the scale too
    return {"lidar2img": lidar2img, "lidar2cam": before, "cam2img": _full(model.K), "img_aug_matrix": _full(A)}


def _full(matrix: Tensor) -> Tensor:
    out = torch.eye(4, dtype=torch.float64)
    out[:3, :3] = matrix
    return out


def _cameras(sample: Sample, cameras: Sequence[str] | None) -> list[str]:
    found = list(sample.of_type(Camera))
    for name in cameras or ():
        if name not in found:
            raise DataError(f"cameras: the sample has no camera {name!r} (it has {', '.join(found)})")
    if cameras is not None:
        return list(cameras)
    return [n for n in found if sample.rig.camera(sample[n].instance(n)).model.lens == Pinhole.lens]


def point_table(sample: Sample, lidar: str | None = None) -> np.ndarray:
    """(N, 5) float32 of all sweeps of a LiDAR: x y z in the reference frame, intensity, seconds before its time."""
    cloud = sample.points(_lidar(sample, lidar), frame=REF)
    age = (sample.ref.time - cloud.capture_times)[cloud.row_item].to(torch.float64) * 1e-9
    xyz = cloud["xyz"].to(torch.float32).cpu()
    intensity = cloud["intensity"].to(torch.float32).cpu() if "intensity" in cloud.values else torch.zeros(len(xyz))
    return torch.cat([xyz, intensity[:, None], age.to(torch.float32)[:, None]], 1).numpy()


def _lidar(sample: Sample, name: str | None) -> str:
    lidars = list(scans(sample.streams))
    if name is None and not lidars:
        raise DataError("the sample has no LiDAR")
    return name or lidars[0]


def point_masks(sample: Sample, lidar: str | None = None) -> dict[str, np.ndarray]:
    """Class and instance (N,) int64 of the points of ``point_table``; empty where the cloud has no labels."""
    cloud = sample[_lidar(sample, lidar)]
    names = {"pts_semantic_mask": "label", "pts_instance_mask": "instance"}
    return {key: cloud[n].cpu().numpy() for key, n in names.items() if n in cloud.values}


def box_table(boxes: Boxes3D, bottom: bool) -> np.ndarray:
    """(m, 9) float32: centre (of the bottom face, or of the box), length, width, height, yaw, vx, vy (0 if unknown)."""
    pose, size = boxes["pose"], boxes["size"]
    centre = pose[:, :3, 3] - (pose[:, :3, 2] * size[:, 2:] / 2 if bottom else 0)
    yaw = torch.atan2(pose[:, 1, 0], pose[:, 0, 0])
    velocity, _ = known_velocity(boxes)
    table: np.ndarray = torch.cat([centre, size, yaw[:, None], velocity[:, :2]], 1).to(torch.float32).cpu().numpy()
    return table


def known_velocity(boxes: Boxes3D) -> tuple[Tensor, Tensor]:
    """Velocity (m, 3) m/s of boxes, 0 where it is unknown, and whether it is known (m,) bool.

    A detector's loss over NaN is NaN, and its own loaders put 0 where a data set does not know: so a loss must leave
    out what is not known.
    """
    velocity = boxes.values.get("velocity")
    if velocity is None:
        return torch.zeros(boxes.rows, 3, dtype=torch.float64), torch.zeros(boxes.rows, dtype=torch.bool)
    known = torch.isfinite(velocity[:, :2]).all(1)
    return torch.where(known[:, None], velocity, torch.zeros_like(velocity)).nan_to_num(0.0), known


def _names(boxes: Boxes3D) -> np.ndarray:
    return np.asarray(boxes.values.get("category", np.full(boxes.rows, "")))


def class_numbers(names: Sequence[str], classes: ClassMap) -> np.ndarray:
    """Return the index (m,) of each name among the classes, -1 for others. Warns if no name is a class.

    Args:
        names: of the log. classes: names, or new names with those of the log that they stand for, as in ``to_dense``.

    Raises:
        ConfigError: the classes are one text, or a name stands for two of them.
    """
    wanted = class_names(classes)
    number = {c: i for i, c in enumerate(wanted)}
    named = Classes(classes).name_of if isinstance(classes, Mapping) else str
    labels = np.array([number.get(named(str(n)) or "", -1) for n in names], np.int64)
    if len(labels) and (labels < 0).all():
        found_names = ", ".join(sorted({str(n) for n in names})[:8])
        warnings.warn(f"classes: none of {', '.join(wanted)} is a name of this sample ({found_names})", stacklevel=3)
    return labels


@standard_modes()
def to_mmdet3d(
    sample: Sample,
    *,
    cameras: Sequence[str] | None = None,
    lidar: str | None = None,
    classes: ClassMap | None = None,
    future_steps: int | None = None,
    past_steps: int | None = None,
    step: float | None = None,
) -> dict[str, Any]:
    """A sample as mmdetection3d and BEVFusion take it.

    Args:
        sample: one sample, of any format.
        cameras: which, in this order; all with a pinhole lens by default.
        lidar: stream of points; the first LiDAR by default.
        classes: names whose index is a box's label, or a mapping of new names to those of the log, as in ``to_dense``;
            -1 for others; without them there are no labels.
        future_steps, past_steps, step: of trajectories, see ``trajectory_tables``; those of the waypoints by default.

    Returns:
        ``img`` (list of (H, W, 3) uint8 or float32 RGB arrays), ``cam_names``, ``lidar2img``, ``lidar2cam``,
        ``cam2img``, ``img_aug_matrix`` (each (n, 4, 4) float64), ``lidar_aug_matrix`` (4, 4), ``points`` (N, 5: x y z
        intensity age), ``pts_semantic_mask`` and ``pts_instance_mask`` (N,) int64 where the cloud has labels of points
        (-1: no class, 0: no instance), ``gt_bboxes_3d`` (m, 9: centre of the bottom face, l w h, yaw, vx vy, 0 where
        the velocity is unknown), ``gt_velocity_known`` (m,) bool, ``gt_names``, ``gt_labels_3d`` (where ``classes`` are
        given), ``sample_idx``; where cameras have masks, for each camera ``gt_semantic_seg`` (H, W) int64, 255 where
        nothing is known, and ``gt_instance_seg`` (H, W) int64, 0 where there is no object; of a sample with occupancy
        ``voxel_semantics``, ``mask_camera`` and ``mask_lidar`` (X, Y, Z) in the types of the grid; of a sample with
        waypoints also what ``trajectory_tables`` returns, such as ``gt_agent_fut_trajs``.

    Raises:
        ConfigError: ``classes`` are one text, or steps are no numbers.
        DataError: steps are asked for, and the sample has no waypoints.
    """
    class_names(classes)
    names = _cameras(sample, cameras)
    each = [camera_matrices(sample, n) for n in names]
    out: dict[str, Any] = {"sample_idx": sample.id, "cam_names": names}
    out["img"] = [sample[n].image(sample.key_item(n)).cpu().numpy() for n in names]  # type: ignore[attr-defined]
    for key in ("lidar2img", "lidar2cam", "cam2img", "img_aug_matrix"):
        out[key] = np.stack([m[key] for m in each]) if each else np.zeros((0, 4, 4))
    out["lidar_aug_matrix"] = scene_motion(sample.history).detach().numpy()
    out["points"] = point_table(sample, lidar)
    out |= point_masks(sample, lidar) | picture_masks(sample, names) | grid_tables(sample)
    if "boxes" in sample.streams:
        out["gt_bboxes_3d"] = box_table(sample.boxes(), bottom=True)
        out["gt_velocity_known"] = known_velocity(sample.boxes())[1].cpu().numpy()
        out["gt_names"] = _names(sample.boxes())
        if classes is not None:
            out["gt_labels_3d"] = class_numbers(out["gt_names"], classes)
    return out | trajectory_tables(sample, future_steps, past_steps, step)


@standard_modes()
def to_openpcdet(
    sample: Sample,
    *,
    cameras: Sequence[str] | None = None,
    lidar: str | None = None,
    classes: ClassMap | None = None,
) -> dict[str, Any]:
    """A sample as OpenPCDet's ``data_dict``; arguments as ``to_mmdet3d``.

    Returns:
        ``points`` (N, 5), ``gt_boxes`` (m, 9: centre of the box, l w h, yaw, vx vy, 0 where the velocity is unknown),
        ``gt_velocity_known`` (m,) bool, ``gt_names``, ``gt_labels``, ``frame_id``, ``camera_imgs``, ``lidar2image``,
        ``lidar2camera``, ``camera_intrinsics``, ``camera2lidar``, ``img_aug_matrix``, ``lidar_aug_matrix``. It has no
        fields for labels of points, masks, occupancy and trajectories: ``to_mmdet3d`` hands those over, in one order.
    """
    mmdet3d = to_mmdet3d(sample, cameras=cameras, lidar=lidar, classes=classes)
    out = {
        "frame_id": sample.id,
        "points": mmdet3d["points"],
        "camera_imgs": mmdet3d["img"],
        "lidar2image": mmdet3d["lidar2img"],
        "lidar2camera": mmdet3d["lidar2cam"],
        "camera_intrinsics": mmdet3d["cam2img"],
        "camera2lidar": np.linalg.inv(mmdet3d["lidar2cam"]),
        "img_aug_matrix": mmdet3d["img_aug_matrix"],
        "lidar_aug_matrix": mmdet3d["lidar_aug_matrix"],
    }
    if "boxes" in sample.streams:
        out["gt_boxes"] = box_table(sample.boxes(), bottom=False)
        out |= {name: mmdet3d[name] for name in ("gt_velocity_known", "gt_names")}
        out |= {"gt_labels": mmdet3d["gt_labels_3d"]} if classes is not None else {}
    return out
