"""Brightness, colour and noise of camera pictures. Other streams are left alone.

Further photometric transforms: ``exposure`` (light and sensor), ``blur`` (lens and motion), ``histogram``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from fusion_aug.core.gradients import asks_gradient
from fusion_aug.core.levels import with_changed_levels
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles, resolve
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import UnhandledStream
from fusion_aug.ops import color, reduce
from fusion_aug.ops.hashed import ItemNoise, RowKey
from fusion_aug.sample import Sample, SampleMeta
from fusion_aug.sample.sensors import is_selected
from fusion_aug.streams import Camera, ImageStream, Stream, TactileImage
from fusion_aug.streams.families import Photometric


class PictureContext(NamedTuple):
    """The circumstances of one picture, for a change of its pixels.

    Attributes:
        call: the application of the transform to the stream. stream: of the picture. item: its index in the stream.
    """

    call: Call
    stream: ImageStream
    item: int

    @property
    def noise_key(self) -> RowKey:
        """Key of this picture's dense noise, whose rows are its values."""
        return self._item_noise.rows()

    def noise(self) -> np.random.Generator:
        """Random stream of this picture, for numbers that belong to no pixel."""
        return self._item_noise.rng

    @property
    def _item_noise(self) -> ItemNoise:
        time = int(self.stream.capture_times[self.item])
        return ItemNoise(self.call.params[self.item]["noise"], self.call.name, time)

    @property
    def meta(self) -> SampleMeta:
        """The metadata of the sample that the picture belongs to."""
        return self.call.sample.metas[int(self.stream.sample_index[self.item])]

    @property
    def camera(self) -> CameraSensor:
        """The camera that took it, with its canvas."""
        return self.meta.true_rig.camera(self.stream.instance(self.call.name))


@dataclass(frozen=True, kw_only=True)
class PhotometricTransform(Transform, Photometric, abstract=True):
    """A change of pixel values. One draw is shared by a scene, by the cameras of a sample, or by none (``sensor``).

    Pictures whose stream declares another full scale than 255 for uint8 or 1 for floats are refused, uint16 too
    (``core/levels.py``).

    Attributes:
        cameras: names or shell patterns of the cameras; None for all but tactile ones, whose levels are slopes.
    """

    cameras: tuple[str, ...] | None = ("*",)

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor", "timestep")
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "clipped and rounded levels are lost",
        "differentiable": "it has no geometric parameter",
        "commutes": "rounding of uint8 levels does not commute with resampling",
    }

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Return the changed picture.

        Args:
            picture: (H, W, 3), uint8 levels 0..255 or float32 in [0, 1], on any device, with all pending maps applied.
            params: the drawn parameters of this item.
            context: the item, its camera and its noise stream.

        Returns:
            a picture of the same shape, dtype and device; ``picture`` is not written to, and may be returned itself.
        """
        raise NotImplementedError


@handles(Photometric, Camera, by_item=True)
def change_pictures(stream: Camera, call: Call) -> Camera:
    """Apply pending maps, then change every picture that is present."""
    change, selected = call.transform.change, [(i, p) for i, p in call.asked if applies_to(stream, call, p)]
    if not selected:
        return stream
    present = stream.present.tolist()  # a dropped picture stays black
    changes = {
        i: partial(_changed, change, params, PictureContext(call, stream, i)) for i, params in selected if present[i]
    }
    asked = {i for i in changes if asks_gradient(call.params[i])}
    return with_changed_levels(stream, call, changes, asked)  # type: ignore[return-value]


def _changed(
    change: Callable[..., Tensor], params: Mapping[str, Any], context: PictureContext, picture: Tensor
) -> Tensor:
    return change(picture, params, context)


def applies_to(stream: Stream, call: Call, params: Mapping[str, Any]) -> bool:
    """Whether a draw applies to a stream's camera."""
    return matches_camera(stream, call.name, params.get("cameras", ("*",)))


def matches_camera(stream: Stream, name: str, cameras: Sequence[str] | None) -> bool:
    """Whether a stream's camera matches one of the patterns; None matches all but tactile pictures."""
    if cameras is None:
        return not isinstance(stream, TactileImage)
    return is_selected(stream, name, cameras)


def gels_to_refuse(transform: Transform, sample: Sample) -> list[str]:
    """Names of the tactile streams of a sample that a transform of levels applies to, and will refuse."""
    if not isinstance(transform, PhotometricTransform) or resolve(type(transform), TactileImage) is not refuse_gel:
        return []
    return [n for n, s in sample.of_type(TactileImage).items() if matches_camera(s, n, transform.cameras)]


def gel_refusal_message(transform: str, name: str) -> str:
    """Why a transform of levels refuses a tactile stream, and the remedy."""
    return (
        f"{transform}.cameras: {name!r} is a tactile picture, whose colours are the slopes of its gel, so a change of "
        f"levels would show another contact; list the cameras in cameras (null for all but gels), and use GelLights, "
        f"GelBackground or TactileNoise for the gel"
    )


@handles(Photometric, TactileImage, by_item=True)
def refuse_gel(stream: TactileImage, call: Call) -> TactileImage:
    """Refuse a change of levels of tactile pictures, whose colours are slopes of the gel.

    Raises:
        UnhandledStream: the transform applies to the stream.
    """
    if any(applies_to(stream, call, p) for _, p in call.asked):
        raise UnhandledStream(gel_refusal_message(call.transform.__name__, call.name))
    return stream


@dataclass(frozen=True, kw_only=True)
class Brightness(PhotometricTransform):
    """Multiply levels by ``factor``."""

    factor: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (0.0, 100.0)}
    strengths: ClassVar[Strengths] = {"factor": Strength(1.0, (0.48, 2.1), "log", "probe")}
    example: ClassVar[dict[str, Any]] = {"factor": [0.6, 0.9]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """Levels times ``factor``, clipped to full scale."""
        return color.stretched(picture, params["factor"])


@dataclass(frozen=True, kw_only=True)
class Contrast(PhotometricTransform):
    """Stretch levels about the picture's mean by ``factor``."""

    factor: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (0.0, 100.0)}
    strengths: ClassVar[Strengths] = {"factor": Strength(1.0, (0.35, 2.8), "log", "probe")}
    example: ClassVar[dict[str, Any]] = {"factor": [0.6, 1.4]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """(x - mean) * ``factor`` + mean, with the mean of all pixels and channels, clipped."""
        middle = reduce.differentiable_mean(picture) / (255 if picture.dtype == torch.uint8 else 1)
        return color.stretched(picture, params["factor"], middle)


@dataclass(frozen=True, kw_only=True)
class Gamma(PhotometricTransform):
    """Raise levels to the power ``gamma``: above 1 darkens the middle, below 1 brightens it."""

    gamma: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"gamma": (0.01, 100.0)}
    strengths: ClassVar[Strengths] = {"gamma": Strength(1.0, (0.45, 2.2), "log", "probe")}
    example: ClassVar[dict[str, Any]] = {"gamma": [0.7, 1.4]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """x ** ``gamma`` of levels as shares of full scale."""
        return color.curve(picture, lambda x: x ** params["gamma"])


@dataclass(frozen=True, kw_only=True)
class Saturation(PhotometricTransform):
    """Interpolate between the grey picture (``factor`` 0) and the picture (1), or beyond."""

    factor: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"factor": (0.0, 10.0)}
    strengths: ClassVar[Strengths] = {
        "factor": Strength(
            1.0, (0.0, 2.0), "linear", "declared: grey, and as far to the other side; the probe's loss is not reached"
        )
    }
    example: ClassVar[dict[str, Any]] = {"factor": [0.2, 1.8]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """RGB times the matrix that interpolates between luma (ITU-R BT.601) and identity by ``factor``, clipped."""
        return color.mix_channels(picture, color.saturation_matrix(params["factor"]))


@dataclass(frozen=True, kw_only=True)
class Hue(PhotometricTransform):
    """Rotate colours about the grey axis of the RGB cube by ``angle_deg``."""

    angle_deg: Range

    limits: ClassVar[dict[str, tuple[float, float]]] = {"angle_deg": (-180.0, 180.0)}
    strengths: ClassVar[Strengths] = {
        "angle_deg": Strength(
            0.0, (-180.0, 180.0), "linear", "declared: its end, half a turn; 0.21 of the probe's loss", "degrees"
        )
    }
    example: ClassVar[dict[str, Any]] = {"angle_deg": [-30, 30]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """RGB rotated about the grey diagonal by ``angle_deg`` degrees, clipped."""
        return color.mix_channels(picture, color.hue_matrix(math.radians(params["angle_deg"])))


@dataclass(frozen=True, kw_only=True)
class GaussianNoise(PhotometricTransform):
    """Add white noise of standard deviation ``sigma``, a share of full scale (0.02 is 5 of 255 levels)."""

    sigma: Range

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = PhotometricTransform.exemptions | {
        "content_identity": "noise hides where exactly a spot's middle is"
    }
    strengths: ClassVar[Strengths] = {
        "sigma": Strength(0.0, 0.2, "linear", "suite/camera_noise", "share of full scale"),
    }
    example: ClassVar[dict[str, Any]] = {"sigma": [0.01, 0.05]}

    @classmethod
    def change(cls, picture: Tensor, params: Mapping[str, Any], context: PictureContext) -> Tensor:
        """White Gaussian noise of standard deviation ``sigma`` (share of full scale) added to every value, clipped."""
        return color.add_noise(picture, params["sigma"], context.noise_key)
