"""The sample that an episode is: one reading of every stream, and the rig that its data obey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from calib import CameraSensor, Frame, Joint, Pinhole, Rig, Robot, TaxelSensor
from calib.replacing import replace_unchecked
from calib.sensors import ImuSensor, WrenchSensor
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample, make_sample
from fusion_aug.sim.camera_figures import camera_matrix, camera_rotation
from fusion_aug.sim.model_robot import find_root, robot_of_model
from fusion_aug.sim.sensing import Signal
from fusion_aug.sim.world import name_of
from fusion_aug.streams import Camera, Imu, Stream, Taxels, Wrench

WORLD = "world"
T0 = 10**9  # ns, stamp of row 0: formats take a stamp of 0 for none


class Template:
    """What the samples of an environment's episodes share.

    Args:
        model: of MuJoCo. signals, sizes: streams and cameras.
    """

    def __init__(self, model: Any, signals: Sequence[Signal], sizes: Mapping[str, tuple[int, int]]):
        self._model, self._signals, self._sizes = model, signals, sizes
        self._bodies = {name_of(model, "body", i): i for i in range(1, model.nbody)}
        self._made: Sample | None = None
        self._robot: Robot | None = None
        with suppress(DataError):  # ball joints, or several robots: bodies are frames that stand still
            self._robot = robot_of_model(model, find_root(model))

    def sample(self, name: str, data: Any) -> Sample:
        """The sample of an episode, with one reading of every stream at time 0.

        The links of a robot of hinges and slides follow its joints. Other bodies that carry a sensor, and the root of a
        robot that is free, have the pose of the first state.

        Args:
            name: id of the episode. data: of MuJoCo, as the episode begins.
        """
        rig = self._rig(data)
        if self._made is None:  # what differs between episodes needs no second look
            self._made = make_sample(name, (WORLD, T0), rig, self._streams())
        meta = replace_unchecked(self._made.metas[0], id=name, scene=name, rig=rig, true_rig=rig)
        return replace_unchecked(self._made, metas=(meta,))

    def _streams(self) -> dict[str, Stream]:
        """One reading of every stream."""
        start = torch.tensor([T0])
        streams: dict[str, Stream] = {s.name: replace(s.example, capture_times=start) for s in self._signals}
        for camera, size in self._sizes.items():
            blank = torch.zeros((*size, 3), dtype=torch.uint8)
            streams[camera] = Camera(frame=camera, capture_times=start, items=(blank,))
        return streams

    def _rig(self, data: Any) -> Rig:
        """Frames and sensors at the first state."""
        model, frames = self._model, self._links(data)
        sensors: dict[str, Any] = {}
        for signal in self._signals:
            example = signal.example
            self._add_body(frames, data, example.frame)
            if isinstance(example, Imu):
                sensors[signal.name] = ImuSensor(frame=example.frame)
            elif isinstance(example, Wrench):
                sensors[signal.name] = WrenchSensor(frame=example.frame)
            elif isinstance(example, Taxels):
                sensors[signal.name] = TaxelSensor(frame=example.frame, poses=example.poses[0])
        for camera, size in self._sizes.items():
            number = int(model.camera(camera).id)
            body = int(model.cam_bodyid[number])
            parent = name_of(model, "body", body) if body else WORLD
            self._add_body(frames, data, parent)
            mounting = np.eye(4)
            mounting[:3, :3], mounting[:3, 3] = camera_rotation(model, number), model.cam_pos[number]
            frames[camera] = Frame(parent=parent, pose=torch.from_numpy(mounting), axis_convention="camera")
            K = torch.from_numpy(camera_matrix(model, number, size))
            sensors[camera] = CameraSensor(frame=camera, model=Pinhole(K=K, size=size))
        return Rig(frames, sensors)

    def _links(self, data: Any) -> dict[str, Frame]:
        """The world, and the robot's links at the readings of the first state."""
        world = {WORLD: Frame(axis_convention="world")}
        if self._robot is None:
            return world
        start, readings = torch.tensor([T0]), {}
        for joint in (e for _, e in self._robot.edges.values() if isinstance(e, Joint)):
            at = int(self._model.jnt_qposadr[int(self._model.joint(joint.name).id)])
            readings[joint.name] = (start, torch.tensor([float(data.qpos[at])], dtype=torch.float64))
        root = self._robot.root
        if root == WORLD:
            return self._robot.to_frames(None, None, readings) | world
        return world | self._robot.to_frames(WORLD, self._pose(data, root), readings)

    def _add_body(self, frames: dict[str, Frame], data: Any, name: str) -> None:
        if name not in frames:
            frames[name] = Frame(parent=WORLD, pose=self._pose(data, name))

    def _pose(self, data: Any, name: str) -> torch.Tensor:
        number, T = self._bodies[name], np.eye(4)
        T[:3, :3], T[:3, 3] = data.xmat[number].reshape(3, 3), data.xpos[number]
        return torch.from_numpy(T)
