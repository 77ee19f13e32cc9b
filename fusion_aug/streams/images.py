"""Images: camera, its opacity, and depth. Masks are in ``masks``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.modes import standard_modes
from fusion_aug.ops.reduced import reduction, warp_reduced
from fusion_aug.ops.warp import warp
from fusion_aug.streams.base import Stream
from fusion_aug.streams.deferred import Deferred
from fusion_aug.streams.families import Weather
from fusion_aug.streams.on_device import PictureOnDevice
from fusion_aug.streams.picture_checks import check_dtype, check_range, check_shape, check_size
from fusion_aug.streams.source import Source


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageStream(Stream):
    """Pictures of one camera.

    Every class says what its pictures are: ``interpolation`` ("linear", low-passed where it shrinks, or "nearest"),
    ``fill``, the value where there is no source pixel, ``pixel_shape`` and ``full_scale``. A picture that is something
    else is refused when the stream is made, or, where it is a file, when it is decoded; the range of float pictures
    is looked at once, when they are first used.

    Attributes:
        items: one picture per item, (H, W, *pixel_shape) tensor, a Source that is decoded on first use, or Deferred,
            which is worked out then.
        pending: per item the image map that is still to be applied, or None.
        camera: name of the rig's camera; empty for the stream's own name.
        antialias: whether colour pictures are low-passed where they shrink.
    """

    items: tuple[Any, ...] = ()
    pending: tuple[ImageMap | None, ...] = ()
    camera: str = ""
    antialias: bool = True

    interpolation: ClassVar[str] = "linear"
    fill: ClassVar[float] = 0
    # what one pixel holds: (3,) three channels, () one number; None where a picture may be either
    pixel_shape: ClassVar[tuple[int, ...] | None] = None
    # the value of white by type of picture, black being 0; other types are refused. None: values without a range, such
    # as metres or degrees Celsius, of any type; nothing holds them anywhere
    full_scale: ClassVar[Mapping[torch.dtype, float] | None] = None
    item_fields: ClassVar[tuple[str, ...]] = (*Stream.item_fields, "items", "pending")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.items) != len(self):
            raise DataError(f"{type(self).__name__}.items: {len(self.items)} pictures for {len(self)} stamps")
        if not self.pending:
            object.__setattr__(self, "pending", (None,) * len(self))
        for i, item in enumerate(self.items):
            if isinstance(item, Tensor):
                self.check_item(item, self.title(i))

    @property
    def blank(self) -> float:
        """The value where there is no source pixel: ``fill``, where a stream has no other."""
        return self.fill

    def check_item(self, picture: Tensor, title: str) -> None:
        """Raise where a picture is not what this stream says; see ``check_kind``.

        Raises:
            DataError: naming the picture by its ``title``.
        """
        self.check_kind(picture, title)

    @classmethod
    def check_kind(cls, picture: Tensor, title: str) -> None:
        """Raise where a picture's type or shape is not that of the class.

        Raises:
            DataError: naming the picture by its ``title``.
        """
        check_shape(title, picture, cls.pixel_shape)
        check_dtype(title, picture, cls.full_scale, cls.interpolation)

    def title(self, item: int) -> str:
        """How messages name a picture."""
        return f"{type(self).__name__} of {self.camera or self.frame!r}, item {item}"

    def white(self, picture: Tensor) -> float | None:
        """The value of white in a picture of this kind; None where values have no range."""
        return None if self.full_scale is None else self.full_scale[picture.dtype]

    def instance(self, name: str) -> str:
        """Draws are shared with the camera."""
        return self.camera or name

    @property
    def sources(self) -> tuple[Source | None, ...]:
        """Per item the file behind an untouched picture, else None."""
        pairs = zip(self.items, self.pending, strict=True)
        return tuple(i if isinstance(i, Source) and p is None else None for i, p in pairs)

    def stored(self, item: int) -> Tensor:
        """One picture as it is stored, decoded, before its pending map.

        Raises:
            DataError: its type, shape or range is not that of the class.
        """
        return self._looked_at(item, self.items[item])[0]

    def _looked_at(self, item: int, held: Any, keep: bool = True) -> tuple[Tensor, int]:
        """A picture of what holds it, checked, and how many times smaller than it is it was decoded."""
        picture, by = held, 1
        if isinstance(held, PictureOnDevice):  # which was looked at before it was brought there
            return held.value, by
        if isinstance(held, Source | Deferred):
            picture = held.value if keep else held.passing()
        if picture is not held:
            self.check_item(picture, self.title(item))
        if isinstance(held, Source):
            by = check_size(held, picture)
        if picture.is_floating_point():
            check_range(self.title(item), picture, self.white(picture))
        return picture, by

    def _decoded(self, item: int, keep: bool) -> tuple[Tensor, int]:
        """One picture before its pending map, and how many times smaller than it is it was decoded.

        A file is decoded only as large as the map needs it, whether or not it was decoded in full before, so that all
        who ask get the same.
        """
        held, pending = self.items[item], self.pending[item]
        if pending is not None:
            held = self._reduced(item, pending) or held
        return self._looked_at(item, held, keep and pending is None)

    def _reduced(self, item: int, image_map: ImageMap) -> Source | None:
        held = self.items[item]
        if not isinstance(held, Source) or self.interpolation != "linear" or not self.antialias:
            return None
        return held.reduced(reduction(image_map))

    def decoded_for(self, item: int, image_map: ImageMap) -> int:
        """How many times smaller than it is the file of a picture is decoded for a map of it: 1, 2 or 4."""
        return 1 if self._reduced(item, image_map) is None else reduction(image_map)

    def image(self, item: int, *, keep: bool = True) -> Tensor:
        """One picture, (H, W, *pixel_shape), decoded and mapped.

        Args:
            item: which. keep: False where another is made of it: what is worked out of a file is then not held.

        Raises:
            DataError: its file cannot be decoded, its type, shape or range is not that of the class, or a gradient is
                asked of it that integers do not carry.
        """
        if self.pending[item] is None and isinstance(self.items[item], Tensor):
            return self._looked_at(item, self.items[item])[0]
        return self._worked_out(item, keep)

    @standard_modes()
    def _worked_out(self, item: int, keep: bool) -> Tensor:
        (picture, by), pending = self._decoded(item, keep), self.pending[item]
        if pending is None:
            return picture
        if self.interpolation == "linear" and pending.has_gradient() and not picture.is_floating_point():
            raise DataError(
                f"{self.title(item)}: a gradient is asked of {picture.dtype} levels, which carry none; give float32 "
                f"pictures, or detach the parameter"
            )
        if by > 1:
            return warp_reduced(picture, pending, by, self.blank)
        return warp(picture, pending, self.interpolation, self.blank, self.antialias, full_scale=self.white(picture))

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

    @standard_modes()
    def realized(self) -> Self:
        """The stream with every picture decoded and mapped; those on a device stay together there."""
        if all(isinstance(i, PictureOnDevice) for i in self.items) and all(m is None for m in self.pending):
            return self
        return replace(self, items=self.pictures, pending=(None,) * len(self))

    def changed(self, changes: Mapping[int, Callable[[Tensor], Tensor]], *, now: bool = False) -> Self:
        """The stream with some pictures changed, their pending maps applied before.

        Pictures in memory are changed at once, those of files when they are used, each time anew: see ``Deferred``.

        Args:
            changes: item -> what makes of its picture (H, W, ...) another.
            now: whether all are changed at once, as a gradient needs it.
        """
        items, pending = list(self.items), list(self.pending)
        for i, change in changes.items():
            later = not now and not isinstance(items[i], Tensor)
            pending[i] = None
            if later:
                items[i] = Deferred(self, i, change)
                continue
            picture = self.image(i)
            items[i] = new = change(picture)
            if new.dtype != picture.dtype or new.shape != picture.shape:
                self.check_item(new, self.title(i))
        return replace_unchecked(self, items=tuple(items), pending=tuple(pending))

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
        return replace_unchecked(self, pending=tuple(chained))


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera(ImageStream):
    """RGB pictures (H, W, 3), uint8 or float32 in [0, 1].

    uint16 pictures are carried, moved and resampled with their levels; transforms that change levels refuse them.
    """

    pixel_shape: ClassVar[tuple[int, ...] | None] = (3,)
    full_scale: ClassVar[Mapping[torch.dtype, float] | None] = {
        torch.uint8: 255, torch.uint16: 65535, torch.float32: 1, torch.float64: 1,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Opacity(ImageStream):
    """The fourth channel of a camera's pictures, (H, W) uint8 or uint16, 0 where they are clear.

    It is moved as they are (``camera`` names them), and light and weather leave it alone.
    """

    pixel_shape: ClassVar[tuple[int, ...] | None] = ()
    full_scale: ClassVar[Mapping[torch.dtype, float] | None] = {torch.uint8: 255, torch.uint16: 65535}
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Depth(ImageStream):
    """Depth pictures (H, W) float32, metres.

    0, NaN and -infinity are no measurement (nothing was seen, or it was too near), +infinity is beyond the range, or
    sky (REP 118). Every transform keeps them apart.

    Attributes:
        measure: "z" along the optical axis, or "range" along the ray.
        unknown: what pixels without a source get: "zero", or "nan" where the log marks them so.
    """

    measure: str = "z"
    unknown: str = "zero"

    interpolation: ClassVar[str] = "nearest"
    pixel_shape: ClassVar[tuple[int, ...] | None] = ()
    invariant_to: ClassVar[tuple[type, ...]] = (Weather,)

    def __post_init__(self) -> None:
        if self.unknown not in ("zero", "nan"):
            raise DataError(f"Depth.unknown: {self.unknown!r} is not one of zero, nan")
        super().__post_init__()

    @property
    def blank(self) -> float:
        """The value of no measurement."""
        return math.nan if self.unknown == "nan" else 0.0
