"""Rolling shutters: every row of a picture has a moment of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Rig
from calib.changed import changed
from calib.sensors import IDENTITY, apply_homography
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.transform import Transform
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.warp import gather
from fusion_aug.sample import Sample
from fusion_aug.sample.ego import camera_twist, picture_flow
from fusion_aug.streams import Boxes2D, Camera, Depth, ImageStream, Keypoints2D, Stream
from fusion_aug.streams.families import Temporal

ROUNDS = 4  # of the search for where a moved pixel came from


@dataclass(frozen=True, kw_only=True)
class RollingShutter(Transform, Temporal):
    """Pictures whose rows are read one after another, from top to bottom, in ``readout`` seconds.

    Rows are those of the sensor, whatever was cut or turned since. The middle row keeps the picture's stamp. Every
    pixel is taken from where the camera's own motion has its content at the row's moment; depth, masks and labels go
    along, and the rig tells the ``readout`` of the camera. What moves by itself is taken to stand still. It needs
    distances (a Depth stream of the camera, or a LiDAR) and the camera's motion (an ego pose with a twist, or a rig
    that moves it).

    Attributes:
        readout: seconds from the sensor's first row to its last; it adds to what the camera has.
        cameras: names or shell patterns of the cameras.
    """

    scope: str = "sensor"
    readout: Range = (0.005, 0.03)
    cameras: tuple[str, ...] = ("*",)

    strict = False  # it has to do with cameras alone
    calibration: ClassVar[str] = "readout"
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"readout": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = {
        "content_identity": "a row shows its own moment, and the camera has one pose for all of them",
        "invertible": "pixels are resampled on the way",
        "differentiable": "its flow is a table",
        "commutes": "what was pending is carried out before",
    }

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Work out the flow of every picture, move what shows it, and tell the readout."""
        rolls: dict[tuple[str, int, int], Roll] = {}
        read: set[tuple[str, int]] = set()
        for name, stream in sample.of_type(Camera).items():
            for i, params in enumerate(parameters.per_item(name, stream)):
                u, camera = int(stream.sample_index[i]), stream.instance(name)
                device = sample.metas[u].true_rig.sensors.get(camera)
                meant = any(fnmatchcase(camera, pattern) for pattern in params["cameras"])
                if isinstance(device, CameraSensor) and params["readout"] > 0 and bool(stream.present[i]) and meant:
                    read.add((camera, u))
                    velocity, turning = camera_twist(sample, name, i)
                    if bool((velocity != 0).any() | (turning != 0).any()):  # one that stands shows no difference
                        flow = picture_flow(sample, name, i, params["readout"])
                        roll = Roll(device, float(params["readout"]), velocity, turning, flow)
                        rolls[camera, u, int(stream.capture_times[i])] = roll
        out = cls.visit(sample, parameters, context, rolls)
        for u, meta in enumerate(out.metas):
            told = {c: float(parameters.of(u, c)["readout"]) for c, v in read if v == u}
            rig = with_readout(meta.rig, told)
            true_rig = rig if meta.true_rig is meta.rig else with_readout(meta.true_rig, told)
            out = out.with_meta(u, rig=rig, true_rig=true_rig)
        return out


@dataclass(frozen=True, eq=False)
class Roll:
    """How a camera moves while it reads a picture.

    Attributes:
        camera: with its canvas. readout: seconds. velocity, turning: (3,), in the camera's axes.
        flow: (H, W, 2) pixels of the canvas that the content moves in the readout.
    """

    camera: CameraSensor
    readout: float
    velocity: Tensor
    turning: Tensor
    flow: Tensor

    def moment(self, pixels: Tensor) -> Tensor:
        """When pixels (..., 2) of the canvas are read, in readouts from the sensor's middle row: -1/2 to 1/2."""
        height = self.camera.model.size[0]
        if self.camera.A is not IDENTITY:
            pixels = apply_homography(torch.linalg.inv(self.camera.A), pixels.to(torch.float64))
        return (pixels[..., 1] - (height - 1) / 2) / max(1, height - 1)

    @cached_property
    def source(self) -> Tensor:
        """(H, W, 2) where every pixel was in the old picture."""
        grid = pixel_grid(self.camera.size)
        share, source = self.moment(grid)[..., None], grid
        for _ in range(ROUNDS):
            source = grid - share * sampled(self.flow, source)
        return source

    def later(self, depth: Tensor, measure: str) -> Tensor:
        """Depth (H, W) of the old picture, at ``source``, as it is at the moments of its rows."""
        ray = self.camera.unproject(self.source)
        size = depth.to(torch.float64) / (ray[..., 2] if measure == "z" else 1.0)
        points = ray * size[..., None]
        seconds = self.moment(pixel_grid(self.camera.size))[..., None] * self.readout
        moved = points - (self.velocity + torch.linalg.cross(self.turning.expand_as(points), points)) * seconds
        told = moved[..., 2] if measure == "z" else torch.linalg.norm(moved, dim=-1)
        known = torch.isfinite(depth) & (depth > 0) & torch.isfinite(told)
        return torch.where(known, told.to(depth), depth)

    def forward(self, pixels: Tensor) -> Tensor:
        """Where pixels (..., 2) of the old picture are read."""
        drift, out = sampled(self.flow, pixels), pixels
        for _ in range(ROUNDS):
            out = pixels + self.moment(out)[..., None] * drift
        return out


def with_readout(rig: Rig, told: Mapping[str, float]) -> Rig:
    """The rig with the readout of some cameras, on top of what they have."""

    def slower(sensor: CameraSensor, more: float) -> CameraSensor:
        return changed(sensor, readout=(sensor.readout or 0.0) + more)

    return Rig(rig.frames, {n: slower(rig.camera(n), told[n]) if n in told else s for n, s in rig.sensors.items()})


def _roll(stream: Stream, call: Call, item: int) -> Roll | None:
    rolls: dict[tuple[str, int, int], Roll] = call.shared
    return rolls.get((stream.instance(call.name), int(stream.sample_index[item]), int(stream.capture_times[item])))


@handles(RollingShutter, ImageStream)
def roll_pictures(stream: ImageStream, call: Call) -> ImageStream:
    """Pictures by the flow of their camera at their stamp; depth also changes with the rows' moments."""
    found = [_roll(stream, call, i) for i in range(len(stream))]
    if all(r is None for r in found):
        return stream
    pictures = list(stream.pictures)
    for i, roll in enumerate(found):
        if roll is not None:
            moved = gather(pictures[i], roll.source, stream.interpolation, stream.fill)
            pictures[i] = roll.later(moved, stream.measure) if isinstance(stream, Depth) else moved
    return replace(stream, items=tuple(pictures), pending=())


def sampled(flow: Tensor, at: Tensor) -> Tensor:
    """Flow (..., 2) at pixels (..., 2), between its pixels; beyond the rim that of the rim."""
    if at.numel() == 0:
        return at
    places = at.to(torch.float32).reshape(at.shape[0], -1, 2).numpy()
    u, v = (np.ascontiguousarray(places[..., k]) for k in (0, 1))
    told = cv2.remap(flow.to(torch.float32).numpy(), u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return torch.from_numpy(told).reshape(at.shape).to(torch.float64)


@handles(RollingShutter, Boxes2D)
@handles(RollingShutter, Keypoints2D)
def roll_labels(stream: Boxes2D | Keypoints2D, call: Call) -> Stream:
    """Corners and points go where their content goes."""
    column = "corners" if isinstance(stream, Boxes2D) else "pixel"
    value = stream.values[column].clone()
    for i in range(len(stream)):
        roll = _roll(stream, call, i)
        if roll is not None:
            rows = stream.item_slice(i)
            value[rows] = roll.forward(value[rows].to(torch.float64)).to(value)
    return stream.with_values(**{column: value})
