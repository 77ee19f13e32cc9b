"""nuScenes ``calibrated_sensor`` and ``ego_pose`` records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.lidar_models import lidar_of_model
from calib.se3 import as_f64, check_se3, quaternion_from_rotation
from calib.se3_arrays import poses_of_rows
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
    return poses_from_records([record], lambda _: where)[0]


def poses_from_records(records: Sequence[Mapping[str, Any]], where: Callable[[int], str]) -> Tensor:
    """``T`` (n, 4, 4) of records with ``translation`` and ``rotation`` (w x y z), all at once.

    Args:
        records: of the poses. where: file and record of one by its number, for messages.

    Raises:
        CalibrationError: a field is missing, has the wrong length, or is not a pose; the first such record is named.
    """
    if not records:
        return torch.zeros(0, 4, 4, dtype=torch.float64)
    turns, places = ([record.get(key) for record in records] for key in ("rotation", "translation"))
    if not (_are_lists(turns, 4) and _are_lists(places, 3)):
        for i, (turn, place) in enumerate(zip(turns, places, strict=True)):  # which one it is
            for key, value, length in (("rotation", turn, 4), ("translation", place, 3)):
                if not _are_lists([value], length):
                    raise CalibrationError(f"{where(i)}: {key}: expected {length} numbers")
    numbers = np.hstack([np.array(turns, np.float64), np.array(places, np.float64)])
    norms = np.sqrt((numbers[:, :4] ** 2).sum(1))
    for i in np.flatnonzero(~(np.abs(norms - 1) < 1e-3)).tolist():
        raise CalibrationError(f"{where(i)}: rotation: the quaternion has length {norms[i]:.4g}, not 1")
    poses = poses_of_rows(numbers)
    if not np.isfinite(numbers.sum()):
        for i, pose in enumerate(poses):  # which one it is, if any: a sum may also be too large
            check_se3(pose, where(i))
    return poses


def _are_lists(values: list[Any], length: int) -> bool:
    return set(map(type, values)) == {list} and set(map(len, values)) == {length}


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
