"""Lens, motion and coding: blur, sharpness, chromatic aberration, JPEG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import torch
from torch import Tensor

from calib.sensors import apply_homography
from fusion_aug.core.ranges import Range
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops import blur, color
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.ego import picture_flow
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext
from fusion_aug.transforms.distances import SeesDistances


@dataclass(frozen=True, kw_only=True)
class GaussianBlur(PhotometricTransform):
    """Blur by a Gaussian of ``sigma`` pixels."""

    sigma: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 50.0)}
    strengths: ClassVar[Strengths] = {"sigma": Strength(0.0, 4.0, "linear", "probe", "px")}
    example: ClassVar[dict[str, Any]] = {"sigma": [0.5, 1.5]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Gaussian blur of ``sigma`` pixels, edges repeated."""
        return blur.gaussian(picture, params["sigma"])


@dataclass(frozen=True, kw_only=True)
class DefocusBlur(PhotometricTransform):
    """Blur as a lens out of focus: points become discs of ``radius`` pixels."""

    radius: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"radius": (0.0, 50.0)}
    strengths: ClassVar[Strengths] = {"radius": Strength(0.0, 5.9, "linear", "probe", "px")}
    example: ClassVar[dict[str, Any]] = {"radius": [0.5, 2.5]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Convolution with a disc of ``radius`` pixels; 0 returns the picture itself."""
        return blur.convolve(picture, blur.disc(params["radius"])) if params["radius"] > 0 else picture


@dataclass(frozen=True, kw_only=True)
class MotionBlur(PhotometricTransform):
    """Blur along a line of ``length`` pixels, ``angle_deg`` from the picture's right towards its bottom."""

    length: Range
    angle_deg: Range = (0.0, 180.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = {"length": (0.0, 200.0), "angle_deg": (-360.0, 360.0)}
    strengths: ClassVar[Strengths] = {
        "length": Strength(0.0, 19.0, "linear", "probe", "px"),
        "angle_deg": "a direction",
    }
    example: ClassVar[dict[str, Any]] = {"length": [1.0, 5.0]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Convolution with a line of ``length`` pixels, ``angle_deg`` from u towards v; 0 returns the picture."""
        if params["length"] <= 0:
            return picture
        return blur.convolve(picture, blur.line(params["length"], math.radians(params["angle_deg"])))


@dataclass(frozen=True, kw_only=True)
class EgoMotionBlur(PhotometricTransform, SeesDistances):
    """Blur by the camera's own motion during an exposure of ``exposure`` seconds about the picture's stamp.

    Every pixel smears along its own optical flow, from the twist of an EgoPose stream (or the motion of the rig, for a
    camera on an arm) and the distance of what the pixel shows (a Depth stream of the camera, else the LiDAR). Other
    traffic is taken as static.
    """

    exposure: Range

    version: ClassVar[int] = 2  # since 2026-11: distances end where things end
    limits: ClassVar[dict[str, tuple[float, float]]] = {"exposure": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "a spot smears along a flow that differs from one of its sides to the other"
    }
    strengths: ClassVar[Strengths] = {"exposure": Strength(0.0, 0.05, "linear", "suite/motion_blur", "s")}
    example: ClassVar[dict[str, Any]] = {"exposure": [0.001, 0.02]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Mean along every pixel's own flow over ``exposure`` seconds about the true capture time.

        Raises:
            DataError: the distances or the motion of the camera are unknown.
        """
        sample, name, settings = context.call.sample, context.call.name, DepthSettings.of(params)
        return blur.along_flow(picture, picture_flow(sample, name, context.item, params["exposure"], settings))


@dataclass(frozen=True, kw_only=True)
class Sharpness(PhotometricTransform):
    """Unsharp masking: add ``amount`` times the difference to the picture blurred by ``sigma`` pixels."""

    amount: Range
    sigma: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"amount": (-1.0, 20.0), "sigma": (0.1, 20.0)}
    strengths: ClassVar[Strengths] = {
        "amount": Strength(0.0, 4.5, "linear", "probe"),
        "sigma": "which details are sharpened, not how much",
    }
    example: ClassVar[dict[str, Any]] = {"amount": [0.2, 1.0]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """x + ``amount`` (x - Gaussian blur of x by ``sigma`` pixels), clipped, uint8 levels rounded."""
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
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "red and blue are moved against green on purpose"
    }
    strengths: ClassVar[Strengths] = {
        "red": Strength(0.0, (-0.05, 0.05), "linear", "declared: its limits; 0.47 of the probe's loss"),
        "blue": Strength(0.0, (-0.05, 0.05), "linear", "declared: its limits; 0.47 of the probe's loss"),
    }
    example: ClassVar[dict[str, Any]] = {"red": [-0.002, 0.002], "blue": [-0.002, 0.002]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Red and blue magnified about the principal point on the canvas by 1 + ``red`` and 1 + ``blue``; green stays.

        Linear interpolation, edges repeated.
        """
        camera = context.camera
        centre = camera.model.K[:2, 2].detach()
        about = torch.eye(3, dtype=torch.float64)  # P = I + red about
        about[:2, 2] = -(apply_homography(camera.A, centre) if camera.has_pixel_map else centre)
        about[2, 2] = 0.0
        channels = list(picture.unbind(-1))
        for index, name in ((0, "red"), (2, "blue")):
            if params[name] == 0:
                continue
            P = torch.eye(3, dtype=torch.float64) + params[name] * about
            enlarged = ImageMap.homography(P, (picture.shape[0], picture.shape[1]))
            channels[index] = warp(channels[index].contiguous(), enlarged, antialias=False, edge=True)
        return torch.stack(channels, -1)


@dataclass(frozen=True, kw_only=True)
class JpegCompression(PhotometricTransform):
    """Encode and decode as JPEG of a ``quality`` from 1 to 100."""

    quality: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"quality": (1.0, 100.0)}
    strengths: ClassVar[Strengths] = {"quality": Strength(100.0, 2.0, "linear", "probe", exact=False)}
    example: ClassVar[dict[str, Any]] = {"quality": [30, 95]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """The picture encoded and decoded as JPEG (OpenCV) at the rounded ``quality``, 1 to 100."""
        return color.jpeg_coded(picture, round(params["quality"]))
