"""The calibration that is reported with each picture: of the moment that it was taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from calib import Rig
from calib.sensors import CameraSensor
from fusion_aug.errors import ConfigError
from fusion_aug.sim.camera_figures import T_world_camera
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.template import T0

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
    """One camera's calibration in an episode, as it is reported: with the errors of its mounting and of the joints.

    An error of a frame is the same motion in its own axes whatever the joints do, so those of one moment do.

    Args:
        name: of the camera. rig: by which it is reported. true_rig: which the pictures obey. model: of MuJoCo.

    Raises:
        ConfigError: an error of one of several joints of a body would have to be known between them.
    """

    def __init__(self, name: str, rig: Rig, true_rig: Rig, model: Any):
        sensor = rig.sensors[name]
        assert isinstance(sensor, CameraSensor) and isinstance(sensor.model.K, torch.Tensor)
        self._camera = int(model.camera(name).id)
        self._K = (sensor.A @ sensor.model.K).numpy().astype(np.float32)
        self._error = _error(rig, true_rig, name)
        self._bodies: list[tuple[int, np.ndarray]] = []  # that are reported otherwise than they are, from the root on
        for frame in reversed(true_rig.ancestors(name)[1:]):
            error = _error(rig, true_rig, frame)
            if np.array_equal(error, np.eye(4)):
                continue
            body = int(mujoco().mj_name2id(model, int(mujoco().mjtObj.mjOBJ_BODY), frame))
            if body < 0:
                raise ConfigError(
                    f"Randomized: camera {name!r}: {frame!r} is one of several joints of a body, whose error cannot be "
                    'reported; split the body, or give report="true"'
                )
            self._bodies.append((body, error))

    @property
    def has_errors(self) -> bool:
        """Whether it is reported at another place than it is."""
        return bool(self._bodies) or not np.array_equal(self._error, np.eye(4))

    def pose(self, data: Any) -> np.ndarray:
        """``T_world_camera`` (4, 4) as reported, x right, y down, z forward, of the state whose places are known."""
        told, above = np.eye(4), np.eye(4)
        for body, error in self._bodies:
            T = np.eye(4)
            T[:3, :3], T[:3, 3] = data.xmat[body].reshape(3, 3), data.xpos[body]
            told, above = told @ np.linalg.inv(above) @ T @ error, T
        return told @ np.linalg.inv(above) @ T_world_camera(data, self._camera) @ self._error

    def params(self, T: np.ndarray) -> dict[str, np.ndarray]:
        """Calibration of a picture.

        Args:
            T: ``pose`` when it was taken.

        Returns:
            extrinsic_cv (3, 4), world to camera; intrinsic_cv (3, 3), (0, 0) the centre of the top-left pixel;
            cam2world_gl (4, 4), with y up and z backwards. All float32.
        """
        inverse = np.concatenate([T[:3, :3].T, -T[:3, :3].T @ T[:3, 3:]], axis=1)
        return {
            "extrinsic_cv": inverse.astype(np.float32),
            "intrinsic_cv": self._K.copy(),
            "cam2world_gl": (T @ OPENGL).astype(np.float32),
        }


def _error(rig: Rig, true_rig: Rig, frame: str) -> np.ndarray:
    """(4, 4) of what a frame is reported at, in its true axes."""
    if rig.frames[frame] is true_rig.frames[frame]:
        return np.eye(4)
    told, true = (r.frames[frame].at(T0).numpy() for r in (rig, true_rig))
    return np.eye(4) if np.array_equal(told, true) else np.linalg.inv(true) @ told
