"""The sample that an episode is: one reading of every stream, and the rig that its data obey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from calib import CameraSensor, Frame, Pinhole, Rig, TaxelSensor
from calib.sensors import ImuSensor, WrenchSensor
from fusion_aug.sample import Sample, make_sample
from fusion_aug.sim.camera_figures import camera_matrix
from fusion_aug.sim.sensing import Signal
from fusion_aug.sim.world import name_of
from fusion_aug.sim.world_fields import camera_rotation
from fusion_aug.streams import Camera, Imu, Stream, Taxels, Wrench

WORLD = "world"


def episode_sample(
    name: str, model: Any, data: Any, signals: Sequence[Signal], sizes: Mapping[str, tuple[int, int]]
) -> Sample:
    """The sample of an episode, with one reading of every stream at time 0.

    Cameras and bodies that carry a sensor are frames; bodies have the pose of the first state.

    Args:
        name: id of the episode. model, data: of MuJoCo, as the episode begins. signals, sizes: streams and cameras.
    """
    frames = {WORLD: Frame(axis_convention="world")}
    sensors: dict[str, Any] = {}
    streams: dict[str, Stream] = {}
    bodies = {name_of(model, "body", i): i for i in range(1, model.nbody)}
    for signal in signals:
        example = signal.example
        streams[signal.name] = example
        _add_body(frames, bodies, data, example.frame)
        if isinstance(example, Imu):
            sensors[signal.name] = ImuSensor(frame=example.frame)
        elif isinstance(example, Wrench):
            sensors[signal.name] = WrenchSensor(frame=example.frame)
        elif isinstance(example, Taxels):
            sensors[signal.name] = TaxelSensor(frame=example.frame, poses=example.poses[0])
    for camera, size in sizes.items():
        number = int(model.camera(camera).id)
        body = int(model.cam_bodyid[number])
        parent = name_of(model, "body", body) if body else WORLD
        _add_body(frames, bodies, data, parent)
        mounting = np.eye(4)
        mounting[:3, :3], mounting[:3, 3] = camera_rotation(model, number), model.cam_pos[number]
        frames[camera] = Frame(parent=parent, pose=torch.from_numpy(mounting), axis_convention="camera")
        K = torch.from_numpy(camera_matrix(model, number, size))
        sensors[camera] = CameraSensor(frame=camera, model=Pinhole(K=K, size=size))
        blank = torch.zeros((*size, 3), dtype=torch.uint8)
        streams[camera] = Camera(frame=camera, capture_times=torch.zeros(1, dtype=torch.int64), items=(blank,))
    return make_sample(name, (WORLD, 0), Rig(frames, sensors), streams)


def _add_body(frames: dict[str, Frame], bodies: Mapping[str, int], data: Any, name: str) -> None:
    if name not in frames:
        T = np.eye(4)
        number = bodies[name]
        T[:3, :3], T[:3, 3] = data.xmat[number].reshape(3, 3), data.xpos[number]
        frames[name] = Frame(parent=WORLD, pose=torch.from_numpy(T))
