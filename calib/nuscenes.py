"""nuScenes ``calibrated_sensor`` and ``ego_pose`` records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.lidar_models import lidar_of_model
from calib.se3 import as_f64, check_se3, quaternion_from_rotation, rotation_from_quaternion, se3
from calib.sensors import RadarSensor, Sensor, pinhole_sensor

# Left-right partners of the six cameras and the corner radars of the nuScenes vehicles.
MIRROR_PARTNERS = {
    "CAM_FRONT_LEFT": "CAM_FRONT_RIGHT",
    "CAM_BACK_LEFT": "CAM_BACK_RIGHT",
    "RADAR_FRONT_LEFT": "RADAR_FRONT_RIGHT",
    "RADAR_BACK_LEFT": "RADAR_BACK_RIGHT",
}
PARTNER = MIRROR_PARTNERS | {b: a for a, b in MIRROR_PARTNERS.items()}


def pose_from_record(record: Mapping[str, Any], where: str) -> Tensor:
    """``T`` (4, 4) of a record with ``translation`` and ``rotation`` (w x y z).

    Raises:
        CalibrationError: a field is missing, has the wrong length, or is not a pose.
    """
    for key, length in (("translation", 3), ("rotation", 4)):
        value = record.get(key)
        if not isinstance(value, list) or len(value) != length:
            raise CalibrationError(f"{where}: {key}: expected {length} numbers")
    q = as_f64(record["rotation"])
    norm = float(torch.linalg.norm(q))
    if not abs(norm - 1) < 1e-3:
        raise CalibrationError(f"{where}: rotation: the quaternion has length {norm:.4g}, not 1")
    return check_se3(se3(rotation_from_quaternion(q), as_f64(record["translation"])), where)


def record_from_pose(pose: Tensor) -> dict[str, list[float]]:
    """``translation`` and ``rotation`` (w x y z) of a pose."""
    return {"translation": pose[:3, 3].tolist(), "rotation": quaternion_from_rotation(pose[:3, :3]).tolist()}


def sensor_from_record(
    record: Mapping[str, Any], channel: str, modality: str, size: tuple[int, int], partners: set[str], where: str
) -> Sensor:
    """The sensor of a ``calibrated_sensor`` record.

    Args:
        record: the record.
        channel: its channel, which names the sensor and its frame.
        modality: camera, lidar or radar.
        size: (height, width) of a camera's images.
        partners: channels of the log, among which a mirror partner is looked for.
        where: the file, for messages.

    Raises:
        CalibrationError: intrinsics that are not a 3x3 matrix of finite numbers with positive focal lengths.
    """
    partner = PARTNER.get(channel)
    mirror_of = partner if partner in partners else None
    if modality == "lidar":
        return lidar_of_model("HDL-32E", channel, mirror_of=mirror_of)
    if modality == "radar":
        return RadarSensor(frame=channel, mirror_of=mirror_of)
    try:
        K = as_f64(record["camera_intrinsic"])
    except (KeyError, ValueError, TypeError):
        K = torch.zeros(0)
    if tuple(K.shape) != (3, 3) or not bool(torch.isfinite(K).all()):
        raise CalibrationError(f"{where}: camera_intrinsic: expected a 3x3 matrix of finite numbers")
    return pinhole_sensor(channel, K, size, mirror_of)
