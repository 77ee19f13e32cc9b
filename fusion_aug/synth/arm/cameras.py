"""Pictures of the arm's cameras: colour, depth and masks of the hand, rendered by MuJoCo without a screen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calib import Pinhole
from calib.se3 import se3
from fusion_aug.errors import DataError
from fusion_aug.synth.arm.scene import mujoco

SIZE = (120, 160)
CAMERAS = {"front": None, "wrist": "hand"}  # camera -> the link that carries it
HAND = ("hand", "finger_left", "finger_right")  # bodies that the mask of the hand is of
NEED = "pictures of the arm need EGL: apt-get install libegl1 libgl1 (or MUJOCO_GL=osmesa with libosmesa6)"


@dataclass(frozen=True, eq=False)
class RenderedView:
    """One rendered picture.

    Attributes:
        picture: (H, W, 3) uint8. depth: (H, W) float32 metres along the optical axis. hand: (H, W) bool.
        T_world_camera: (4, 4) float64, the pose that it was rendered from.
    """

    picture: np.ndarray
    depth: np.ndarray
    hand: np.ndarray
    T_world_camera: np.ndarray


def lens(model: Any, name: str) -> Pinhole:
    """The camera of MuJoCo as a pinhole with square pixels."""
    height, width = SIZE
    focal = 0.5 * height / math.tan(math.radians(float(model.camera(name).fovy[0])) / 2)
    return Pinhole.from_focal(focal, focal, (width - 1) / 2, (height - 1) / 2, SIZE)


def mounting(model: Any, name: str) -> torch.Tensor:
    """``T_body_camera`` (4, 4), the camera's x right, y down, z forward."""
    camera = model.camera(name)
    quaternion, R = np.array(camera.quat, dtype=np.float64), np.zeros(9)
    mujoco().mju_quat2Mat(R, quaternion)
    return se3(torch.from_numpy(R.reshape(3, 3) @ np.diag([1.0, -1, -1])), torch.from_numpy(np.array(camera.pos)))


class ArmRenderer:
    """A renderer for all cameras. Close it when done."""

    def __init__(self, model: Any):
        module = mujoco()
        self.model, self.data = model, module.MjData(model)
        try:
            self.renderer = module.Renderer(model, *SIZE)
        except Exception as error:  # of OpenGL's many bindings
            raise DataError(f"{NEED} ({type(error).__name__}: {error})") from None
        ids = [int(model.body(b).id) for b in HAND]
        self.hand = np.isin(np.array(model.geom_bodyid), ids)

    def render(self, name: str, qpos: np.ndarray) -> RenderedView:
        """Render a camera's view of a state."""
        module = mujoco()
        self.data.qpos[:] = qpos
        module.mj_forward(self.model, self.data)
        self.renderer.update_scene(self.data, camera=name)
        picture = self.renderer.render().copy()
        self.renderer.enable_depth_rendering()
        depth = self.renderer.render().astype(np.float32).copy()
        self.renderer.disable_depth_rendering()
        self.renderer.enable_segmentation_rendering()
        ids = self.renderer.render()
        self.renderer.disable_segmentation_rendering()
        geometry = (ids[..., 1] == int(module.mjtObj.mjOBJ_GEOM)) & (ids[..., 0] >= 0)
        hand = geometry & self.hand[np.where(geometry, ids[..., 0], 0)]
        T = np.eye(4)
        camera = self.data.camera(name)
        T[:3, :3] = camera.xmat.reshape(3, 3) @ np.diag([1.0, -1, -1])
        T[:3, 3] = camera.xpos
        return RenderedView(picture, depth, hand, T)

    def close(self) -> None:
        """Release the OpenGL context."""
        self.renderer.close()
