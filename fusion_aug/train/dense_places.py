"""Where points and pictures of a batch on a device go in its dense tables, worked out on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.program import Program
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.similarity import Motion
from fusion_aug.sample import Sample
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Camera, Occupancy, Stream
from fusion_aug.streams.moved_rows import MovedColumn, kind_of, motion_numbers, move_rows, no_motion
from fusion_aug.streams.on_device import ColumnsOnDevice, PictureOnDevice

SECOND = 1e-9  # in nanoseconds
MOVES = {"xyz": "position", "velocity_comp": "polar", "pose": "pose", "velocity": "polar"}


class Part(NamedTuple):
    """One item of a stream in the tables: its columns in the reference frame, their rows, and its age, s."""

    values: ColumnsOnDevice
    rows: range
    age: float


def refuse_what_has_no_table(batch: Sample, packed: bool) -> None:
    """Raise where a batch holds what has no dense table on a device.

    Raises:
        ConfigError: packed tables are asked for. DataError: it holds occupancy, which is named.
    """
    if packed:
        raise ConfigError("to_dense: packed: sizes would depend on values on a device; leave packed=False there")
    found = [n for n, s in batch.of_type(Occupancy).items() if lies_on_device(s)]
    if found:
        raise DataError(
            f"to_dense: {', '.join(found)}: occupancy on a device has no dense tables; take it out of the batch with "
            f"with_streams, or call to_dense before batch.to(...)"
        )


def in_reference_frame(
    batch: Sample, kind: type[Stream], names: Sequence[str], program: Program
) -> dict[str, ColumnsOnDevice]:
    """Columns of streams of one kind, by name, moved into the reference frame of their samples by the plan."""
    out = {}
    for name in names:
        stream: Any = batch.streams.get(name)
        if not isinstance(stream, kind) or not lies_on_device(stream):
            continue
        moved: Any = settled(stream, program)
        held: ColumnsOnDevice = moved.values
        maps = torch.stack([_to_ref(batch, name, i) for i in range(len(moved))])
        motion = Motion.of(maps)
        columns = tuple(MovedColumn(n, MOVES[n], "ref", "", True) for n in held if n in MOVES)
        numbers = motion_numbers("ref", motion, len(moved))
        kinds = (("ref", kind_of(motion)),)
        out[name] = program.columns(move_rows, held, numbers, no_motion(["ref"]), moved=columns, kinds=kinds)
    return out


def _to_ref(batch: Sample, name: str, item: int) -> Tensor:
    stream = batch.streams[name]
    meta = batch.metas[int(stream.sample_index[item])]
    return meta.T_ref(stream.frame, int(stream.capture_times[item])).detach()


def parts_of(batch: Sample, held: Mapping[str, ColumnsOnDevice], sweeps: bool) -> list[list[Part]]:
    """The items of some streams, sample by sample; without ``sweeps`` those next to the reference time alone."""
    out: list[list[Part]] = [[] for _ in batch.metas]
    for name, values in held.items():
        stream, bounds = batch.streams[name], values.block.offsets
        assert bounds is not None
        index = stream.sample_index.tolist()
        keys = {u: batch.key_item(name, u) for u in set(index)}
        for i, u in enumerate(index):
            if sweeps or keys[u] == i:
                own = values.own[i]
                age = (batch.metas[u].ref.time - int(stream.capture_times[i])) * SECOND
                out[u].append(Part(values, range(int(bounds[own]), int(bounds[own + 1])), age))
    return out


class Places(NamedTuple):
    """Where the rows of padded tables (B, N) come from, on the host.

    Attributes:
        rows: (B, N) int64, rows of the blocks one after another. mask: (B, N) bool. age: (B, N) float32, s.
        blocks: in that order.
    """

    rows: np.ndarray
    mask: np.ndarray
    age: np.ndarray
    blocks: tuple[Any, ...]


def places_of(parts: Sequence[Sequence[Part]]) -> Places:
    """The places of all parts in padded tables."""
    blocks = tuple(dict.fromkeys(p.values.block for own in parts for p in own))
    first = dict(zip(blocks, np.cumsum([0, *(b.rows for b in blocks)]), strict=False))
    width = max((sum(len(p.rows) for p in own) for own in parts), default=0)
    index, age = np.zeros((len(parts), width), np.int64), np.zeros((len(parts), width), np.float32)
    mask = np.zeros((len(parts), width), bool)
    for u, own in enumerate(parts):
        at = 0
        for part in own:
            here = slice(at, at + len(part.rows))
            index[u, here] = np.arange(part.rows.start, part.rows.stop) + first[part.values.block]
            age[u, here], mask[u, here], at = part.age, True, here.stop
    return Places(index, mask, age, blocks)


def picture_grid(batch: Sample, names: Sequence[str]) -> list[list[PictureOnDevice | None]]:
    """The pictures (B, C) next to the reference times, None where there is none.

    Raises:
        DataError: they differ in size or type.
    """
    grid: list[list[PictureOnDevice | None]] = []
    for u in range(len(batch.metas)):
        row: list[PictureOnDevice | None] = []
        for name in names:
            stream = batch.streams.get(name)
            there = isinstance(stream, Camera) and bool((stream.sample_index == u).any())
            item = batch.key_item(name, u) if there else 0
            row.append(stream.items[item] if there and bool(stream.present[item]) else None)  # type: ignore[union-attr]
        grid.append(row)
    found = [(p, (u, c)) for u, row in enumerate(grid) for c, p in enumerate(row) if p is not None]
    kinds = {(p.block.shape, p.block.dtype): place for p, place in found}
    if len(kinds) > 1:
        told = " and ".join(f"{names[c]!r} of sample {batch.metas[u].id!r}" for u, c in list(kinds.values())[:2])
        raise DataError(
            f"pictures of one size and type can be stacked, those of {told} differ; bring them to one size "
            f"(ResizeCrop), or choose cameras=[...]"
        )
    return grid
