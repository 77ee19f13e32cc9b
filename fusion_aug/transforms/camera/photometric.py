"""Brightness, colour and noise of camera pictures. Other streams are left alone.

Further photometric transforms: ``exposure`` (light and sensor), ``blur`` (lens and motion), ``histogram``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from fusion_aug.core.gradients import asks_gradient
from fusion_aug.core.levels import changed_levels
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles, resolve
from fusion_aug.core.transform import Transform
from fusion_aug.errors import UnhandledStream
from fusion_aug.ops import color, reduce
from fusion_aug.ops.random import noise
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.sample.sensors import is_meant
from fusion_aug.streams import Camera, Stream, TactileImage
from fusion_aug.streams.families import Photometric


class PictureContext(NamedTuple):
    """What a change of pixels may ask of the picture's circumstances.

    Attributes:
        call: the stream's turn. stream, item: which picture.
    """

    call: Call
    stream: Camera
    item: int

    def noise(self) -> np.random.Generator:
        """Random stream of this picture's dense noise."""
        return noise(self.call.params[self.item]["noise"], self.call.name, int(self.stream.capture_times[self.item]))

    @property
    def meta(self) -> SampleMeta:
        """The sample's unit that the picture belongs to."""
        return self.call.sample.metas[int(self.stream.sample_index[self.item])]

    @property
    def camera(self) -> CameraSensor:
        """The camera that took it, with its canvas."""
        return self.meta.true_rig.camera(self.stream.instance(self.call.name))


@dataclass(frozen=True, kw_only=True)
class PhotometricTransform(Transform, Photometric, abstract=True):
    """A change of pixel values. One draw is shared by the log, the rig's cameras, or by none (``sensor``).

    Attributes:
        cameras: names or shell patterns of the cameras; None for all that look into the world, which gels do not.
    """

    cameras: tuple[str, ...] | None = ("*",)

    scopes = ("scene", "sample", "sensor", "timestep")
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "clipped and rounded levels are lost",
        "differentiable": "it has no geometric parameter",
        "commutes": "rounding of uint8 levels does not commute with resampling",
    }

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """The changed picture (H, W, 3), uint8 or float32."""
        raise NotImplementedError


@handles(Photometric, Camera)
def change_pictures(stream: Camera, call: Call) -> Camera:
    """Carry out pending maps, then change every picture."""
    change, meant = call.transform.change, [applies_to(stream, call, p) for p in call.params]
    if not any(meant):
        return stream
    sent = stream.present.tolist()  # a silent camera stays silent
    pictures = list(stream.pictures)
    for i, params in enumerate(call.params):
        if sent[i] and meant[i]:

            def work(picture: Tensor, params: Mapping[str, Any] = params, item: int = i) -> Tensor:
                return change(picture, params, PictureContext(call, stream, item))

            pictures[i] = changed_levels(stream, i, call.transform.__name__, work, asks_gradient(params))
    return replace(stream, items=tuple(pictures), pending=())


def applies_to(stream: Stream, call: Call, params: Mapping[str, Any]) -> bool:
    """Whether a draw is for a stream's camera."""
    return matches_camera(stream, call.name, params.get("cameras", ("*",)))


def matches_camera(stream: Stream, name: str, cameras: Sequence[str] | None) -> bool:
    """Whether a stream's camera is among some patterns; None stands for all but gels."""
    if cameras is None:
        return not isinstance(stream, TactileImage)
    return is_meant(stream, name, cameras)


def gels_to_refuse(transform: Transform, sample: Sample) -> list[str]:
    """Gels of a sample that a transform of levels is meant for, and will refuse."""
    if not isinstance(transform, PhotometricTransform) or resolve(type(transform), TactileImage) is not refuse_gel:
        return []
    return [n for n, s in sample.of_type(TactileImage).items() if matches_camera(s, n, transform.cameras)]


def gel_refusal_message(transform: str, name: str) -> str:
    """Why a transform of levels refuses a gel, and what to do."""
    return (
        f"{transform}: {name!r} is a tactile picture, whose colours tell the slopes of the gel, so a change of levels "
        f"would tell of another press; name the cameras that are meant (cameras, null for all but gels), and use "
        f"GelLights, GelBackground or TactileNoise for the gel"
    )


@handles(Photometric, TactileImage)
def refuse_gel(stream: TactileImage, call: Call) -> TactileImage:
    """Stop: colours of a gel are slopes.

    Raises:
        UnhandledStream: the transform is meant for it.
    """
    if any(applies_to(stream, call, p) for p in call.params):
        raise UnhandledStream(gel_refusal_message(call.transform.__name__, call.name))
    return stream


@dataclass(frozen=True, kw_only=True)
class Brightness(PhotometricTransform):
    """Multiply levels by ``factor``."""

    factor: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (0.0, 100.0)}
    example: ClassVar[dict[str, Any]] = {"factor": [0.6, 0.9]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """See ``PhotometricTransform``."""
        return color.curve(picture, lambda x: x * params["factor"])


@dataclass(frozen=True, kw_only=True)
class Contrast(PhotometricTransform):
    """Stretch levels about the picture's mean by ``factor``."""

    factor: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (0.0, 100.0)}
    example: ClassVar[dict[str, Any]] = {"factor": [0.6, 1.4]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """See ``PhotometricTransform``."""
        middle = reduce.mean(picture) / (255 if picture.dtype == torch.uint8 else 1)
        return color.curve(picture, lambda x: (x - middle) * params["factor"] + middle)


@dataclass(frozen=True, kw_only=True)
class Gamma(PhotometricTransform):
    """Raise levels to the power ``gamma``: above 1 darkens the middle, below 1 brightens it."""

    gamma: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gamma": (0.01, 100.0)}
    example: ClassVar[dict[str, Any]] = {"gamma": [0.7, 1.4]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """See ``PhotometricTransform``."""
        return color.curve(picture, lambda x: x ** params["gamma"])


@dataclass(frozen=True, kw_only=True)
class Saturation(PhotometricTransform):
    """Interpolate between the grey picture (``factor`` 0) and the picture (1), or beyond."""

    factor: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (0.0, 10.0)}
    example: ClassVar[dict[str, Any]] = {"factor": [0.2, 1.8]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """See ``PhotometricTransform``."""
        return color.mix_channels(picture, color.saturation_matrix(params["factor"]))


@dataclass(frozen=True, kw_only=True)
class Hue(PhotometricTransform):
    """Turn colours about the grey axis of the RGB cube by ``angle_deg``."""

    angle_deg: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"angle_deg": (-180.0, 180.0)}
    example: ClassVar[dict[str, Any]] = {"angle_deg": [-30, 30]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """See ``PhotometricTransform``."""
        return color.mix_channels(picture, color.hue_matrix(math.radians(params["angle_deg"])))


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(PhotometricTransform):
    """Add white noise of standard deviation ``sigma``, a share of full scale (0.02 is 5 of 255 levels)."""

    sigma: Range

    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "noise hides where exactly a spot's middle is"
    }
    example: ClassVar[dict[str, Any]] = {"sigma": [0.01, 0.05]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """See ``PhotometricTransform``."""
        return color.add_noise(picture, params["sigma"], context.noise())
