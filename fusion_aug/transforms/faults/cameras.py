"""Faults of cameras: pixels, shutters, exposure, the whole camera."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.se3 import skew
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.errors import DataError
from fusion_aug.ops import color
from fusion_aug.ops.random import noise
from fusion_aug.ops.view import moved_view
from fusion_aug.ops.warp import gather
from fusion_aug.sample import Sample
from fusion_aug.sample.depth import camera_range
from fusion_aug.sample.depth_settings import DepthSettings
from fusion_aug.sample.ego import frame_twist
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Camera, TactileImage
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext
from fusion_aug.transforms.distances import SeesDistances


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
        flat, rng = picture.reshape(-1, 3).clone(), scene_noise(params, context)
        for share, value in ((params["dead"], 0), (params["stuck"], full_scale(picture))):
            hit = rng.choice(len(flat), min(len(flat), round(share * 1e-6 * len(flat))), replace=False)
            # a pixel has a filter of one colour: half of the faults show in that colour only
            channel = rng.integers(0, 6, len(hit))
            for c in range(3):
                flat[torch.from_numpy(hit[(channel == c) | (channel > 2)]).to(flat.device), c] = value
        return flat.reshape(picture.shape)


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
        rows = picture.shape[0]
        whole, rest = divmod(int(context.stream.capture_times[context.item]), 1_000_000_000)
        seconds = whole % 1_000_000 + rest * 1e-9  # so that no digit of the phase is lost
        phase = 2 * np.pi * params["frequency"] * (seconds + params["readout"] * np.arange(rows) / rows)
        light = 1 - params["depth"] * (0.5 - 0.5 * np.cos(phase))
        factor = torch.from_numpy(light).float()[:, None].expand(rows, picture.shape[1])
        return color.scale_light(picture, factor)


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


@dataclass(frozen=True, kw_only=True)
class FrozenCamera(CameraFault, SeesDistances):
    """A camera that still sends the picture of ``age`` seconds ago at a new capture time.

    Where the sample holds several pictures, the latest one of that time is shown again, or the first. Else the picture
    is rendered from where the camera was then, by its own motion and the distances; traffic is taken as static. What
    was in view then and is not now is smeared in: at speed, more than half a second of age shows.
    """

    age: Range = (0.5, 2.0)

    version: ClassVar[int] = 3  # since 2026-11: distances end where things end, and rims are no source
    needs_neighbours: ClassVar[bool] = True
    limits: ClassVar[dict[str, tuple[float, float]]] = CameraFault.limits | {"age": (0.0, 60.0)}
    strengths: ClassVar[Strengths] = {
        "each": "which cameras fail, not how badly",
        "age": Strength(0.0, 0.5, "linear", "suite/frozen_camera", "s"),
    }
    needs_naming: ClassVar[str] = "pictures no longer show what is labelled"
    example: ClassVar[dict[str, Any]] = {"age": [0.1, 0.5]}

    @classmethod
    def loses_pixels(cls, params: Mapping[str, Any], camera: str) -> bool:
        """Whether nothing that a camera sees is at its pixel any more, so that views have none in common."""
        return bool(params["fails"]) and matches(camera, params["cameras"] or ("*",))

    @classmethod
    def faulty_picture(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """The latest picture at least ``age`` seconds older, or the first, where the sample holds several.

        Else the picture rendered from the pose ``age`` seconds ago, by a constant twist and the distances; pixels
        without a source take the nearest known colour.

        Raises:
            DataError: there is neither an older picture nor an ego pose with a twist.
        """
        stream, item = context.stream, context.item
        then, index = int(stream.capture_times[item]) - int(params["age"] * 1e9), int(stream.sample_index[item])
        mine = (stream.sample_index == index).nonzero()[:, 0]
        if len(mine) > 1:
            older = mine[stream.capture_times[mine] <= then]
            return stream.image(int(older[-1] if len(older) else mine[0])).clone()
        twist = frame_twist(context.call.sample, index, stream.frame, int(stream.true_capture_times[item]))
        if twist is None:
            raise DataError(
                f"stream {context.call.name!r}: FrozenCamera needs an older picture or an ego pose with a twist"
            )
        velocity, angular_velocity = twist
        rate = torch.zeros((4, 4), dtype=torch.float64)
        rate[:3, :3], rate[:3, 3] = skew(angular_velocity), velocity
        motion = torch.linalg.matrix_exp(-rate * params["age"])  # a steady motion, backwards
        if float(motion[:3, 3].norm()) < 1e-6 and torch.allclose(motion[:3, :3], torch.eye(3, dtype=torch.float64)):
            return picture
        distance = camera_range(context.call.sample, context.call.name, item, DepthSettings.of(params))
        source = moved_view(context.camera, distance, motion).source
        # what was in view then and is not any more is unknown, and takes the nearest known colour
        return _filled(gather(picture, source), torch.isfinite(source).all(-1))


def _filled(picture: Tensor, known: Tensor) -> Tensor:
    """Pixels without a source take the colour of the nearest one that has one."""
    if bool(known.all()) or not bool(known.any()):
        return picture
    missing = (~known).numpy().astype(np.uint8)
    _, label = cv2.distanceTransformWithLabels(missing, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    where = np.zeros(int(label.max()) + 1, np.int64)
    where[label[missing == 0]] = np.flatnonzero(missing == 0)
    flat = picture.reshape(-1, picture.shape[-1])
    return flat[torch.from_numpy(where[label.ravel()])].reshape(picture.shape)
