"""Images: camera, depth, segmentation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.changed import changed
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.warp import warp
from fusion_aug.streams.base import Stream
from fusion_aug.streams.families import Weather
from fusion_aug.streams.source import Source


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageStream(Stream):
    """Pictures of one camera.

    Attributes:
        items: one picture per item, (H, W, ...) tensor or a Source that is decoded on first use.
        pending: per item the image map that is still to be carried out, or None.
        camera: name of the rig's camera; empty for the stream's own name.
        antialias: whether colour pictures are low-passed where they shrink.
    """

    items: tuple[Any, ...] = ()
    pending: tuple[ImageMap | None, ...] = ()
    camera: str = ""
    antialias: bool = True

    interpolation: ClassVar[str] = "linear"
    fill: ClassVar[float] = 0
    item_fields: ClassVar[tuple[str, ...]] = (*Stream.item_fields, "items", "pending")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.items) != len(self):
            raise DataError(f"{type(self).__name__}.items: {len(self.items)} pictures for {len(self)} stamps")
        if not self.pending:
            object.__setattr__(self, "pending", (None,) * len(self))

    def instance(self, name: str) -> str:
        """Draws are shared with the camera."""
        return self.camera or name

    @property
    def sources(self) -> tuple[Source | None, ...]:
        """Per item the file behind an untouched picture, else None."""
        pairs = zip(self.items, self.pending, strict=True)
        return tuple(i if isinstance(i, Source) and p is None else None for i, p in pairs)

    def image(self, item: int) -> Tensor:
        """One picture, (H, W, ...)."""
        picture = self.items[item]
        picture = picture.value if isinstance(picture, Source) else picture
        pending = self.pending[item]
        if pending is None:
            return picture
        return warp(picture, pending, self.interpolation, self.fill, self.antialias)

    @cached_property
    def pictures(self) -> tuple[Tensor, ...]:
        """Every picture, decoded and mapped."""
        return tuple(self.image(i) for i in range(len(self)))

    @property
    def images(self) -> Tensor:
        """(n, H, W, ...) all pictures; they must have one size."""
        sizes = {tuple(p.shape[:2]) for p in self.pictures}
        if len(sizes) > 1:
            raise DataError(
                f"pictures of different sizes {sorted(sizes)} cannot be stacked: use ResizeCrop, or `image`"
            )
        return torch.stack(self.pictures)

    def realized(self) -> Self:
        """The stream with every picture decoded and mapped."""
        return replace(self, items=self.pictures, pending=(None,) * len(self))

    def to(self, device: str | torch.device) -> Self:
        """The stream with its pictures on another device."""
        stream = self.realized()
        return replace(stream, items=tuple(p.to(device) for p in stream.items))

    def mapped(self, maps: list[ImageMap], canvas: list[tuple[int, int]]) -> Self:
        """The stream with one further image map per item pending.

        Args:
            maps: one per item.
            canvas: (height, width) of every item's canvas before. A map that keeps it and moves nothing is left out.
        """
        chained = []
        for before, new, size in zip(self.pending, maps, canvas, strict=True):
            nothing = new.size == size and new.is_identity()
            chained.append(before if nothing else new if before is None else before.then(new))
        return changed(self, pending=tuple(chained))


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera(ImageStream):
    """RGB pictures (H, W, 3), uint8 or float32 in [0, 1]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Depth(ImageStream):
    """Depth pictures (H, W) float32, metres, 0 where unknown, infinity where there is nothing but sky.

    Attributes:
        measure: "z" along the optical axis, or "range" along the ray.
    """

    measure: str = "z"

    interpolation: ClassVar[str] = "nearest"
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationMask(ImageStream):
    """Class or instance ids (H, W), integers that can hold 255, which stands where there is no source pixel."""

    interpolation: ClassVar[str] = "nearest"
    fill: ClassVar[float] = 255
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)

    def __post_init__(self) -> None:
        super().__post_init__()
        for item in self.items:
            if isinstance(item, Tensor) and (item.dtype == torch.int8 or item.is_floating_point()):
                raise DataError(f"SegmentationMask.items: {item.dtype} cannot hold ids up to 255; use uint8 or int64")


@dataclass(frozen=True, kw_only=True, eq=False)
class ValidityMask(SegmentationMask):
    """Where a picture shows something that was measured: 1, else 0."""

    fill: ClassVar[float] = 0
