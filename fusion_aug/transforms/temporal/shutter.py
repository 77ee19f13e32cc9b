"""Rolling shutters: every row of a picture is read at a time of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Rig
from calib.replacing import replace_unchecked
from calib.sensors import apply_homography
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.warp import gather
from fusion_aug.sample import Sample
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.ego import camera_twist, picture_flow
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes2D, Camera, Depth, ImageStream, Keypoints2D, Stream
from fusion_aug.streams.families import Temporal
from fusion_aug.transforms.distances import SeesDistances

# m/s and rad/s that a static camera may seem to have, since velocities are differences of computed poses: what is 1 m
# away moves by less than 1e-3 px in a readout
AT_REST = 1e-6
ITERATIONS = 4  # of the search for where a moved pixel came from


@dataclass(frozen=True, kw_only=True)
class RollingShutter(SeesDistances, Temporal):
    """Pictures whose rows are read one after another, from top to bottom, in ``readout`` seconds.

    Rows are those of the sensor, whatever was cut or rotated since. The middle row keeps the picture's capture time.
    Every pixel is taken from where the camera's own motion has its content at the time of its row; depth, masks and
    labels follow, and the rig holds the ``readout`` of the camera. The scene is taken as static. It needs distances (a
    Depth stream of the camera, or a LiDAR) and the camera's motion (an ego pose with a twist, or a rig that moves it).

    Attributes:
        readout: seconds from the sensor's first row to its last; it adds to what the camera has.
        cameras: names or shell patterns of the cameras.
    """

    scope: str = "sensor"
    readout: Range = (0.005, 0.03)
    cameras: tuple[str, ...] = ("*",)

    version: ClassVar[int] = 2  # since 2026-11: distances end where things end
    strict = False  # it has to do with cameras alone
    changes_calibration: ClassVar[str] = "readout"
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"readout": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = {
        "content_identity": "every row has a capture time of its own, and the camera one pose for all of them",
        "invertible": "pixels are resampled on the way",
        "differentiable": "its flow is a table",
        "commutes": "what was pending is applied before",
    }
    strengths: ClassVar[Strengths] = {
        "readout": Strength(0.0, 0.05, "linear", "declared: as long as the exposure of suite/motion_blur", "s"),
    }
    example: ClassVar[dict[str, Any]] = {"readout": [0.005, 0.03]}

    @classmethod
    def loses_pixels(cls, params: Mapping[str, Any], camera: str) -> bool:
        """Whether what a camera sees was moved by a flow, which no record holds."""
        return params["readout"] > 0 and matches(camera, params["cameras"])

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Compute the flow of every picture, apply it to pictures and labels, and set the readout of the cameras."""
        motions: dict[tuple[str, int, int], ReadoutMotion] = {}
        read: set[tuple[str, int]] = set()
        for name, stream in sample.of_type(Camera).items():
            for i, params in enumerate(parameters.per_item(name, stream)):
                u, camera = int(stream.sample_index[i]), stream.instance(name)
                device = sample.metas[u].true_rig.sensors.get(camera)
                selected = matches(camera, params["cameras"])
                if isinstance(device, CameraSensor) and params["readout"] > 0 and bool(stream.present[i]) and selected:
                    read.add((camera, u))
                    velocity, angular_velocity = camera_twist(sample, name, i)
                    if bool((torch.cat([velocity, angular_velocity]).abs() > AT_REST).any()):
                        flow = picture_flow(sample, name, i, params["readout"], DepthSettings.of(params))
                        motion = ReadoutMotion(device, float(params["readout"]), velocity, angular_velocity, flow)
                        motions[camera, u, int(stream.capture_times[i])] = motion
        out = cls.visit(sample, parameters, context, motions)
        for u, meta in enumerate(out.metas):
            readouts = {c: float(parameters.of(u, c)["readout"]) for c, v in read if v == u}
            rig = with_readout(meta.rig, readouts)
            true_rig = rig if meta.true_rig is meta.rig else with_readout(meta.true_rig, readouts)
            out = out.with_meta(u, rig=rig, true_rig=true_rig)
        return out


@dataclass(frozen=True, eq=False)
class ReadoutMotion:
    """Motion of a camera while it reads out one picture.

    Attributes:
        camera: with its canvas. readout: seconds. velocity, angular_velocity: (3,) m/s and rad/s in the camera's axes.
        flow: (H, W, 2) pixels of the canvas that the content moves in the readout.
    """

    camera: CameraSensor
    readout: float
    velocity: Tensor
    angular_velocity: Tensor
    flow: Tensor

    def row_time(self, pixels: Tensor) -> Tensor:
        """When pixels (..., 2) of the canvas are read, in readouts from the sensor's middle row: -1/2 to 1/2."""
        height = self.camera.model.size[0]
        if self.camera.has_pixel_map:
            pixels = apply_homography(torch.linalg.inv(self.camera.A), pixels.to(torch.float64))
        return (pixels[..., 1] - (height - 1) / 2) / max(1, height - 1)

    @cached_property
    def source(self) -> Tensor:
        """(H, W, 2) where every pixel was in the old picture."""
        grid = pixel_grid(self.camera.size)
        share, source = self.row_time(grid)[..., None], grid
        for _ in range(ITERATIONS):
            source = grid - share * sample_flow(self.flow, source)
        return source

    def depth_at_rows(self, depth: Tensor, measure: str) -> Tensor:
        """Depth (H, W) of the old picture at ``source``, changed to the times of its rows."""
        ray = self.camera.unproject(self.source)
        size = depth.to(torch.float64) / (ray[..., 2] if measure == "z" else 1.0)
        points = ray * size[..., None]
        seconds = self.row_time(pixel_grid(self.camera.size))[..., None] * self.readout
        moved = points - (self.velocity + torch.linalg.cross(self.angular_velocity.expand_as(points), points)) * seconds
        new_depth = moved[..., 2] if measure == "z" else torch.linalg.norm(moved, dim=-1)
        known = torch.isfinite(depth) & (depth > 0) & torch.isfinite(new_depth)
        return torch.where(known, new_depth.to(depth), depth)

    def forward(self, pixels: Tensor) -> Tensor:
        """Where pixels (..., 2) of the old picture are read."""
        drift, out = sample_flow(self.flow, pixels), pixels
        for _ in range(ITERATIONS):
            out = pixels + self.row_time(out)[..., None] * drift
        return out


def with_readout(rig: Rig, readouts: Mapping[str, float]) -> Rig:
    """The rig with the readout of some cameras, on top of what they have."""

    def slower(sensor: CameraSensor, more: float) -> CameraSensor:
        return replace_unchecked(sensor, readout=(sensor.readout or 0.0) + more)

    return Rig(
        rig.frames, {n: slower(rig.camera(n), readouts[n]) if n in readouts else s for n, s in rig.sensors.items()}
    )


def _readout_motion(stream: Stream, call: Call, item: int) -> ReadoutMotion | None:
    motions: dict[tuple[str, int, int], ReadoutMotion] = call.family_state
    return motions.get((stream.instance(call.name), int(stream.sample_index[item]), int(stream.capture_times[item])))


@handles(RollingShutter, ImageStream)
def shift_pictures(stream: ImageStream, call: Call) -> ImageStream:
    """Resample pictures by the flow of their camera; depth also changes with the times of the rows."""
    found = [_readout_motion(stream, call, i) for i in range(len(stream))]
    if all(r is None for r in found):
        return stream
    pictures = list(stream.pictures)
    for i, motion in enumerate(found):
        if motion is not None:
            moved = gather(pictures[i], motion.source, stream.interpolation, stream.blank)
            pictures[i] = motion.depth_at_rows(moved, stream.measure) if isinstance(stream, Depth) else moved
    return replace(stream, items=tuple(pictures), pending=())


def sample_flow(flow: Tensor, at: Tensor) -> Tensor:
    """Flow (..., 2) at pixels (..., 2), between its pixels; beyond the rim that of the rim."""
    if at.numel() == 0:
        return at
    places = at.to(torch.float32).reshape(at.shape[0], -1, 2).numpy()
    u, v = (np.ascontiguousarray(places[..., k]) for k in (0, 1))
    sampled = cv2.remap(flow.to(torch.float32).numpy(), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(sampled).reshape(at.shape).to(torch.float64)


@handles(RollingShutter, Boxes2D)
@handles(RollingShutter, Keypoints2D)
def shift_labels(stream: Boxes2D | Keypoints2D, call: Call) -> Stream:
    """Move corners and points with their content."""
    column = "corners" if isinstance(stream, Boxes2D) else "pixel"
    value = stream.values[column].clone()
    for i in range(len(stream)):
        motion = _readout_motion(stream, call, i)
        if motion is not None:
            rows = stream.item_slice(i)
            value[rows] = motion.forward(value[rows].to(torch.float64)).to(value)
    return stream.with_values(**{column: value})
