"""The map of one camera's pixels by a history, from its records alone and not from the resulting rig."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calib import CameraSensor
from calib.se3 import invert, transform_points
from calib.sensors import apply_homography
from fusion_aug.core.registry import find_transform
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History, Record
from fusion_aug.streams.families import ImagePlane, Scene
from fusion_aug.transforms.mount.miscalibrate import mounting_matrix, moves_sensor
from fusion_aug.transforms.mount.viewpoint import Viewpoint

MIRROR = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)


@dataclass(frozen=True)
class RecordedCameraMap:
    """What a history does to a camera.

    Attributes:
        P: (3, 3) from source pixels to augmented ones, moved mountings left out.
        name: the camera's name at the end.
        steps: in order: ("mirror", None), ("scale", s), ("map", (P, size)) or ("mount", E).
    """

    P: Tensor
    name: str
    steps: tuple[tuple[str, Any], ...]

    @staticmethod
    def from_history(history: History, camera: str) -> RecordedCameraMap:
        """Return the map that the applied records imply."""
        P, steps = torch.eye(3, dtype=torch.float64), list[tuple[str, Any]]()
        for record in history:
            cls = find_transform(record.name)
            if not record.applied or cls is None:
                continue
            if issubclass(cls, ImagePlane):
                height, width = record.before["canvas"][camera]
                step, size = cls.pixel_map(_params(record, camera), (height, width))
                P = step @ P
                steps.append(("map", (step, size)))
            elif issubclass(cls, Scene) and cls.motion(record.params[""])[2] is not None:
                width = record.before["canvas"][camera][1]
                P = torch.tensor([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]], dtype=torch.float64) @ P
                camera = record.before["names"].get(camera, camera)
                steps.append(("mirror", None))
            elif issubclass(cls, Scene):
                steps.append(("scale", torch.linalg.det(cls.motion(record.params[""])[0][:3, :3]).abs() ** (1 / 3)))
            elif issubclass(cls, Viewpoint):
                params = _params(record, camera)
                if moves_sensor(params, camera, is_camera=True):
                    steps.append(("mount", mounting_matrix(params)))
        return RecordedCameraMap(P, camera, tuple(steps))

    @property
    def mount_moved(self) -> bool:
        """Whether the camera's mounting was moved."""
        return any(kind == "mount" for kind, _ in self.steps)

    @property
    def mount_shifted(self) -> bool:
        """Whether the mounting was translated, so that the picture was re-rendered from depth."""
        return any(kind == "mount" and bool((E[:3, 3] != 0).any()) for kind, E in self.steps)

    def expected(self, source: Sample, camera: str, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return augmented pixels (n, 2) of points (n, 3) of the source's reference frame, and which it saw (n,)."""
        pixels, visible = source.project_ref(points, camera, true_rig=True)
        if not self.mount_moved:
            return apply_homography(self.P, pixels), visible
        sensor: CameraSensor = source.true_rig.camera(source[camera].instance(camera))
        time = int(source[camera].capture_times[source.key_item(camera)])
        T = source.true_rig.T(source[camera].frame, source.ref.frame, source.ref.time, time)
        local = transform_points(T, points)
        for kind, value in self.steps:
            if kind == "mirror":
                sensor, local = sensor.mirrored(), local * MIRROR
            elif kind == "map":
                sensor = sensor.with_pixel_map(*value)
            elif kind == "scale":
                local = local * value
            else:
                local = transform_points(invert(value), local)
        moved, seen = sensor.model.project(local)
        return apply_homography(sensor.A, moved), visible & seen


def _params(record: Record, camera: str) -> dict[str, Any]:
    return dict(record.params.get(camera, record.params.get("", {})))
