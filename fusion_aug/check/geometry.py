"""Agreement of calibration, points and boxes after a pipeline, measured on the user's own data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, UnknownLens
from calib.se3 import rotation_angle
from fusion_aug.check.camera_map import RecordedCameraMap
from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import scans
from fusion_aug.streams import Boxes3D, Camera, Points

MAX_POINTS = 4000


def key_cloud(sample: Sample, name: str) -> Tensor:
    """(n, 3) points of a stream's key item in the reference frame, by what the data obey, float64."""
    cloud = sample.take_key(name)
    assert isinstance(cloud, Points)
    T = sample.T_ref(name, true_rig=True)
    return cloud.transformed(T[None])["xyz"].to(torch.float64)


def lidars(sample: Sample) -> list[str]:
    """Streams of LiDAR points."""
    return list(scans(sample.streams))


UNCALIBRATED = "the log holds no calibration of this camera (log.rig)"


def calibrated(sample: Sample, camera: str) -> bool:
    """Whether a camera's lens and pose are known."""
    meta = sample.meta
    sensor = meta.rig.sensors.get(sample[camera].instance(camera))
    known = isinstance(sensor, CameraSensor) and not isinstance(sensor.model, UnknownLens)
    return known and meta.rig.root_of(sample[camera].frame) == meta.rig.root_of(meta.ref.frame)


@measurement("projection")
def projection(pairs: Sequence[Pair]) -> list[Row]:
    """Where each LiDAR point should be seen, by the records alone, against its projection by the new rig."""
    rows = []
    for pair in pairs:
        clouds = lidars(pair.source)
        for camera in pair.source.of_type(Camera):
            if not calibrated(pair.source, camera):
                rows.append(Row("projection", camera, "px", 1e-2, reason=UNCALIBRATED))
                continue
            camera_map = RecordedCameraMap.from_history(pair.augmented.history, camera)
            values = []
            for cloud in clouds:
                before, after = key_cloud(pair.source, cloud), key_cloud(pair.augmented, cloud)
                if len(before) != len(after):
                    continue
                step = max(1, len(before) // MAX_POINTS)
                expected, visible = camera_map.expected(pair.source, camera, before[::step])
                found = pair.augmented.project_ref(after[::step], camera_map.name, true_rig=True)[0]
                values.append((expected - found).norm(dim=1)[visible].numpy())
            reason = "no LiDAR point in view" if clouds else "the log has no LiDAR"
            merged = np.concatenate(values) if values else np.zeros(0)
            rows.append(Row("projection", camera_map.name, "px", 1e-2, merged, reason))
    return rows


@measurement("points in boxes")
def points_per_box(pairs: Sequence[Pair]) -> list[Row]:
    """Points in each box, before against after; points within 1 mm of a face may fall to either side."""
    rows = []
    for pair in pairs:
        for cloud in lidars(pair.source):
            if "boxes" not in pair.source.streams:
                rows.append(Row("points in boxes", cloud, "points", 0, reason="the log has no boxes"))
                continue
            xyz = [key_cloud(s, cloud) for s in (pair.source, pair.augmented)]
            boxes = [s.boxes() for s in (pair.source, pair.augmented)]
            # what is in the box for certain, and what may be
            inner = _counts(xyz[0], boxes[0], -1e-3)
            outer = _counts(xyz[0], boxes[0], 1e-3)
            after = _counts(xyz[1], boxes[1], 0.0)
            off = np.maximum(inner - after, 0) + np.maximum(after - outer, 0)
            rows.append(Row("points in boxes", cloud, "points", 0, off, "there are no boxes"))
    return rows


def _counts(xyz: Tensor, boxes: Boxes3D, margin: float) -> np.ndarray:
    found = points_in_boxes(xyz, boxes["pose"], (boxes["size"] + 2 * margin).clamp(min=0))
    return np.array([len(f) for f in found], dtype=float)


@measurement("rigid transforms")
def rigid(pairs: Sequence[Pair]) -> list[Row]:
    """How far every rotation of the rig and of the boxes is from one."""
    rows = []
    for pair in pairs:
        for frame in pair.augmented.rig.frames.values():
            if frame.parent is None:
                continue
            poses = frame.pose.reshape(-1, 4, 4) if isinstance(frame.pose, Tensor) else frame.pose.known()
            rows.append(Row("rigid transforms", "rig", "1", 1e-6, _orthonormality(poses)))
        for name, boxes in pair.augmented.of_type(Boxes3D).items():
            rows.append(Row("rigid transforms", name, "1", 1e-6, _orthonormality(boxes["pose"]), "there are no boxes"))
    return rows


def _orthonormality(poses: Tensor) -> np.ndarray:
    R = poses[:, :3, :3]
    off = (R @ R.transpose(1, 2) - torch.eye(3, dtype=R.dtype)).abs().amax((1, 2))
    return (off + (torch.linalg.det(R) - 1).abs()).numpy()


@measurement("reported against true")
def reported_mounting(pairs: Sequence[Pair]) -> list[Row]:
    """Difference of the reported and the true mounting of every sensor: intended, so it has no limit."""
    rows = []
    for pair in pairs:
        rig, true_rig = pair.augmented.rig, pair.augmented.true_rig
        if rig is true_rig:
            continue
        for name, sensor in rig.sensors.items():
            time = pair.augmented.ref.time
            if name in pair.augmented.streams:
                item = pair.augmented.key_item(name)
                time = int(pair.augmented[name].capture_times[item])
            frame = pair.augmented.ref.frame
            off = torch.linalg.inv(true_rig.T(frame, sensor.frame, time)) @ rig.T(frame, sensor.frame, time)
            angle = np.degrees(float(rotation_angle(off[:3, :3])))
            rows.append(Row("reported mounting: rotation", name, "deg", None, np.array([angle])))
            rows.append(Row("reported mounting: position", name, "m", None, np.array([float(off[:3, 3].norm())])))
    return rows
