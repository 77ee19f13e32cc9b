"""The vehicle of the sample log: which sensors it carries, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from calib import CameraSensor, KannalaBrandt, LidarSensor, Pinhole, RadarSensor, Sensor
from calib.se3 import rotation_about, se3
from fusion_aug.synth.mesh import Array

FORWARD = rotation_about("z", -np.pi / 2) @ rotation_about("x", -np.pi / 2)  # camera axes to vehicle axes


@dataclass(frozen=True)
class Mount:
    """A sensor's place: yaw in degrees, position on the vehicle, and seconds from a keyframe's stamp to its own."""

    yaw_deg: float
    position: tuple[float, float, float]
    delay: float = 0.0


CAMERAS = {  # name -> mount, horizontal field of view in degrees
    "CAM_FRONT": (Mount(0.0, (1.70, 0.0, 1.51), -0.035), 70.0),
    "CAM_FRONT_RIGHT": (Mount(-55.0, (1.55, -0.49, 1.50), -0.043), 70.0),
    "CAM_BACK_RIGHT": (Mount(-110.0, (1.03, -0.48, 1.56), -0.020), 70.0),
    "CAM_BACK": (Mount(180.0, (0.03, 0.0, 1.57), -0.012), 110.0),
    "CAM_BACK_LEFT": (Mount(110.0, (1.03, 0.48, 1.56), -0.005), 70.0),
    "CAM_FRONT_LEFT": (Mount(55.0, (1.52, 0.49, 1.50), -0.028), 70.0),
}
FISHEYE = Mount(0.0, (3.65, 0.0, 0.72), -0.031)
LIDAR = Mount(-90.0, (0.94, 0.0, 1.84))
RADARS = {
    "RADAR_FRONT": Mount(0.0, (3.41, 0.0, 0.5), 0.012),
    "RADAR_FRONT_LEFT": Mount(75.0, (2.42, 0.80, 0.5), 0.021),
    "RADAR_FRONT_RIGHT": Mount(-75.0, (2.42, -0.80, 0.5), 0.017),
}
IMU_POSITION = (0.2, 0.0, 0.4)
RINGS = tuple(float(a) for a in np.radians(np.linspace(-30.0, 10.0, 32)))


def vehicle(size: tuple[int, int]) -> dict[str, tuple[Sensor, Array, float]]:
    """Every sensor that nuScenes has a place for, and the fisheye camera.

    Args:
        size: (height, width) of the surround cameras, pixels.

    Returns:
        name -> sensor, ``T_ego_sensor`` (4, 4), delay (s).
    """
    out: dict[str, tuple[Sensor, Array, float]] = {}
    height, width = size
    for name, (mount, view) in CAMERAS.items():
        focal = width / 2 / np.tan(np.radians(view / 2))
        model = Pinhole.from_focal(focal, focal, (width - 1) / 2, (height - 1) / 2, size)
        out[name] = (CameraSensor(frame=name, model=model), placed(mount, camera=True), mount.delay)
    wide = (round(height * 0.9), round(height * 1.44))
    focal = wide[1] / 2 / np.radians(92)  # 184 degrees from left to right
    lens = KannalaBrandt.from_focal(
        focal, focal, (wide[1] - 1) / 2, (wide[0] - 1) / 2, wide, [0.012, -0.004, 0.001, 0.0]
    )
    out["FISHEYE_FRONT"] = (
        CameraSensor(frame="FISHEYE_FRONT", model=lens),
        placed(FISHEYE, camera=True),
        FISHEYE.delay,
    )
    lidar = LidarSensor(frame="LIDAR_TOP", elevations=RINGS, intensity_scale=255.0, min_range=1.0, max_range=90.0)
    out["LIDAR_TOP"] = (lidar, placed(LIDAR), LIDAR.delay)
    for name, mount in RADARS.items():
        out[name] = (RadarSensor(frame=name, max_range=100.0), placed(mount), mount.delay)
    return out


def placed(mount: Mount, camera: bool = False) -> Array:
    """``T_ego_sensor`` (4, 4)."""
    rotation = rotation_about("z", np.radians(mount.yaw_deg))
    pose: torch.Tensor = se3(rotation @ FORWARD if camera else rotation, mount.position)
    return pose.numpy()
