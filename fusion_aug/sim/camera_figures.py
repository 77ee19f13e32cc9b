"""Cameras of MuJoCo in the terms of calibration: pixels of the picture, x right, y down, z forward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PIXEL = 1e-3  # metres of a pixel on a sensor whose size the model does not give; pictures do not depend on it


def set_figures(model: Any, camera: int, fx: float, fy: float, px: float, py: float) -> None:
    """Give a camera focal lengths and a principal point, as ``figures`` tells them at the camera's own resolution."""
    width, height = (int(n) for n in model.cam_resolution[camera])
    model.cam_sensorsize[camera] = (width * PIXEL, height * PIXEL)
    model.cam_intrinsic[camera] = (fx * PIXEL, fy * PIXEL, px * PIXEL, py * PIXEL)


def figures(model: Any, camera: int, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Focal lengths fx, fy and principal point px, py of a picture of a size (height, width), in pixels.

    MuJoCo counts the principal point from the middle, to the left and upwards.
    """
    height, width = size
    wide, high = (float(n) for n in model.cam_sensorsize[camera])
    if wide > 0 and high > 0:
        fx, fy, px, py = (float(n) for n in model.cam_intrinsic[camera])
        return fx / wide * width, fy / high * height, px / wide * width, py / high * height
    f = 0.5 * height / math.tan(math.radians(float(model.cam_fovy[camera])) / 2)
    return f, f, 0.0, 0.0


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
