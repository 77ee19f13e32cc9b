"""Cameras of MuJoCo in the terms of calibration: pixels of the picture, x right, y down, z forward."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from fusion_aug.sim.packages import mujoco

PIXEL = 1e-3  # metres of a pixel on a sensor whose size the model does not give; pictures do not depend on it


def set_figures(model: Any, camera: int, fx: float, fy: float, px: float, py: float) -> None:
    """Give a camera focal lengths and a principal point, as ``figures`` tells them at the camera's own resolution."""
    width, height = (int(n) for n in model.cam_resolution[camera])
    model.cam_sensorsize[camera] = (width * PIXEL, height * PIXEL)
    model.cam_intrinsic[camera] = (fx * PIXEL, fy * PIXEL, px * PIXEL, py * upwards() * PIXEL)


def figures(model: Any, camera: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Focal lengths fx, fy and principal point px, py of a picture of a size (height, width), in pixels.

    The principal point counts from the middle, to the left and upwards.
    """
    height, width = size
    wide, high = (float(n) for n in model.cam_sensorsize[camera])
    if wide > 0 and high > 0:
        fx, fy, px, py = (float(n) for n in model.cam_intrinsic[camera])
        return fx / wide * width, fy / high * height, px / wide * width, py * upwards() / high * height
    f = 0.5 * height / math.tan(math.radians(float(model.cam_fovy[camera])) / 2)
    return f, f, 0.0, 0.0


@cache
def upwards() -> float:
    """1 where MuJoCo counts a principal point upwards, -1 where downwards, as 3.3 does; asked of its own view."""
    module = mujoco()
    model = module.MjModel.from_xml_string('<mujoco><worldbody><camera/><geom size="1"/></worldbody></mujoco>')
    data, view = module.MjData(model), module.MjvCamera()
    model.cam_sensorsize[0], model.cam_intrinsic[0] = (1, 1), (1, 1, 0, 0.25)
    module.mj_forward(model, data)
    scene = module.MjvScene(model, maxgeom=4)
    view.type, view.fixedcamid = int(module.mjtCamera.mjCAMERA_FIXED), 0
    module.mjv_updateScene(model, data, module.MjvOption(), None, view, int(module.mjtCatBit.mjCAT_ALL), scene)
    looks_up = scene.camera[0].frustum_top + scene.camera[0].frustum_bottom
    return -1.0 if looks_up > 0 else 1.0  # who looks up has the axis low in the picture


def camera_matrix(model: Any, camera: int, size: tuple[int, int]) -> np.ndarray:
    """K (3, 3) float64 of a picture of a size (height, width), (0, 0) the centre of its top-left pixel."""
    fx, fy, px, py = figures(model, camera, size)
    height, width = size
    return np.array([[fx, 0, (width - 1) / 2 - px], [0, fy, (height - 1) / 2 - py], [0, 0, 1]])


def T_world_camera(data: Any, camera: int) -> np.ndarray:
    """(4, 4) float64 of the state that the model's places were last worked out for."""
    T = np.eye(4)
    T[:3, :3] = data.cam_xmat[camera].reshape(3, 3) @ np.diag([1.0, -1, -1])
    T[:3, 3] = data.cam_xpos[camera]
    return T


def resolution(model: Any, camera: int) -> tuple[int, int]:
    """Height and width of a camera's pictures, pixels."""
    width, height = (int(n) for n in model.cam_resolution[camera])
    return height, width


def camera_rotation(model: Any, camera: int) -> np.ndarray:
    """``R_body_camera`` (3, 3), the camera's x right, y down, z forward."""
    R = np.zeros(9)
    mujoco().mju_quat2Mat(R, np.array(model.cam_quat[camera]))
    return R.reshape(3, 3) @ np.diag([1.0, -1, -1])


def rotation(vector: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) by a vector (3,) rad (Rodrigues)."""
    angle = math.sqrt(float(vector @ vector))
    if angle == 0:
        return np.eye(3)
    x, y, z = vector / angle
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * K + (1 - math.cos(angle)) * (K @ K)
