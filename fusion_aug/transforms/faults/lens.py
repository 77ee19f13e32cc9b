"""Faults of lenses: dirt and scratches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops import color
from fusion_aug.streams import SegmentationMask
from fusion_aug.transforms.camera.photometric import PictureContext, applies_to
from fusion_aug.transforms.faults.cameras import CameraFault, full_scale, scene_noise

HIDDEN = 0.5  # share of the light below which a pixel does not show what is behind the dirt
SCRATCH_GLOW = 1.8  # light of a scratch against what is about it


@dataclass(frozen=True, kw_only=True)
class LensDirt(CameraFault):
    """``spots`` blots of dirt of ``size_deg`` degrees on the lens, out of focus, that let the share ``light`` by.

    Attributes:
        mark_hidden: whether masks of the camera ignore the pixels that less than half of the light comes to.
    """

    spots: Range = (3.0, 20.0)
    size_deg: Range = (0.5, 4.0)
    light: Range = (0.0, 0.5)
    mark_hidden: bool = False

    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | {
        "spots": (0.0, 1000.0), "size_deg": (0.01, 90.0), "light": (0.0, 1.0),
    }  # fmt: skip
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "spots": Strength(0.0, 40.0, "linear", "suite/lens_dirt", "blots"),
        "size_deg": "how one blot looks, not how many there are",
        "light": "how one blot looks, not how many there are",
    }
    example: ClassVar[dict[str, Any]] = {"spots": [3, 8]}

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light times ``light`` under blurred ellipses of about ``size_deg`` degrees.

        They lie at the same pixels in every picture of the scene.
        """
        return color.scale_light(picture, torch.from_numpy(cls.light_left((*picture.shape[:2],), params, context)))

    @classmethod
    def light_left(cls, size: tuple[int, int], params: Mapping[str, Any], context: PictureContext) -> np.ndarray:
        """(H, W) float32, share of the light that the dirt lets by to every pixel of a canvas (height, width)."""
        mask, sigma = cls.blots(size, params, context)
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
        left: np.ndarray = 1 - soft * (1 - np.float32(params["light"]))
        return left

    @classmethod
    def blots(
        cls, size: tuple[int, int], params: Mapping[str, Any], context: PictureContext
    ) -> tuple[np.ndarray, float]:
        """Where the dirt would be in focus (H, W) uint8, 1 or 0, on a canvas, and how many pixels it is blurred by."""
        rng, (height, width) = scene_noise(params, context), size
        radius = np.radians(params["size_deg"]) * context.camera.pixels_per_radian / 2
        mask = np.zeros((height, width), np.uint8)
        for _ in range(round(params["spots"])):
            centre = rng.uniform(0, 1, 2) * (width, height)
            axes = radius * rng.lognormal(0, 0.4, 2)
            box = (tuple(centre), tuple(2 * np.maximum(axes, 0.5)), float(rng.uniform(0, 180)))
            cv2.ellipse(mask, box, 1, -1)
        return mask, max(0.5, radius / 3)


@handles(LensDirt, SegmentationMask, by_item=True)
def mark_what_dirt_hides(stream: SegmentationMask, call: Call) -> SegmentationMask:
    """Masks ignore what dirt hides, where a draw asks for it."""
    for i, params in call.asked:
        marks = params.get("mark_hidden", False) and params["fails"] and applies_to(stream, call, params)
        if marks and bool(stream.present[i]):
            context = PictureContext(call, stream, i)
            left = LensDirt.light_left(context.camera.size, params, context)
            stream = stream.with_ignored(i, torch.from_numpy(left < HIDDEN))
    return stream


@dataclass(frozen=True, kw_only=True)
class LensScratches(CameraFault):
    """``scratches`` lines on the lens, ``length_deg`` long, ``width_deg`` wide, that glow in the light about them."""

    scratches: Range = (1.0, 8.0)
    length_deg: Range = (5.0, 30.0)
    width_deg: Range = 0.15
    strength: Range = (0.1, 0.4)

    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | {
        "scratches": (0.0, 1000.0), "length_deg": (0.1, 180.0), "width_deg": (0.01, 10.0), "strength": (0.0, 1.0),
    }  # fmt: skip
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "scratches": Strength(
            0.0,
            40.0,
            "linear",
            "declared: as many as suite/lens_dirt has blots; 0.67 of the probe's loss at 1000",
            "scratches",
        ),
        "length_deg": "how one scratch looks, not how many there are",
        "width_deg": "how one scratch looks, not how many there are",
        "strength": "how one scratch looks, not how many there are",
    }
    example: ClassVar[dict[str, Any]] = {"scratches": [1, 8]}

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Bent lines that add light scattered from their surroundings with weight ``strength``; they never darken."""
        mask, sigma = cls.lines((*picture.shape[:2],), params, context)
        share = torch.from_numpy(mask.astype(np.float32) / 255 * np.float32(params["strength"]))[..., None]
        bright = picture.to(torch.float32)
        # a scratch scatters the light that falls on the lens about it
        around = bright.cpu().numpy()
        light = cv2.GaussianBlur(around, (0, 0), sigma).max(2, keepdims=True)
        glow = torch.from_numpy(np.minimum(SCRATCH_GLOW * light, full_scale(picture))).to(bright)
        out = torch.maximum(bright, bright + (glow - bright) * share.to(picture.device))
        return out.round().to(torch.uint8) if picture.dtype == torch.uint8 else out.to(picture.dtype)

    @classmethod
    def lines(
        cls, size: tuple[int, int], params: Mapping[str, Any], context: PictureContext
    ) -> tuple[np.ndarray, float]:
        """How much of each pixel of a canvas is scratched (H, W) uint8, 255 all, and how far light scatters, pixels."""
        rng, (height, width) = scene_noise(params, context), size
        degree = np.radians(1.0) * context.camera.pixels_per_radian
        mask = np.zeros((height, width), np.uint8)
        for _ in range(round(params["scratches"])):
            at, angle = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0, np.pi)
            steps = np.linspace(-0.5, 0.5, 12)[:, None] * params["length_deg"] * degree
            bent = angle + rng.normal(0, 0.1, 12).cumsum()[:, None] * 0.2
            line = at + steps * np.concatenate([np.cos(bent), np.sin(bent)], 1)
            thick = max(1, round(params["width_deg"] * degree))
            cv2.polylines(mask, [np.round(line * 16).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)
        return mask, max(1.0, 5 * degree)
