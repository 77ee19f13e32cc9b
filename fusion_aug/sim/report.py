"""The calibration that is reported with each picture: of the moment that it was taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from calib import Rig
from calib.sensors import CameraSensor
from fusion_aug.errors import ConfigError

REPORTS = ("reported", "true")
SHAPES = {"extrinsic_cv": (3, 4), "intrinsic_cv": (3, 3), "cam2world_gl": (4, 4)}  # ManiSkill's names
OPENGL = np.diag([1.0, -1, -1, 1])  # x right, y up, z backwards


def check_report(report: Any) -> str:
    """``reported`` or ``true``.

    Raises:
        ConfigError: it is neither.
    """
    if report not in REPORTS:
        raise ConfigError(f"Randomized.report: expected one of {', '.join(REPORTS)}, got {report!r}")
    return str(report)


class ReportedCamera:
    """One camera's calibration in an episode, as it is reported.

    Args:
        name: of the camera. rig: by which it is reported. true_rig: which the pictures obey.
    """

    def __init__(self, name: str, rig: Rig, true_rig: Rig):
        sensor = rig.sensors[name]
        assert isinstance(sensor, CameraSensor)
        link = true_rig.frames[name].parent or name
        told, true = (r.T(link, name, 0).numpy() for r in (rig, true_rig))
        self._error = np.linalg.inv(true) @ told
        physical = getattr(sensor.model, "K", None)
        assert isinstance(physical, torch.Tensor)
        self._K = (sensor.A @ physical).numpy().astype(np.float32)

    def params(self, T_world_camera: np.ndarray) -> dict[str, np.ndarray]:
        """Calibration of a picture.

        Args:
            T_world_camera: (4, 4) true pose of the camera when it was taken, x right, y down, z forward.

        Returns:
            extrinsic_cv (3, 4), world to camera; intrinsic_cv (3, 3), (0, 0) the centre of the top-left pixel;
            cam2world_gl (4, 4), with y up and z backwards. All float32.
        """
        T = T_world_camera @ self._error
        inverse = np.concatenate([T[:3, :3].T, -T[:3, :3].T @ T[:3, 3:]], axis=1)
        return {
            "extrinsic_cv": inverse.astype(np.float32),
            "intrinsic_cv": self._K.copy(),
            "cam2world_gl": (T @ OPENGL).astype(np.float32),
        }
