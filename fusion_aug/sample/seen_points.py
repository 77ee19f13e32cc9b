"""Where a LiDAR's points are seen in a picture, and which of them the camera sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from calib.se3 import transform_points
from fusion_aug.physics.visibility import hidden_points
from fusion_aug.sample.sample import Sample

Array = np.ndarray


class PointsInPicture(NamedTuple):
    """Points of a scan within a picture: canvas pixels (n, 2), places (n, 3) in the camera's frame, metres; and the
    place (3,) of the scanner there."""

    pixels: Array
    xyz: Array
    scanner: Array


def projected(sample: Sample, lidar: str, camera: str, item: int) -> tuple[Array, Array]:
    """Where a LiDAR's key scan lies in a picture, hidden points too.

    Args:
        sample: one sample or a batch. lidar, camera: streams. item: which picture.

    Returns:
        canvas pixels (n, 2), and distance from the camera (n,), metres.
    """
    pictures = sample[camera]
    sensor = sample.metas[int(pictures.sample_index[item])].true_rig.camera(pictures.instance(camera))
    found = _in_picture(sample, lidar, camera, item, sensor)
    return found.pixels, np.linalg.norm(found.xyz, axis=1)


def seen_points(
    sample: Sample, lidars: Sequence[str], camera: str, item: int, sensor: CameraSensor
) -> tuple[Array, Array]:
    """Pixels (n, 2) on a canvas and distances (n,), metres, of the points that a camera sees.

    Args:
        sample: one sample or a batch. lidars: streams, one or more. camera: stream. item: which of its pictures.
        sensor: the camera with the canvas that is meant.
    """
    found = [_in_picture(sample, lidar, camera, item, sensor) for lidar in lidars]
    pixels, xyz = (np.concatenate([f[i] for f in found]) for i in (0, 1))
    seen = ~hidden_points(xyz, [(f.xyz, f.scanner) for f in found])
    return pixels[seen], np.linalg.norm(xyz[seen], axis=1)


def _in_picture(sample: Sample, lidar: str, camera: str, item: int, sensor: CameraSensor) -> PointsInPicture:
    xyz, T_cam_lidar = key_scan(sample, lidar, camera, item)
    local = transform_points(T_cam_lidar, xyz)
    pixels, visible = sensor.project(local)
    return PointsInPicture(pixels[visible].numpy(), local[visible].numpy(), T_cam_lidar[:3, 3].numpy())


def key_scan(sample: Sample, lidar: str, camera: str, item: int) -> tuple[Tensor, Tensor]:
    """Points (n, 3) of a LiDAR's key scan in its own frame, and ``T_camera_lidar`` (4, 4) at a picture's time."""
    pictures, clouds = sample[camera], sample[lidar].realized()
    index = int(pictures.sample_index[item])
    key = sample.key_item(lidar, index)
    T = sample.metas[index].true_rig.T(
        pictures.frame, clouds.frame, int(clouds.true_capture_times[key]), int(pictures.true_capture_times[item])
    )
    return clouds["xyz"][clouds.item_slice(key)].to("cpu", torch.float64), T  # type: ignore[attr-defined]
