"""The recording of the arm's sensors, each at its own rate, with its ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from calib import Frame, Rig, Robot, TaxelSensor
from calib.se3 import se3
from calib.sensors import CameraSensor, ImuSensor, WrenchSensor
from fusion_aug.synth.arm.cameras import CAMERAS, ArmRenderer, RenderedView, lens, mounting
from fusion_aug.synth.arm.gels import GELS, gel_pose, gel_sensor, surface
from fusion_aug.synth.arm.scene import PAD, PITCH, TAXELS, robot_of
from fusion_aug.synth.arm.world import ArmRecording, simulate

T0 = 1_700_000_000_000_000_000  # ns
RATES = {"joints": 500, "wrench": 500, "imu": 250, "taxels": 100, "hand": 50, "cameras": 20, "gels": 10}  # Hz
SITES = {"ft": [0.0, 0, 0], "imu": [0.02, 0, 0.03]}  # on the hand, metres


@dataclass(frozen=True, eq=False)
class ArmLog:
    """A recording with its pictures.

    Attributes:
        arm: the simulation. robot: its links. rig: its sensors, without the links.
        views: camera -> its pictures. surfaces: gel -> (n, H, W) float32 metres.
    """

    arm: ArmRecording
    robot: Robot
    rig: Rig
    views: dict[str, list[RenderedView]]
    surfaces: dict[str, np.ndarray]

    def sample_steps(self, what: str) -> np.ndarray:
        """Return the steps of the simulation at which a kind of sensor is sampled."""
        return every(self.arm, RATES[what])

    def stamps(self, steps: np.ndarray) -> np.ndarray:
        """Stamps of steps, ns."""
        return T0 + np.round(self.arm.values["t"][steps] * 1e9).astype(np.int64)


def every(arm: ArmRecording, rate: float) -> np.ndarray:
    """Steps of a rate in Hz."""
    stride = round(1 / rate / float(arm.model.opt.timestep))
    return np.arange(0, len(arm.values["t"]), stride)


def record(progress: Callable[[int, int], None] = lambda done, of: None) -> ArmLog:
    """Simulate the task and render it. The same bytes every time on one machine."""
    arm = simulate()
    renderer = ArmRenderer(arm.model)
    looks, presses = every(arm, RATES["cameras"]), set(every(arm, RATES["gels"]).tolist())
    views: dict[str, list[RenderedView]] = {c: [] for c in CAMERAS}
    surfaces: dict[str, list[np.ndarray]] = {g: [] for g in GELS}
    try:
        for k, step in enumerate(looks.tolist()):
            for name in CAMERAS:
                views[name].append(renderer.render(name, arm.values["qpos"][step]))
            if step in presses:
                for name in GELS:
                    surfaces[name].append(surface(arm.model, renderer.data, name))
            progress(k + 1, len(looks))
    finally:
        renderer.close()
    heights = {n: np.stack(s) for n, s in surfaces.items()}
    return ArmLog(arm, robot_of(arm.model), sensors(arm.model), views, heights)


def sensors(model: Any) -> Rig:
    """Frames and sensors beside the links: cameras, gels, taxels, wrench, inertial unit."""
    frames = {"world": Frame(axis_convention="world"), "base": Frame(parent="world", pose=se3())}
    found: dict[str, Any] = {}
    for name, link in CAMERAS.items():
        frames[name] = Frame(parent=link or "world", pose=mounting(model, name), axis_convention="camera")
        found[name] = CameraSensor(frame=name, model=lens(model, name))
    for name, place in SITES.items():
        frames[name] = Frame(parent="hand", pose=se3(translation=place))
    found["wrench"] = WrenchSensor(frame="ft")
    found["imu"] = ImuSensor(frame="imu")
    for name, finger in GELS.items():
        frames[name] = Frame(parent=finger, pose=gel_pose(1 if name.endswith("left") else -1), axis_convention="camera")
        found[name] = gel_sensor(name)
    for side, other in (("left", "right"), ("right", "left")):
        found[f"taxel_{side}"] = TaxelSensor(
            frame=f"finger_{side}", mirror_of=f"taxel_{other}", poses=taxel_poses(1 if side == "left" else -1)
        )
    return Rig(frames, found)


def taxel_poses(side: int) -> torch.Tensor:
    """(16, 4, 4) ``T_finger_taxel``: z out of the pad, at the tips of the domes, which lie in the finger's xz plane."""
    R = gel_pose(side)[:3, :3]
    places = [[PAD + (i - 1.5) * PITCH, 0.0, (j - 1.5) * PITCH] for i in range(TAXELS) for j in range(TAXELS)]
    return se3(R, torch.tensor(places, dtype=torch.float64))
