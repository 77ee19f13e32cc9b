"""The gels on the arm's pads: poses, lights, and the heights that are pressed into them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import GelModel, TactileSensor
from calib.se3 import se3
from fusion_aug.physics.gel import pixel_coordinates, relaxed, render_tactile
from fusion_aug.synth.arm.scene import PAD, mujoco

GELS = {"tactile_left": "finger_left", "tactile_right": "finger_right"}
SIZE = (64, 64)  # pixels
MM = 0.3125  # per pixel: 20 mm x 20 mm
GEL_PROTRUSION = 0.001  # metres from the taxels to the surface of the resting gel
RAY_START_DEPTH = 0.02  # metres behind the gel's surface at which rays begin
STEP = 1e-6  # metres; heights are stored in steps of this
OBJECTS = 1  # group of MuJoCo's bodies that can be touched


def gel_pose(side: int) -> Tensor:
    """``T_finger_gel``: x along the finger or against it, z out of the pad, towards the other finger.

    Args:
        side: 1 for the left finger, -1 for the right one, which is its mirror image.
    """
    R = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=torch.float64)
    if side < 0:
        R = torch.tensor([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]], dtype=torch.float64)
    return se3(R, [PAD, -side * GEL_PROTRUSION, 0.0])


def gel_model(side: int) -> GelModel:
    """Red from one side, green from below, blue from both others; the right gel is lit a little otherwise."""
    rng = np.random.default_rng(7 + side)
    lights = np.zeros((10, 3))
    lights[:3] = [[85, -40, -45], [0, 75, -75], [40, 40, 40]]
    lights[:3] *= rng.uniform(0.9, 1.1, (3, 3))
    lights[3:9] = rng.normal(0, 5, (6, 3))
    lights[9] = -lights[2]  # a flat gel looks as the background does
    return GelModel(torch.from_numpy(lights), relaxation=0.83, noise=0.7)


def gel_background(side: int) -> Tensor:
    """(H, W, 3) uint8: dim, brighter where the lights are."""
    x, y = pixel_coordinates(*SIZE)
    base = np.stack([96 + 16 * x, 104 + 14 * y, 100 - 12 * x - 8 * y], -1) + 3 * side
    return torch.from_numpy(base.round().astype(np.uint8))


def gel_sensor(name: str) -> TactileSensor:
    """Return the sensor for the rig."""
    side = 1 if name.endswith("left") else -1
    partner = next(n for n in GELS if n != name)
    return TactileSensor(
        frame=name, mirror_of=partner, mm_per_pixel=MM, size=SIZE, gel=gel_model(side), background=gel_background(side)
    )


def surface(model: Any, data: Any, name: str) -> np.ndarray:
    """(H, W) float32 metres: heights of the gel's surface under the objects that touch it, by parallel rays."""
    module, finger = mujoco(), data.body(GELS[name])
    side = 1 if name.endswith("left") else -1
    T = gel_pose(side).numpy()
    R = finger.xmat.reshape(3, 3) @ T[:3, :3]
    origin = finger.xpos + finger.xmat.reshape(3, 3) @ T[:3, 3]
    groups, hit = np.array([i == OBJECTS for i in range(6)], np.uint8), np.array([-1], np.int32)
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    flat = np.stack(
        [(x - (width - 1) / 2) * MM / 1000, (y - (height - 1) / 2) * MM / 1000, 0 * x - RAY_START_DEPTH], -1
    )
    starts, along = flat.reshape(-1, 3) @ R.T + origin, np.ascontiguousarray(R[:, 2])
    far = np.array([module.mj_ray(model, data, s, along, groups, 1, -1, hit) for s in np.ascontiguousarray(starts)])
    press = np.where(far >= 0, RAY_START_DEPTH - far, -RAY_START_DEPTH).reshape(SIZE) * 1000 / MM
    if press.max() <= 0:
        return np.zeros(SIZE, np.float32)
    up = relaxed(press.astype(np.float32), gel_model(side).relaxation / MM) * MM / 1000
    return (np.round(up / STEP) * STEP).astype(np.float32)


def picture(name: str, heights: np.ndarray, number: int) -> Tensor:
    """(H, W, 3) uint8 of a surface, with the noise of the picture of that number."""
    side = 1 if name.endswith("left") else -1
    rng = np.random.default_rng([number, side + 1])
    mm = torch.from_numpy(heights.astype(np.float64) * 1000)
    return render_tactile(mm, gel_model(side), gel_background(side), MM, relax=False, noise=rng)
