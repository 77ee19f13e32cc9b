"""Values of several streams that lie together on a device, so that one operator serves them all.

Pictures of one size are one tensor (N, H, W, ...), whatever their cameras; clouds of one kind are packed rows. A stream
says which items of such a ``Block`` are its own. What a pipeline is to do with a block is planned on the host first:
the blocks that come out have no values until the plan has run (``core/device/program``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.streams.columns import take_column_rows
from fusion_aug.streams.held_columns import HeldColumns

ROW_ITEM = "row_item"  # (rows,) int32, item of its block that each row belongs to
ROW_NUMBER = "row_number"  # (rows,) int64, what the noise of each row is drawn by
VALID = "valid"  # (rows,) bool, False where a row was dropped


@dataclass(eq=False)
class Block:
    """Values that lie together on a device, or will when a plan has run.

    Attributes:
        device: where. data: of pictures (N, H, W, ...), of rows column name -> (rows, ...), with ``ROW_ITEM`` and
            ``ROW_NUMBER``; None as long as they are only planned.
        items: how many pictures, or items that have rows. offsets: (items + 1,) int64 of the rows, None of pictures.
        names: of the columns. shape, dtype: of every picture (H, W, ...) as it is stored.
        levels: whether pictures are in work, as float32 (N, C, H, W) levels; see ``ops/warp_many``.
        places: where only some pictures of another block go into this one, the number there -> the number here.
        finite: names of columns, one row an item, of which all numbers were finite when they came from the host.
        before: while it is planned, the block that it is worked out from, item by item.
    """

    device: torch.device
    data: Any = None
    items: int = 0
    offsets: np.ndarray | None = None
    names: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: torch.dtype | None = None
    levels: bool = False
    places: dict[int, int] | None = None
    finite: frozenset[str] = frozenset()
    before: Block | None = None

    def comes_from(self, other: Block) -> bool:
        """Whether it is another block, or is planned to be worked out from it, so that it holds the same items."""
        block: Block | None = self
        while block is not None and block is not other:
            block = block.before
        return block is other

    @property
    def rows(self) -> int:
        """How many rows it holds; 0 of pictures."""
        return 0 if self.offsets is None else int(self.offsets[-1])

    @property
    def values(self) -> Any:
        """The values.

        Raises:
            DataError: they are planned, and asked for before the plan has run.
        """
        if self.data is None:
            raise DataError("values of a batch on a device are asked for while the pipeline is still being planned")
        return self.data


@dataclass(frozen=True, eq=False)
class PictureOnDevice:
    """One picture of a block.

    Attributes:
        block: with it. number: that in the block it came from, where it moved to one of another size.
        measured: of depth the share of its pixels that hold a distance or the sky, 1 for all; 0 where some lacked one
            when it came to the device, so that how many do is not known.
    """

    block: Block
    number: int
    measured: float = 1.0

    @property
    def place(self) -> int:
        """Its number in the block."""
        return self.number if self.block.places is None else self.block.places[self.number]

    @property
    def value(self) -> Tensor:
        """(H, W, ...) on the device, a view of the block."""
        picture: Tensor = self.block.values[self.place]
        return picture


class ColumnsOnDevice(HeldColumns):
    """Columns of a stream whose items lie in a block; text stays on the host.

    Attributes:
        block: with the rows. own: (n,) numbers of the stream's items in the block. texts: columns of text, by name.
    """

    joins_others = False

    def __init__(self, block: Block, own: Sequence[int], texts: Mapping[str, Any]):
        self.block, self.own, self.texts = block, tuple(own), dict(texts)

    @cached_property
    def offsets(self) -> Tensor:
        """(n + 1,) int64 row offsets of the stream's own items."""
        return torch.from_numpy(np.concatenate([[0], np.cumsum([e - s for s, e in self.spans])]).astype(np.int64))

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First row in the block of each of the stream's own items, and the row after its last."""
        bounds = self.block.offsets
        assert bounds is not None
        return [(int(bounds[i]), int(bounds[i + 1])) for i in self.own]

    @cached_property
    def _rows(self) -> slice | np.ndarray:
        """The stream's rows in the block: a slice where they follow one another."""
        spans = self.spans
        if all(a[1] == b[0] for a, b in pairwise(spans)):
            return slice(spans[0][0], spans[-1][1]) if spans else slice(0, 0)
        return np.concatenate([np.arange(s, e) for s, e in spans])

    def with_block(self, block: Block) -> Self:
        """The same items of another block."""
        return type(self)(block, self.own, self.texts)

    def take(self, index: Sequence[int]) -> ColumnsOnDevice:
        """The columns of some items; nothing moves on the device."""
        bounds = self.offsets.tolist()
        rows = [np.arange(bounds[i], bounds[i + 1]) for i in index]
        chosen = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        return ColumnsOnDevice(self.block, [self.own[i] for i in index], {n: t[chosen] for n, t in self.texts.items()})

    def changed(self, values: Mapping[str, Any]) -> ColumnsOnDevice:
        """The columns with some replaced or added, in a block of the stream alone; its rows and their marks stay.

        Raises:
            DataError: a column does not lie on the device, or has other rows.
        """
        texts = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
        new = {n: v for n, v in values.items() if n not in texts}
        rows, device = int(self.offsets[-1]), self.block.device
        for name, value in values.items():
            if len(value) != rows or (name in new and value.device != self.rows_of(ROW_ITEM).device):
                raise DataError(
                    f"column {name!r}: expected {rows} rows on {device}, where the others of its stream lie"
                )
        kept = {n: self.rows_of(n) for n in (*self.block.names, ROW_NUMBER) if n not in texts}
        which = np.repeat(np.arange(len(self.own), dtype=np.int32), np.diff(self.offsets.numpy()))
        data = {**kept, **new, ROW_ITEM: torch.from_numpy(which).to(device)}
        names = tuple(n for n in data if n not in (ROW_ITEM, ROW_NUMBER))
        block = Block(device, data, len(self.own), self.offsets.numpy(), names)
        return ColumnsOnDevice(
            block, range(len(self.own)), {n: v for n, v in (self.texts | texts).items() if n not in new}
        )

    @classmethod
    def join(cls, parts: Sequence[Any]) -> ColumnsOnDevice:
        """The columns of several streams one after another, those that were left as they were where the others are.

        Raises:
            DataError: they do not lie in one block, and are not planned to.
        """
        blocks = list(dict.fromkeys(p.block for p in parts))
        latest = next((b for b in blocks if all(b.comes_from(other) for other in blocks)), None)
        if latest is None:
            raise DataError(
                "streams that came to a device apart, or were changed apart there, are not joined there; collate "
                "samples on the host, and then batch.to(...)"
            )
        texts = {n: np.concatenate([p.texts[n] for p in parts]) for n in parts[0].texts}
        return ColumnsOnDevice(latest, [i for p in parts for i in p.own], texts)

    def __getitem__(self, name: str) -> Any:
        if name in self.texts:
            return self.texts[name]
        if name not in self.block.names:
            raise KeyError(name)
        return self.rows_of(name)

    def rows_of(self, name: str) -> Tensor:
        """The stream's rows of a column of the block, ``ROW_ITEM`` and ``ROW_NUMBER`` too; a view where it can be."""
        column: Tensor = self.block.values[name]
        rows = self._rows
        return column[rows] if isinstance(rows, slice) else take_column_rows(column, torch.from_numpy(rows))

    def __contains__(self, name: object) -> bool:
        return name in self.texts or name in self.block.names

    def __iter__(self) -> Iterator[str]:
        yield from self.block.names
        yield from self.texts

    def __len__(self) -> int:
        return len(self.block.names) + len(self.texts)
