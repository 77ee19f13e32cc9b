"""Masks: what every pixel of a picture shows, as numbers of classes and objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.warp import paint
from fusion_aug.streams.families import Weather
from fusion_aug.streams.images import ImageStream
from fusion_aug.streams.lazy_columns import UNLABELLED

HOLDS = ("class", "instance", "panoptic")
NOBODY = 0  # instance of a pixel that belongs to no object


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentationMask(ImageStream):
    """Numbers of classes, of objects, or of both, (H, W) integers: uint8, int16, uint16, int32, int64.

    Maps of pixels pick the nearest one; no number is ever made of others.

    Attributes:
        holds: what a number is: "class"; "instance", the object, 0 for none; "panoptic", class times ``per_class`` plus
            the object's number in its class. Panoptic numbers below ``per_class`` are classes without objects, as
            Cityscapes writes them.
        per_class: of panoptic masks, how many objects a class may have: 1000 in Cityscapes and nuScenes.
        ignore: the number of pixels of which nothing is known: they have no source pixel, or nobody labelled them.
            By default the ``fill`` of the class, 255; masks of 16 bits may have 65535, or 0.
        label_names: name of every class, by its number; empty text where there is none, and where names are not known.
    """

    holds: str = "class"
    per_class: int = 1000
    ignore: int = None  # type: ignore[assignment]
    label_names: tuple[str, ...] = ()

    interpolation: ClassVar[str] = "nearest"
    fill: ClassVar[float] = 255
    pixel_shape: ClassVar[tuple[int, ...] | None] = ()
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)

    def __post_init__(self) -> None:
        kind = type(self).__name__
        if self.ignore is None:
            object.__setattr__(self, "ignore", int(self.fill))
        if not isinstance(self.ignore, int):
            raise DataError(f"{kind}.ignore: expected a whole number, got {self.ignore!r}")
        if self.holds not in HOLDS:
            raise DataError(f"{kind}.holds: {self.holds!r} is not one of {', '.join(HOLDS)}")
        if type(self.per_class) is not int or self.per_class < 1:
            raise DataError(f"{kind}.per_class: expected a whole number above 0, got {self.per_class!r}")
        super().__post_init__()

    @property
    def blank(self) -> float:
        """``ignore``."""
        return self.ignore

    @classmethod
    def check_kind(cls, picture: Tensor, title: str) -> None:
        """Raise where a picture does not hold one integer per pixel."""
        if picture.is_floating_point() or picture.dtype in (torch.int8, torch.bool):
            raise DataError(f"{title}: {picture.dtype} cannot hold ids up to 255; use uint8 or int64")
        super().check_kind(picture, title)

    def check_item(self, picture: Tensor, title: str) -> None:
        """Raise where a picture does not hold one integer per pixel, which can be ``ignore``."""
        super().check_item(picture, title)
        limits = torch.iinfo(picture.dtype)
        if not limits.min <= self.ignore <= limits.max:
            raise DataError(f"{title}: {picture.dtype} cannot hold ignore={self.ignore}; give another number for it")

    @property
    def has_classes(self) -> bool:
        """Whether classes are known."""
        return self.holds != "instance"

    def with_ignored(self, item: int, where: Tensor) -> Self:
        """The masks with ``ignore`` in the pixels (H, W) of one of them where ``where`` is True.

        Raises:
            DataError: it is of another size.
        """
        mask = self.image(item)
        if mask.shape != where.shape:
            sizes = (f"{s[1]}x{s[0]}" for s in (mask.shape, where.shape))
            raise DataError(f"{self.title(item)}: is {' and not '.join(sizes)} pixels, as its camera's pictures are")
        items, pending = list(self.items), list(self.pending)
        items[item], pending[item] = mask.clone(), None
        paint(items[item], where.to(mask.device), self.ignore)
        return replace(self, items=tuple(items), pending=tuple(pending))

    def classes(self, item: int) -> Tensor:
        """(H, W) int64 class of every pixel, -1 where nothing is known.

        Raises:
            DataError: the mask holds numbers of objects only.
        """
        if not self.has_classes:
            raise DataError(f"{self.title(item)}: holds numbers of objects, which tell no class")
        return self._split(item)[0]

    def instances(self, item: int) -> Tensor:
        """(H, W) int64 number of the object that every pixel belongs to, 0 where it belongs to none.

        Of a panoptic mask the whole number, of which no two objects have the same. A mask of classes has no objects.
        """
        return self._split(item)[1]

    def _split(self, item: int) -> tuple[Tensor, Tensor]:
        ids = self.image(item).to(torch.int64)
        known, nothing = ids != self.ignore, torch.full_like(ids, NOBODY)
        if self.holds == "class":
            return torch.where(known, ids, UNLABELLED), nothing
        if self.holds == "instance":
            return torch.full_like(ids, UNLABELLED), torch.where(known, ids, NOBODY)
        counted = ids >= self.per_class
        classes = torch.where(counted, ids // self.per_class, ids)
        objects = torch.where(known & counted & (ids % self.per_class > 0), ids, NOBODY)
        return torch.where(known, classes, UNLABELLED), objects


@dataclass(frozen=True, kw_only=True, eq=False)
class ValidityMask(SegmentationMask):
    """Where a picture shows something that was measured: 1, else 0."""

    fill: ClassVar[float] = 0
