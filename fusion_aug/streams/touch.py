"""Touch: single elements, pictures of a gel, and how deep the gel is pressed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import GelModel
from fusion_aug.errors import DataError
from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import Column, scalar
from fusion_aug.streams.families import ImagePlane, Weather
from fusion_aug.streams.images import ImageStream
from fusion_aug.streams.naming import message_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Taxels(Stream):
    """Touch sensor of single elements (taxels), each with its pose in the stream's frame.

    Columns: force (n, T) N that each element presses with, along its z axis, which points out of the pad.

    Attributes:
        poses: (n, T, 4, 4) ``T_frame_taxel``; (T, 4, 4) for all items alike.
    """

    poses: Tensor = None  # type: ignore[assignment]

    item_fields: ClassVar[tuple[str, ...]] = (*Stream.item_fields, "poses")

    columns: ClassVar[tuple[Column, ...]] = (scalar("force"),)
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)
    is_continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.poses is None or self.poses.shape[-2:] != (4, 4):
            raise DataError("Taxels.poses: expected T_frame_taxel (T, 4, 4) of every taxel")
        if self.poses.ndim == 3:
            object.__setattr__(self, "poses", self.poses.expand(len(self), *self.poses.shape))
        force = self.values.get("force")
        if force is not None and tuple(force.shape) != tuple(self.poses.shape[:2]):
            raise DataError(f"Taxels.force: {tuple(force.shape)} does not match {self.poses.shape[1]} taxels")

    def instance(self, name: str) -> str:
        """Draws are shared with the taxels on other links that come in the same message."""
        return message_of(name)


@dataclass(frozen=True, kw_only=True, eq=False)
class TactileImage(ImageStream):
    """Pictures (H, W, 3) uint8 of a gel that is pressed from outside, taken by the camera behind it.

    Coloured lights beside the gel make its slopes visible, so what is right for a camera is wrong here: a mirrored or
    rotated press looks different, and so does a change of hue. Such changes go through the height map instead.

    Attributes:
        mm_per_pixel: (n,) millimetres of gel per pixel; one number for all.
        backgrounds: per item the picture (H, W, 3) uint8 without contact; one for all; empty where unknown.
        gels: per item how the gel deforms and is lit; one for all; empty where unknown.
    """

    mm_per_pixel: Any
    backgrounds: Any = ()
    gels: Any = ()

    pixel_shape: ClassVar[tuple[int, ...] | None] = (3,)
    full_scale: ClassVar[Mapping[torch.dtype, float] | None] = {torch.uint8: 255}
    item_fields: ClassVar[tuple[str, ...]] = (*ImageStream.item_fields, "mm_per_pixel", "backgrounds", "gels")
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)

    def __post_init__(self) -> None:
        super().__post_init__()
        each = torch.as_tensor(self.mm_per_pixel, dtype=torch.float64).reshape(-1)
        object.__setattr__(self, "mm_per_pixel", each.expand(len(self)) if len(each) == 1 else each)
        if isinstance(self.backgrounds, Tensor):
            object.__setattr__(self, "backgrounds", (self.backgrounds,) * len(self))
        if isinstance(self.gels, GelModel):
            object.__setattr__(self, "gels", (self.gels,) * len(self))
        for name in ("mm_per_pixel", "backgrounds", "gels"):
            count = len(getattr(self, name))
            if count != len(self) and (count or name == "mm_per_pixel"):
                raise DataError(f"TactileImage.{name}: {count} for {len(self)} pictures")


@dataclass(frozen=True, kw_only=True, eq=False)
class HeightMap(ImageStream):
    """How deep a gel is pressed in towards its camera, (H, W) float32 metres, pixel by pixel of its pictures.

    ``camera`` names the tactile sensor.
    """

    pixel_shape: ClassVar[tuple[int, ...] | None] = ()
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)
