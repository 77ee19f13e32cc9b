"""Faults of cameras: pixels, shutters, exposure, the whole camera."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import DataError
from fusion_aug.ops import color
from fusion_aug.ops.random import noise
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Camera, TactileImage
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext


@dataclass(frozen=True, kw_only=True)
class CameraFault(PhotometricTransform, abstract=True):
    """A fault of some cameras, each drawn on its own.

    What is broken stays broken: pixels, dirt and scratches are the same in every picture of a scene.

    Attributes:
        each: probability with which each of them does.
    """

    scope: str = "sensor"
    per_scene: bool = True
    each: Range = 1.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"each": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "a faulty picture does not show the scene"
    }

    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """The numbers, whether the camera fails, and the key of what stays the same in its pictures."""
        names = sorted({s.instance(n) for n, s in sample.of_type(Camera).items()})
        patterns = ("*",) if self.cameras is None else self.cameras
        if names and not any(matches(n, patterns) for n in names):
            raise DataError(
                f"{type(self).__name__}.cameras: {', '.join(patterns)} names no camera of the sample "
                f"(it has {', '.join(names)})"
            )
        drawn = super().sample_params(rng, sample, context)
        return {**drawn, "fails": bool(rng.random() < drawn["each"]), "key": f"{int(rng.integers(2**62)):x}"}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """The faulty picture where the draw says ``fails``, else the picture itself."""
        return cls.faulty_picture(picture, params, context) if params["fails"] else picture

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Return the picture of a camera that fails. Called only where the draw says ``fails``.

        Args:
            picture: (H, W, 3), uint8 levels 0..255 or float32 in [0, 1], with all pending maps applied.
            params: the drawn parameters of this item.
            context: the item, its camera and its noise stream.

        Returns:
            a picture of the same shape, dtype and device.
        """
        raise NotImplementedError


@handles(CameraFault, TactileImage, by_item=True)
def leave_gel(stream: TactileImage, call: Call) -> TactileImage:
    """Leave tactile pictures as they are."""
    return stream


def scene_noise(params: Mapping[str, Any], context: PictureContext) -> np.random.Generator:
    """Random stream that is the same for every picture of a camera in a scene."""
    return noise(params["key"], context.stream.instance(context.call.name), 0)


def full_scale(picture: Tensor) -> int:
    return 255 if picture.dtype == torch.uint8 else 1


@dataclass(frozen=True, kw_only=True)
class DeadPixels(CameraFault):
    """Pixels per million that are ``dead`` (black) or ``stuck`` (white), half of them in one colour only."""

    dead: Range = (0.0, 2000.0)
    stuck: Range = (0.0, 2000.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | dict.fromkeys(("dead", "stuck"), (0.0, 1e6))
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "dead": Strength(0.0, 50000.0, "linear", "suite/camera_impulse", "per million"),
        "stuck": Strength(0.0, 50000.0, "linear", "suite/camera_impulse", "per million"),
    }
    example: ClassVar[dict[str, Any]] = {"dead": 5000, "stuck": [0, 3000]}

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """``dead`` and ``stuck`` pixels per million set to 0 and to white, half of them in one channel only.

        The same pixels in every picture of the scene.
        """
        flat = picture.reshape(-1, 3).clone()
        for hit, channel, stuck in cls.hits(len(flat), params, context):
            flat[torch.from_numpy(hit).to(flat.device), channel] = full_scale(picture) if stuck else 0
        return flat.reshape(picture.shape)

    @classmethod
    def hits(
        cls, pixels: int, params: Mapping[str, Any], context: PictureContext
    ) -> Iterator[tuple[np.ndarray, int, bool]]:
        """Numbers of the pixels that are hit, of ``pixels``, their channel, and whether stuck; later ones count."""
        rng = scene_noise(params, context)
        for field in ("dead", "stuck"):
            hit = rng.choice(pixels, cls.count(pixels, params[field]), replace=False)
            # a pixel has a filter of one colour: half of the faults show in that colour only
            channel = rng.integers(0, 6, len(hit))
            for c in range(3):
                yield hit[(channel == c) | (channel > 2)], c, field == "stuck"

    @staticmethod
    def count(pixels: int, share: float) -> int:
        """How many of the pixels are hit by ``share`` faults per million."""
        return min(pixels, round(share * 1e-6 * pixels))


@dataclass(frozen=True, kw_only=True)
class Banding(CameraFault):
    """Bands of a rolling shutter under flickering lamps.

    Lamps at ``frequency`` Hz (twice that of the mains) lose the share ``depth`` of their light at their darkest; the
    rows of a picture are read one after another in ``readout`` seconds. Bands run on from picture to picture.
    """

    depth: Range = (0.1, 0.5)
    frequency: Range = 100.0
    readout: Range = 0.025

    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | {
        "depth": (0.0, 1.0), "frequency": (1.0, 1e4), "readout": (0.0, 1.0),
    }  # fmt: skip
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "depth": Strength(
            0.0,
            1.0,
            "linear",
            "declared: its end, no light between the bands; 0.88 of the probe's loss",
            "share of the light",
        ),
        "frequency": "a figure of the lamps",
        "readout": "a figure of the sensor",
    }
    example: ClassVar[dict[str, Any]] = {"depth": 0.4}

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light of every row times a raised cosine of ``frequency`` Hz and depth ``depth``.

        Its phase is the capture time plus the row's share of ``readout`` seconds.
        """
        light = cls.light_of_rows(picture.shape[0], params, context)
        return color.scale_light(picture, torch.from_numpy(light)[:, None].expand(*picture.shape[:2]))

    @classmethod
    def light_of_rows(cls, rows: int, params: Mapping[str, Any], context: PictureContext) -> np.ndarray:
        """(rows,) float32, share of the light that the lamps give while each row is read."""
        whole, rest = divmod(int(context.stream.capture_times[context.item]), 1_000_000_000)
        seconds = whole % 1_000_000 + rest * 1e-9  # so that no digit of the phase is lost
        phase = 2 * np.pi * params["frequency"] * (seconds + params["readout"] * np.arange(rows) / rows)
        light: np.ndarray = 1 - params["depth"] * (0.5 - 0.5 * np.cos(phase))
        return light.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Overexposure(CameraFault):
    """Pictures exposed ``stops`` too long: highlights are lost in white."""

    stops: Range = (1.0, 3.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | {"stops": (0.0, 10.0)}
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "stops": Strength(0.0, 3.0, "linear", "suite/brightness", "stops"),
    }
    example: ClassVar[dict[str, Any]] = {"stops": [0.0, 3.0]}

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Linear light of all channels times 2^``stops``, clipped."""
        return color.light_gains(picture, (2.0 ** params["stops"],) * 3)


@dataclass(frozen=True, kw_only=True)
class BlackCamera(CameraFault):
    """A camera that sends black pictures."""

    strengths: ClassVar[Strengths] = {"each": Strength(0.0, 1.0, "linear", "suite/missing_camera", "probability")}
    example: ClassVar[dict[str, Any]] = {"each": 0.5}

    @classmethod
    def loses_pixels(cls, params: Mapping[str, Any], camera: str) -> bool:
        """Whether nothing that a camera sees is at its pixel any more, so that views have none in common."""
        return bool(params["fails"]) and matches(camera, params["cameras"] or ("*",))

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Zeros in the picture's shape and dtype."""
        return torch.zeros_like(picture)
