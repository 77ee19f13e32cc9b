"""What is pending on streams of a batch on a device, and the two forms of its pictures, as stages of the plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.program import Program
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.map_extent import shown_share
from fusion_aug.ops.similarity import Motion
from fusion_aug.ops.warp_many import (
    close_levels,
    numbers_of_map,
    numbers_of_pick,
    open_levels,
    pick_pixels,
    warp_levels,
)
from fusion_aug.streams import Depth, ImageStream, Points, Stream
from fusion_aug.streams.columns import RULES
from fusion_aug.streams.following import following_columns
from fusion_aug.streams.moved_rows import MovedColumn, kind_of, motion_numbers, move_rows, no_motion
from fusion_aug.streams.on_device import Block, ColumnsOnDevice, PictureOnDevice

Pictures = Sequence[PictureOnDevice]
S = TypeVar("S", bound=Stream)


def settled(stream: S, program: Program) -> S:
    """The stream with its pending maps in the plan, after what is planned for it already."""
    if isinstance(stream, ImageStream):
        return _mapped(stream, program)
    if isinstance(stream, Points) and stream.pending is not None:
        return _moved(stream, program)
    return stream


def opened(pictures: Pictures, program: Program) -> list[PictureOnDevice]:
    """Pictures as levels, (N, C, H, W) float32, which kernels of levels take."""
    if all(p.block.levels for p in pictures):
        return list(pictures)
    return program.pictures(open_levels, [(p, {}) for p in pictures], {"levels": True})


def finished(stream: S, program: Program) -> S:
    """The stream with nothing pending and its pictures as they are stored."""
    stream = settled(stream, program)
    if not isinstance(stream, ImageStream) or not any(p.block.levels for p in stream.items):
        return stream
    closed = []
    for picture in stream.items:
        kind = {"dtype": picture.block.dtype, "flat": len(picture.block.shape) == 2}
        closed += program.pictures(close_levels, [(picture, {})], {"levels": False}, **kind)
    return replace_unchecked(stream, items=tuple(closed))


def ones_there(pictures: Pictures, program: Program) -> tuple[PictureOnDevice, ...]:
    """Masks (H, W) uint8 of ones beside pictures."""
    kind = {"dtype": torch.uint8, "levels": False}
    sizes = ((p, p.block.shape[:2]) for p in pictures)
    return tuple(program.pictures(_ones, [(p, {})], {"shape": s, **kind}, size=s)[0] for p, s in sizes)


def _ones(pictures: Tensor, numbers: Mapping[str, Any], size: tuple[int, int]) -> Tensor:
    return torch.ones((len(pictures), *size), dtype=torch.uint8, device=pictures.device)


def white_of(stream: ImageStream, picture: PictureOnDevice) -> float | None:
    """The level of white in the pictures of a block; None where they have no range."""
    assert picture.block.dtype is not None
    return None if stream.full_scale is None else stream.full_scale[picture.block.dtype]


def is_whole(picture: PictureOnDevice) -> bool:
    """Whether the pictures of a block are stored as whole numbers."""
    assert picture.block.dtype is not None
    return not picture.block.dtype.is_floating_point


def _mapped(stream: Any, program: Program) -> Any:
    if all(m is None for m in stream.pending):
        return stream
    alike: dict[tuple[tuple[int, int], Block], list[int]] = {}
    maps = [_whole(m, p, stream.frame) for m, p in zip(stream.pending, stream.items, strict=True)]
    for i, (m, p) in enumerate(zip(maps, stream.items, strict=True)):
        alike.setdefault((m.size, p.block), []).append(i)
    items = list(stream.items)
    linear = stream.interpolation == "linear"
    for (size, block), mine in alike.items():
        pictures = [items[i] for i in mine]
        shape = (*size, *block.shape[2:])
        numbers_of = partial(numbers_of_map, low_pass=stream.antialias) if linear else numbers_of_pick
        asked = [(p, numbers_of(maps[i], block.shape)) for i, p in zip(mine, pictures, strict=True)]
        fixed: dict[str, Any] = {}
        if linear:
            fixed = {"white": white_of(stream, pictures[0]), "whole": is_whole(pictures[0]), "stored": not block.levels}
        kernel, becomes = warp_levels if linear else pick_pixels, {"shape": shape, "levels": linear}
        out = program.pictures(kernel, asked, becomes, size=size, fill=stream.blank, **fixed)
        for i, p in zip(mine, out, strict=True):
            if isinstance(stream, Depth):
                p = replace_unchecked(p, measured=p.measured * shown_share(maps[i], items[i].block.shape))
            items[i] = p
    return replace_unchecked(stream, items=tuple(items), pending=(None,) * len(items))


def _whole(image_map: ImageMap | None, picture: PictureOnDevice, frame: str) -> ImageMap:
    """The map of a picture of a camera's frame; of one without, that which keeps it."""
    if image_map is None:
        return ImageMap.homography(torch.eye(3, dtype=torch.float64), picture.block.shape[:2])  # type: ignore[arg-type]
    if image_map.matrix() is None or image_map.has_gradient():
        raise DataError(
            f"pictures of {frame!r} have a pending map that is no homography, or has a gradient, which is not followed "
            f"on a device; map them before batch.to(...)"
        )
    return image_map


def _moved(stream: Any, program: Program) -> Any:
    table, held = stream.column_types, stream.values
    assert isinstance(held, ColumnsOnDevice)
    if following_columns(table, dict.fromkeys(held)):
        raise DataError(
            f"the cloud of {stream.frame!r} has columns that follow from its coordinates, which are not worked out on "
            f"a device; move it before batch.to(...)"
        )
    moved = tuple(
        MovedColumn(n, table[n].kind, "frame", "frame", table[n].scaled)
        for n in held if n in table and table[n].kind in RULES
    )  # fmt: skip
    motion = Motion.of(stream.pending)
    numbers = motion_numbers("frame", motion, len(stream))
    kinds = (("frame", kind_of(motion)),)
    values = program.columns(move_rows, held, numbers, no_motion(["frame"]), moved=moved, kinds=kinds)
    return replace_unchecked(stream, values=values, pending=None)
