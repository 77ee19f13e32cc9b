"""A batch on a device and back: its values in one copy, laid together by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.one_copy import one_copy
from fusion_aug.streams import Depth, ImageStream, Points, Ragged, Stream
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID, Block, ColumnsOnDevice, PictureOnDevice
from fusion_aug.streams.ragged import places_of_rows

Streams = Mapping[str, Stream]
CPU = torch.device("cpu")


def brought(streams: Streams, asked: str | torch.device) -> dict[str, Stream]:
    """The streams of a batch with their values on a device, or in the memory of the host.

    What lies there already stays as it is; from another device it goes there directly, with its marks of dropped rows.

    Args:
        streams: by name. asked: the device.

    Raises:
        ConfigError: torch has no such device here. DataError: values would come back from ``meta``, which holds none.
    """
    device = _usable(asked)
    there = {n: s for n, s in streams.items() if lies_on_device(s)}
    if device.type == "cpu":
        return {**streams, **{n: from_device(s) for n, s in there.items()}}
    moved: dict[Block, Block] = {}
    across = {n: _across(s, device, moved) for n, s in there.items()}
    return {**streams, **to_device({n: s for n, s in streams.items() if n not in there}, device), **across}


def _usable(asked: Any) -> torch.device:
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError) as error:  # which of them depends on the device
        why = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        raise ConfigError(f"batch.to: torch has no device {asked!r} here ({why}); 'cpu' is always there") from None
    return device


def _across(stream: Stream, device: torch.device, moved: dict[Block, Block]) -> Stream:
    """A stream that lies on a device on another one; ``moved`` has the blocks that are there already."""

    def at(block: Block) -> Block:
        if block.device.type == device.type and device.index in (None, block.device.index):
            return block
        if block not in moved:
            values = block.values
            data = {n: v.to(device) for n, v in values.items()} if isinstance(values, dict) else values.to(device)
            moved[block] = replace(block, device=device, data=data)
        return moved[block]

    if isinstance(stream, ImageStream):
        items: Any = [replace(p, block=at(p.block)) if isinstance(p, PictureOnDevice) else p for p in stream.items]
        return replace_unchecked(stream, items=tuple(items))
    held = stream.values
    assert isinstance(held, ColumnsOnDevice)
    block = at(held.block)
    return stream if block is held.block else replace_unchecked(stream, values=held.with_block(block))


def to_device(streams: Streams, device: torch.device) -> dict[str, Stream]:
    """The streams of a batch with their values on a device, in one copy.

    Pictures of one kind, size and type lie in one tensor, rows of one kind of stream with the same columns are packed
    one after another. Times, offsets, indices and text stay on the host. Files are decoded, pending maps applied.

    Args:
        streams: of a batch on the CPU, by name. device: where to.

    Raises:
        DataError: points are numbered by scanners that their stream does not name, which nothing on a device tells.
    """
    loaded = {n: s.loaded() if isinstance(s, Ragged) else s for n, s in ((n, s.realized()) for n, s in streams.items())}
    for name, stream in loaded.items():
        _check_origins(name, stream)
    pictures, rows = _pictures_alike(loaded), _rows_alike(loaded)
    columns = [_columns(group) for group in rows]
    stacked = [torch.stack([loaded[name].pictures[i] for name, i in places]) for places in pictures]  # type: ignore[attr-defined]
    there = iter(one_copy([*stacked, *(c for _, own in columns for c in own.values())], device))
    out = dict(loaded)
    items: dict[str, dict[int, PictureOnDevice]] = {}
    for places, tensor in zip(pictures, stacked, strict=True):
        block = Block(device, next(there), len(places), shape=tuple(tensor.shape[1:]), dtype=tensor.dtype)
        for k, (name, i) in enumerate(places):
            measured = float(not isinstance(loaded[name], Depth) or bool((tensor[k] > 0).all()))
            items.setdefault(name, {})[i] = PictureOnDevice(block, k, measured)
    for name, own in items.items():
        out[name] = replace_unchecked(loaded[name], items=tuple(own[i] for i in range(len(own))))
    for group, (block, own_columns) in zip(rows, columns, strict=True):
        block.device, block.data = device, {name: next(there) for name in own_columns}
        out |= _placed(group, block)
    return out


def _check_origins(name: str, stream: Stream) -> None:
    if not isinstance(stream, Points) or not stream.origins or not len(stream.values.get("origin", ())):
        return
    least, most, count = int(stream["origin"].min()), int(stream["origin"].max()), len(stream.origins)
    if least < 0 or most >= count:
        raise DataError(
            f"stream {name!r}: its column 'origin' has the number {least if least < 0 else most}, but its {count} "
            f"scanners have the numbers 0 to {count - 1}; correct the column, or name all scanners in origins"
        )


def _pictures_alike(streams: Streams) -> list[list[tuple[str, int]]]:
    """Places (stream, item) of pictures of one class, size and type, group by group."""
    groups: dict[Any, list[tuple[str, int]]] = {}
    for name, stream in streams.items():
        for i, picture in enumerate(stream.pictures if isinstance(stream, ImageStream) else ()):
            groups.setdefault((type(stream), picture.shape, picture.dtype), []).append((name, i))
    return list(groups.values())


def _rows_alike(streams: Streams) -> list[dict[str, Stream]]:
    """Streams of rows of one class with the same columns, by name, group by group; those of text alone are in none."""
    groups: dict[Any, dict[str, Stream]] = {}
    for name, stream in streams.items():
        columns = {n: v for n, v in stream.values.items() if isinstance(v, Tensor)}
        if columns and not isinstance(stream, ImageStream):
            key = (type(stream), *((n, v.shape[1:], v.dtype) for n, v in columns.items()))
            groups.setdefault(key, {})[name] = stream
    return list(groups.values())


def _columns(group: Streams) -> tuple[Block, dict[str, Tensor]]:
    """The block of some streams of rows, and its columns on the CPU, with the item and the number of every row."""
    first = next(iter(group.values()))
    names = tuple(n for n, v in first.values.items() if isinstance(v, Tensor))
    columns = {n: torch.cat([s.values[n] for s in group.values()]) for n in names}
    counts = torch.cat([_counts(s) for s in group.values()])
    offsets = np.concatenate([[0], np.cumsum(counts.numpy())]).astype(np.int64)
    columns[ROW_ITEM] = torch.repeat_interleave(torch.arange(len(counts)), counts).to(torch.int32)
    columns[ROW_NUMBER] = torch.cat([_numbers(s) for s in group.values()])
    looked_at = () if isinstance(first, Ragged) else names
    finite = frozenset(n for n in looked_at if bool(torch.isfinite(columns[n]).all()))
    return Block(columns[ROW_ITEM].device, None, len(counts), offsets, names, finite=finite), columns


def _counts(stream: Stream) -> Tensor:
    return stream.counts if isinstance(stream, Ragged) else torch.ones(len(stream), dtype=torch.int64)


def _numbers(stream: Stream) -> Tensor:
    """(rows,) int64, number of every row in its item of the source: see ``Ragged.row_keys``."""
    return stream.row_keys if isinstance(stream, Ragged) else torch.zeros(len(stream), dtype=torch.int64)


def _placed(group: Streams, block: Block) -> dict[str, Stream]:
    """The streams with their items in a block, one after another."""
    out: dict[str, Stream] = {}
    at = 0
    for name, stream in group.items():
        own = range(at, at + len(stream))
        at += len(stream)
        texts = {n: v for n, v in stream.values.items() if not isinstance(v, Tensor)}
        changes = {"offsets": None, "source_rows": None} if isinstance(stream, Ragged) else {}
        out[name] = replace_unchecked(stream, values=ColumnsOnDevice(block, own, texts), **changes)
    return out


def lies_on_device(stream: Stream) -> bool:
    """Whether the values of a stream lie in a block on a device."""
    return isinstance(stream.values, ColumnsOnDevice) or any(
        isinstance(i, PictureOnDevice) for i in getattr(stream, "items", ())
    )


def on_host(streams: Streams, who: str) -> dict[str, Stream]:
    """The streams.

    Raises:
        DataError: the values of one of them lie on a device, which ``who`` cannot work with.
    """
    there = [name for name, stream in streams.items() if lies_on_device(stream)]
    if there:
        raise DataError(
            f"{who}: the values of {there[0]!r} lie on a device; bring them back first with batch.to('cpu')"
        )
    return dict(streams)


def from_device(stream: Stream) -> Stream:
    """A stream with its values in the memory of the host; rows that were dropped on the device are gone.

    Raises:
        DataError: it lies on ``meta``, where nothing has values.
    """
    if _device_of(stream).type == "meta":
        raise DataError("batch.to: the device 'meta' holds no values that could be brought back")
    if isinstance(stream, ImageStream):
        return replace(stream, items=tuple(p.cpu() for p in stream.pictures), pending=(None,) * len(stream))
    held = stream.values
    assert isinstance(held, ColumnsOnDevice)
    values = {n: v.cpu() if isinstance(v, Tensor) else v for n, v in held.items()}
    valid = values.pop(VALID, None)
    if not isinstance(stream, Ragged):
        return replace(stream, values=values)
    numbers = held.rows_of(ROW_NUMBER).cpu()
    bounds = held.offsets
    kept = replace(stream, values=values, offsets=bounds, source_rows=None if _in_place(numbers, bounds) else numbers)
    return kept if valid is None or bool(valid.all()) else kept.select(valid)


def _device_of(stream: Stream) -> torch.device:
    """The device of a stream that lies on one."""
    if isinstance(stream.values, ColumnsOnDevice):
        return stream.values.block.device
    return next((i.value.device for i in getattr(stream, "items", ()) if isinstance(i, PictureOnDevice)), CPU)


def _in_place(numbers: Tensor, offsets: Tensor) -> bool:
    return torch.equal(numbers, places_of_rows(offsets))
