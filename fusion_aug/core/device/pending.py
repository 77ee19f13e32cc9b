"""What is pending on streams of a batch on a device, and the two forms of its pictures, as stages of the plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.program import Program
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.image_map import ImageMap
from fusion_aug.ops.similarity import Motion
from fusion_aug.ops.warp_many import close_levels, numbers_of_map, open_levels, pick_pixels, warp_levels
from fusion_aug.streams import ImageStream, Points, Stream
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
    closed = program.pictures(
        close_levels, [(p, {}) for p in stream.items], {"levels": False}, dtype=stream.items[0].block.dtype
    )
    return replace_unchecked(stream, items=tuple(closed))


def on_values(handler: Callable[[Any, Call], Any], stream: Any, call: Call) -> Any:
    """What a handler for the host makes of pictures that lie on a device, after what was planned so far has run.

    Args:
        handler: looks at no value on the host. stream: of pictures. call: the application of the transform to it.
    """
    ready = finished(stream, call.program)
    call.program.run()
    plain = replace_unchecked(ready, items=tuple(p.value for p in ready.items))
    sample = call.sample.with_streams({**call.sample.streams, call.name: plain})
    out = handler(plain, Call(call.transform, sample, call.name, call.parameters, call.context, call.family_state))
    return replace_unchecked(out, items=laid_together(out.items))


def laid_together(pictures: Sequence[Tensor]) -> tuple[PictureOnDevice, ...]:
    """Pictures on a device as those of one block for each size."""
    sizes: dict[torch.Size, list[int]] = {}
    for i, picture in enumerate(pictures):
        sizes.setdefault(picture.shape, []).append(i)
    out: list[Any] = [None] * len(pictures)
    for shape, mine in sizes.items():
        data = torch.stack([pictures[i] for i in mine])
        block = Block(data.device, data, len(mine), shape=tuple(shape), dtype=data.dtype)
        for k, i in enumerate(mine):
            out[i] = PictureOnDevice(block, k)
    return tuple(out)


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
    by_size: dict[tuple[int, int], list[int]] = {}
    maps = [_whole(m, p) for m, p in zip(stream.pending, stream.items, strict=True)]
    for i, m in enumerate(maps):
        by_size.setdefault(m.size, []).append(i)
    items = list(stream.items)
    linear = stream.interpolation == "linear"
    for size, mine in by_size.items():
        pictures = [items[i] for i in mine]
        shape = (*size, *pictures[0].block.shape[2:])
        low_pass = linear and stream.antialias
        asked = [
            (p, numbers_of_map(maps[i], p.block.shape, low_pass=low_pass)) for i, p in zip(mine, pictures, strict=True)
        ]
        block = pictures[0].block
        fixed: dict[str, Any] = {}
        if linear:
            fixed = {"white": white_of(stream, pictures[0]), "whole": is_whole(pictures[0]), "stored": not block.levels}
        kernel, becomes = warp_levels if linear else pick_pixels, {"shape": shape, "levels": linear}
        out = program.pictures(kernel, asked, becomes, size=size, fill=stream.blank, **fixed)
        for i, p in zip(mine, out, strict=True):
            items[i] = p
    return replace_unchecked(stream, items=tuple(items), pending=(None,) * len(items))


def _whole(image_map: ImageMap | None, picture: PictureOnDevice) -> ImageMap:
    """The map of a picture; of one without, that which keeps it."""
    if image_map is None:
        return ImageMap.homography(torch.eye(3, dtype=torch.float64), picture.block.shape[:2])  # type: ignore[arg-type]
    if image_map.matrix() is None or image_map.has_gradient():
        raise DataError("pictures on a device follow homographies without a gradient; map these before batch.to(...)")
    return image_map


def _moved(stream: Any, program: Program) -> Any:
    table, held = stream.column_types, stream.values
    assert isinstance(held, ColumnsOnDevice)
    if following_columns(table, dict.fromkeys(held)):
        raise DataError(
            "a cloud on a device has columns that follow from its coordinates; move it before batch.to(...)"
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
