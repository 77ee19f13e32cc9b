"""Streams whose items hold any number of rows: points, boxes, key points, vertices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import concat, take_rows
from fusion_aug.streams.held_columns import HeldColumns, changed_columns
from fusion_aug.streams.on_device import ROW_NUMBER, VALID, ColumnsOnDevice

FIRST_ADDED = 1 << 32  # number of the first row that no source holds, where rows are added to others


@dataclass(frozen=True, kw_only=True, eq=False)
class Ragged(Stream):
    """A stream whose items hold any number of rows, packed one after another.

    Attributes:
        offsets: (n + 1,) int64; item i has the rows ``offsets[i]:offsets[i + 1]``. One item by default.
        source_rows: (rows,) int64, number that each row had in its item before any was dropped, by which its noise is
            drawn; None where all are in their places. ``-1 - k`` is a row that no row of the source is, as a return
            from fog, whose noise is drawn by k; those that were added to others have numbers from ``FIRST_ADDED`` on.
    """

    offsets: Tensor | None = None
    source_rows: Tensor | None = None

    item_fields: ClassVar[tuple[str, ...]] = Stream.item_fields

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.offsets is None and not hasattr(type(self.values), "offsets"):
            rows = len(next(iter(self.values.values()))) if self.values else 0
            if len(self) != 1:
                raise DataError(f"{type(self).__name__}.offsets: needed where there is not exactly one item")
            object.__setattr__(self, "offsets", torch.tensor([0, rows]))

    @property
    def bounds(self) -> Tensor:
        """(n + 1,) row offsets of the items, of which sweeps are ones too; reads a lazy stream."""
        return self.offsets if self.offsets is not None else self.values.offsets  # type: ignore[attr-defined]

    @property
    def counts(self) -> Tensor:
        """(n,) rows per item."""
        return self.bounds.diff()

    @property
    def rows(self) -> int:
        """Rows in all."""
        return int(self.bounds[-1])

    @cached_property
    def row_item(self) -> Tensor:
        """(rows,) the item that each row belongs to."""
        return torch.repeat_interleave(torch.arange(len(self)), self.counts)

    def item_slice(self, item: int) -> slice:
        """The rows of one item."""
        return slice(int(self.bounds[item]), int(self.bounds[item + 1]))

    def with_values(self, **values: Any) -> Self:
        """The stream with some columns replaced; a lazy stream is read."""
        changed = changed_columns(self.values, values)
        return replace_unchecked(
            self, values=changed, offsets=None if isinstance(changed, HeldColumns) else self.bounds
        )

    def select(self, keep: Tensor) -> Self:
        """Only the rows where ``keep`` (rows,) is True, with every per-row column; on a device others are marked."""
        if isinstance(self.values, ColumnsOnDevice):
            kept = keep.to(self.values.block.device)
            return self.with_values(**{VALID: self.values[VALID] & kept if VALID in self.values else kept})
        return self._with_rows(keep.nonzero()[:, 0])

    def _with_rows(self, rows: Tensor) -> Self:
        """Only some rows, by their numbers (k,) int64 in rising order, which belong to the stream afterwards."""
        values, numbers = take_rows(self.values, rows), rows.cpu()
        kept = replace(self, values=values, offsets=torch.searchsorted(numbers, self.bounds), source_rows=None)
        if self.source_rows is None:
            for item, start in enumerate(self.bounds[:-1].tolist()):  # in place: new memory costs as much as a gather
                numbers[kept.item_slice(item)] -= start
        else:
            numbers = self.source_rows[numbers]
        return replace_unchecked(kept, source_rows=numbers)

    def repacked(self, parts: Sequence[Mapping[str, Any]], source_rows: Tensor | None = None) -> Self:
        """The stream with other rows.

        Args:
            parts: columns (rows, ...) of every item, in order; the items may have any number of rows.
            source_rows: (rows,) int64 of all rows; by default none of them is one of the source.
        """
        if not parts:
            return self
        counts = torch.tensor([len(next(iter(p.values()))) for p in parts])
        values = {name: concat([p[name] for p in parts]) for name in parts[0]}
        offsets = offsets_of(counts)
        if source_rows is None:
            source_rows = -1 - places_of_rows(offsets)
        return replace(self, values=values, offsets=offsets, source_rows=source_rows)

    def take_items(self, index: Tensor) -> Self:
        """Some of the items with their rows, by integer index; of files those of the others are not read."""
        if isinstance(self.values, HeldColumns):
            taken = self._taken(index)  # values are not looked at
            return replace_unchecked(self, **taken, values=self.values.take(index.tolist()), offsets=None)
        stream = self.loaded()
        spans = [torch.arange(s.start, s.stop) for s in map(stream.item_slice, index.tolist())]
        rows = torch.cat(spans) if spans else torch.zeros(0, dtype=torch.int64)
        counts = torch.tensor([len(s) for s in spans], dtype=torch.int64)
        numbers = None if stream.source_rows is None else stream.source_rows[rows]
        own: dict[str, Any] = {
            "values": take_rows(stream.values, rows),
            "offsets": offsets_of(counts),
            "source_rows": numbers,
        }
        return replace(stream, **stream._taken(index), **own)

    # --- numbers of rows --------------------------------------------------------------------------------------------
    def noise_rows(self, item: int) -> Tensor:
        """(rows,) int64, what the noise of an item's rows is drawn by: their numbers in its source."""
        own = self.item_slice(item)
        if self.source_rows is None and not isinstance(self.values, ColumnsOnDevice):
            return torch.arange(own.stop - own.start)
        numbers = self.row_keys[own]
        return torch.where(numbers < 0, -1 - numbers, numbers)

    @property
    def row_keys(self) -> Tensor:
        """(rows,) int64, ``source_rows``, and where all are in their places these; on a device if the rows are."""
        if isinstance(self.values, ColumnsOnDevice):
            return self.values.rows_of(ROW_NUMBER)
        return places_of_rows(self.bounds) if self.source_rows is None else self.source_rows

    @property
    def row_numbers(self) -> Tensor:
        """(rows,) int64, number that each row has in its item of the source; -1 of those that it does not hold."""
        numbers = self.row_keys
        return torch.where((numbers < 0) | (numbers >= FIRST_ADDED), -1, numbers)

    def without_source(self, rows: Tensor) -> Self:
        """The stream, where some rows are none of the source any more: they were put elsewhere.

        Args:
            rows: (rows,) bool or indices.
        """
        numbers = self.row_keys.clone()
        chosen = numbers[rows.cpu()]
        numbers[rows.cpu()] = torch.where(chosen < 0, chosen, -1 - chosen)
        return replace_unchecked(self, source_rows=numbers)

    def loaded(self) -> Self:
        """The stream with its values in memory."""
        return self

    @classmethod
    def concat(cls, parts: Sequence[Self], sample_index: Sequence[Tensor]) -> Self:
        """Join streams of the same sensor from several samples; those that all still lie in files are not read."""
        numbers = None
        if any(p.source_rows is not None for p in parts):
            numbers = torch.cat([p.row_keys for p in parts])
        joined = super().concat(parts, sample_index)
        if isinstance(joined.values, HeldColumns):
            return replace_unchecked(joined, offsets=None, source_rows=numbers)
        return replace(joined, offsets=offsets_of(torch.cat([p.counts for p in parts])), source_rows=numbers)


def offsets_of(counts: Tensor) -> Tensor:
    """(n + 1,) int64 row offsets of items with (n,) rows."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.to(torch.int64).cumsum(0)])


def places_of_rows(offsets: Tensor) -> Tensor:
    """(rows,) int64, place of every row in its item, of items with offsets (n + 1,)."""
    counts = offsets.diff()
    return torch.arange(int(offsets[-1])) - torch.repeat_interleave(offsets[:-1], counts)
