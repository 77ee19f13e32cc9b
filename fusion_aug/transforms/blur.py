"""Lens, motion and coding: blur, sharpness, chromatic aberration, JPEG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import torch
from torch import Tensor
from torch.nn import functional as F

from calib.sensors import apply_homography
from fusion_aug.errors import DataError
from fusion_aug.ops import blur, color
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.physics.depth import SKY, camera_range
from fusion_aug.ranges import Range
from fusion_aug.transforms.ego import frame_twist
from fusion_aug.transforms.photometric import PhotometricTransform, Shot


@dataclass(frozen=True, kw_only=True)
class GaussianBlur(PhotometricTransform):
    """Blur by a Gaussian of ``sigma`` pixels."""

    sigma: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 50.0)}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        return blur.gaussian(picture, params["sigma"])


@dataclass(frozen=True, kw_only=True)
class DefocusBlur(PhotometricTransform):
    """Blur as a lens out of focus: points become discs of ``radius`` pixels."""

    radius: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"radius": (0.0, 50.0)}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        return blur.convolve(picture, blur.disc(params["radius"])) if params["radius"] > 0 else picture


@dataclass(frozen=True, kw_only=True)
class MotionBlur(PhotometricTransform):
    """Blur along a line of ``length`` pixels, ``angle_deg`` from the picture's right towards its bottom."""

    length: Range
    angle_deg: Range = (0.0, 180.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = {"length": (0.0, 200.0), "angle_deg": (-360.0, 360.0)}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        if params["length"] <= 0:
            return picture
        return blur.convolve(picture, blur.line(params["length"], math.radians(params["angle_deg"])))


@dataclass(frozen=True, kw_only=True)
class EgoMotionBlur(PhotometricTransform):
    """Blur by the vehicle's own motion during an exposure of ``exposure`` seconds about the picture's stamp.

    Every pixel smears along its own optical flow, from the twist of an EgoPose stream and the distance of what the
    pixel shows (a Depth stream of the camera, else the LiDAR). Other traffic is taken to stand still.
    """

    exposure: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"exposure": (0.0, 1.0)}
    waives: ClassVar[dict[str, str]] = PhotometricTransform.waives | {
        "content_identity": "a spot smears along a flow that differs from one of its sides to the other"
    }

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        return blur.along_flow(picture, ego_flow(shot, params["exposure"], (picture.shape[0], picture.shape[1])))


def ego_flow(shot: Shot, seconds: float, size: tuple[int, int], step: int = 4) -> Tensor:
    """How far every pixel moves while the vehicle drives on for ``seconds``: (H, W, 2) pixels.

    Raises:
        DataError: the sample holds no ego pose with a twist.
    """
    time, unit = int(shot.stream.times[shot.item]), int(shot.stream.sample_index[shot.item])
    twist = frame_twist(shot.call.sample, unit, shot.stream.frame, time)
    if twist is None:
        raise DataError(f"stream {shot.call.name!r}: EgoMotionBlur needs an ego pose with a twist in the sample")
    velocity, turning = twist
    distance = camera_range(shot.call.sample, shot.call.name, shot.item).to(torch.float64).clamp(max=SKY)
    height, width = size
    step = max(1, min(step, height // 8, width // 8))
    rows, columns = -(-height // step), -(-width // step)
    grid = pixel_grid((rows, columns)) * step + (step - 1) / 2
    near = distance[grid[..., 1].long().clamp(max=height - 1), grid[..., 0].long().clamp(max=width - 1)]
    points = shot.camera.unproject(grid) * near[..., None]
    drift = -(velocity + torch.linalg.cross(turning.expand_as(points), points)) * (seconds / 2)
    (start, seen), (stop, still) = (_pixels(shot, points + s * drift) for s in (-1, 1))
    flow = torch.where((seen & still)[..., None], stop - start, torch.zeros_like(start)).nan_to_num(0.0)
    wide = F.interpolate(flow.permute(2, 0, 1)[None], size=(rows * step, columns * step), mode="bilinear")[0]
    return wide.permute(1, 2, 0)[:height, :width].contiguous()


def _pixels(shot: Shot, points: Tensor) -> tuple[Tensor, Tensor]:
    physical, seen = shot.camera.model.project(points)
    return apply_homography(shot.camera.A, physical), seen


@dataclass(frozen=True, kw_only=True)
class Sharpness(PhotometricTransform):
    """Unsharp masking: add ``amount`` times the difference to the picture blurred by ``sigma`` pixels."""

    amount: Range
    sigma: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"amount": (-1.0, 20.0), "sigma": (0.1, 20.0)}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        soft, amount = blur.gaussian(picture, params["sigma"]), params["amount"]
        if picture.is_cpu and picture.dtype == torch.uint8:
            return torch.from_numpy(cv2.addWeighted(picture.contiguous().numpy(), 1 + amount, soft.numpy(), -amount, 0))
        x, y = (p.to(torch.float32) if p.dtype == torch.uint8 else p for p in (picture, soft))
        out = x + amount * (x - y)
        return out.round().clamp(0, 255).to(torch.uint8) if picture.dtype == torch.uint8 else out.clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class ChromaticAberration(PhotometricTransform):
    """Magnify red and blue about the principal point by ``1 + red`` and ``1 + blue``; 0.001 is 1 px in 1000."""

    red: Range = 0.0
    blue: Range = 0.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"red": (-0.05, 0.05), "blue": (-0.05, 0.05)}
    waives: ClassVar[dict[str, str]] = PhotometricTransform.waives | {
        "content_identity": "red and blue are moved against green on purpose"
    }

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        centre = apply_homography(shot.camera.A, shot.camera.model.K[:2, 2].detach())
        channels = list(picture.unbind(-1))
        for index, name in ((0, "red"), (2, "blue")):
            if params[name] == 0:
                continue
            P = torch.eye(3, dtype=torch.float64) * (1 + params[name])
            P[2, 2] = 1.0
            P[:2, 2] = -params[name] * centre
            enlarged = ImageMap.homography(P, (picture.shape[0], picture.shape[1]))
            channels[index] = warp(channels[index].contiguous(), enlarged, antialias=False, edge=True)
        return torch.stack(channels, -1)


@dataclass(frozen=True, kw_only=True)
class JpegCompression(PhotometricTransform):
    """Encode and decode as JPEG of a ``quality`` from 1 to 100."""

    quality: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"quality": (1.0, 100.0)}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], shot: Shot) -> Tensor:
        """See ``PhotometricTransform``."""
        return color.jpeg_coded(picture, round(params["quality"]))
