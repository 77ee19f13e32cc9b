"""A batch on a device and back: its values in one copy, laid together by kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.ops.one_copy import one_copy
from fusion_aug.streams import ImageStream, Ragged, Stream
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID, Block, ColumnsOnDevice, PictureOnDevice
from fusion_aug.streams.ragged import places_of_rows

Streams = Mapping[str, Stream]


def to_device(streams: Streams, device: torch.device) -> dict[str, Stream]:
    """The streams of a batch with their values on a device, in one copy.

    Pictures of one kind, size and type lie in one tensor, rows of one kind of stream with the same columns are packed
    one after another. Times, offsets, indices and text stay on the host. Files are decoded, pending maps applied.

    Args:
        streams: of a batch on the CPU, by name. device: where to.
    """
    realized = {n: s.realized() for n, s in streams.items()}
    loaded = {n: s.loaded() if isinstance(s, Ragged) else s for n, s in realized.items()}
    together = [g for g in _groups(loaded).values() if g]
    packed = [_pictures(g) if isinstance(next(iter(g.values())), ImageStream) else _columns(g) for g in together]
    there = iter(one_copy([t for _, tensors in packed for t in tensors.values()], device))
    out = dict(loaded)
    for group, (block, tensors) in zip(together, packed, strict=True):
        block.device = device
        arrived = {name: next(there) for name in tensors}
        block.data = arrived if block.offsets is not None else arrived["pictures"]
        out |= _placed(group, block)
    return out


def _groups(streams: Streams) -> dict[Any, dict[str, Stream]]:
    """Streams whose values lie together: key -> name -> stream; pictures of several sizes go by the first one's."""
    groups: dict[Any, dict[str, Stream]] = {}
    for name, stream in streams.items():
        if isinstance(stream, ImageStream):
            kinds = {(p.shape, p.dtype) for p in stream.pictures}
            key: Any = (type(stream), *kinds) if len(kinds) == 1 else (name,)
        else:
            columns = {n: v for n, v in stream.values.items() if isinstance(v, Tensor)}
            if not columns:
                continue
            key = (type(stream), *((n, v.shape[1:], v.dtype) for n, v in columns.items()))
        groups.setdefault(key, {})[name] = stream
    return groups


def _pictures(group: Mapping[str, Any]) -> tuple[Block, dict[str, Tensor]]:
    """The block of some streams of pictures, and its one tensor (N, H, W, ...) on the CPU."""
    stacked = torch.stack([p for s in group.values() for p in s.pictures])
    return Block(stacked.device, None, len(stacked), shape=tuple(stacked.shape[1:]), dtype=stacked.dtype), {
        "pictures": stacked
    }


def _columns(group: Streams) -> tuple[Block, dict[str, Tensor]]:
    """The block of some streams of rows, and its columns on the CPU, with the item and the number of every row."""
    first = next(iter(group.values()))
    names = tuple(n for n, v in first.values.items() if isinstance(v, Tensor))
    columns = {n: torch.cat([s.values[n] for s in group.values()]) for n in names}
    counts = torch.cat([_counts(s) for s in group.values()])
    offsets = np.concatenate([[0], np.cumsum(counts.numpy())]).astype(np.int64)
    columns[ROW_ITEM] = torch.repeat_interleave(torch.arange(len(counts)), counts).to(torch.int32)
    columns[ROW_NUMBER] = torch.cat([_numbers(s) for s in group.values()])
    return Block(columns[ROW_ITEM].device, None, len(counts), offsets, names), columns


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
        if isinstance(stream, ImageStream):
            out[name] = replace_unchecked(stream, items=tuple(PictureOnDevice(block, k) for k in own))
            continue
        texts = {n: v for n, v in stream.values.items() if not isinstance(v, Tensor)}
        changes = {"offsets": None, "source_rows": None} if isinstance(stream, Ragged) else {}
        out[name] = replace_unchecked(stream, values=ColumnsOnDevice(block, own, texts), **changes)
    return out


def lies_on_device(stream: Stream) -> bool:
    """Whether the values of a stream lie in a block on a device."""
    return isinstance(stream.values, ColumnsOnDevice) or any(
        isinstance(i, PictureOnDevice) for i in getattr(stream, "items", ())
    )


def from_device(stream: Stream) -> Stream:
    """A stream with its values in the memory of the host; rows that were dropped on the device are gone."""
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


def _in_place(numbers: Tensor, offsets: Tensor) -> bool:
    return torch.equal(numbers, places_of_rows(offsets))
