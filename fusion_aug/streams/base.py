"""Stream: one kind of data from one sensor over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError
from fusion_aug.names import Registry
from fusion_aug.streams.columns import Column, concat, take_rows
from fusion_aug.streams.held_columns import HeldColumns, changed_columns, joined_columns
from fusion_aug.streams.loose import as_held

STREAMS: Registry[type[Stream]] = Registry("stream class")


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """Values with a frame and times. Items are sorted by sample, then time.

    A new kind of data is a subclass that lists its typed ``columns`` (and, in ``invariant_to``, the families of
    transforms that cannot change it); mirror, scale, rigid motion and resampling follow from the columns.

    Attributes:
        frame: the frame the values are given in: a frame of the rig, or "ref" for the sample's reference frame.
        capture_times: (n,) int64 ns, when each item was measured, by the sensor's clock. Poses are looked up at them.
        values: column name -> (n, ...) tensor, or a NumPy string array for labels.
        sample_index: (n,) int64, which sample of a batch each item belongs to.
        present: (n,) bool, False where the item was dropped: it is there, but empty.
        records: id of the source record behind each item, for writers; empty if there is none.
        child: for streams of poses, the frame whose pose they give.
        receive_times: (n,) int64 ns, when each item arrived: the log time of a recording, the slot of a format of fixed
            rate; None where it arrived when it was captured.
        clock_offset: (n,) int64 ns, ``capture_times`` minus the true capture times, where a transform has shifted the
            sensor's clock; None where the clock is right.
        source_items: (n,) int64, number that each item had in its sample before any was dropped, -1 of one that was
            not there, such as a reading between two others; None where all are in their places.
    """

    frame: str
    capture_times: Tensor
    values: Mapping[str, Any] = field(default_factory=dict)
    sample_index: Tensor = None  # type: ignore[assignment]
    present: Tensor = None  # type: ignore[assignment]
    records: tuple[str, ...] = ()
    child: str = ""
    receive_times: Tensor | None = None
    clock_offset: Tensor | None = None
    source_items: Tensor | None = None

    columns: ClassVar[tuple[Column, ...]] = ()
    invariant_to: ClassVar[tuple[type, ...]] = ()
    # whether it samples a signal, which a change of speed resamples at the old rate; others keep items, at new times
    is_continuous: ClassVar[bool] = False
    may_refuse: ClassVar[bool] = False  # whether some transforms stop at it: a run tries them before the first byte
    remedy: ClassVar[str] = "give the class typed columns, or register a handler"  # where a rule is missing
    # fields that hold one entry per item, besides the values
    item_fields: ClassVar[tuple[str, ...]] = (
        "capture_times", "sample_index", "present", "records", "receive_times", "clock_offset", "source_items",
    )  # fmt: skip

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        STREAMS.add(cls.__name__, cls)
        if "__repr__" not in cls.__dict__:  # or the dataclass would print whole pictures
            cls.__repr__ = Stream.__repr__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        self.__dict__.update(as_held(self))
        times = torch.as_tensor(self.capture_times)
        if times.dtype != torch.int64:
            raise DataError(f"{type(self).__name__}.capture_times: must be int64 nanoseconds, got {times.dtype}")
        if times.ndim != 1:
            times = times.reshape(-1)
        object.__setattr__(self, "capture_times", times)
        if self.sample_index is None:
            object.__setattr__(self, "sample_index", torch.zeros(times.shape, dtype=torch.int64))
        if self.present is None:
            object.__setattr__(self, "present", torch.ones(times.shape, dtype=torch.bool))

    def __len__(self) -> int:
        return len(self.capture_times)

    def __repr__(self) -> str:
        columns = f", columns {', '.join(self.values)}" if len(self.values) else ""
        return f"{type(self).__name__}({len(self)} item(s) in frame {self.frame!r}{columns})"

    def __getitem__(self, name: str) -> Any:
        """A column by name."""
        try:
            return self.realized().values[name]
        except KeyError:
            raise KeyError(f"{type(self).__name__} has no column {name!r}, only {', '.join(self.values)}") from None

    @property
    def true_capture_times(self) -> Tensor:
        """(n,) int64 ns, when each item was truly captured: capture times without the clock offset."""
        return self.capture_times if self.clock_offset is None else self.capture_times - self.clock_offset

    @property
    def arrival_times(self) -> Tensor:
        """(n,) int64 ns, when each item arrived: ``receive_times``, else ``capture_times``."""
        return self.capture_times if self.receive_times is None else self.receive_times

    @property
    def item_numbers(self) -> Tensor:
        """(n,) int64, ``source_items``, and where all are in their places these."""
        return places_in(self.sample_index) if self.source_items is None else self.source_items

    def instance(self, name: str) -> str:
        """Which sensor a draw of scope ``sensor`` belongs to; a depth image shares its camera's."""
        return name

    def realized(self) -> Self:
        """The stream with its files decoded and its pending maps applied."""
        return self

    @classmethod
    def column_table(cls) -> dict[str, Column]:
        """The declared columns by name."""
        return {c.name: c for c in cls.columns}

    @property
    def column_types(self) -> Mapping[str, Column]:
        """The typed columns of this stream by name: those of its class, and those that are its own."""
        return self.column_table()

    @cached_property
    def row_item(self) -> Tensor:
        """(rows,) the item that each row of the values belongs to."""
        return torch.arange(len(self))

    def with_values(self, **values: Any) -> Self:
        """The stream with some columns replaced."""
        return replace_unchecked(self, values=changed_columns(self.values, values))

    def take_items(self, index: Tensor) -> Self:
        """Some of the items, by integer index."""
        held = self.values
        if isinstance(held, HeldColumns):  # whose values are not looked at
            return replace_unchecked(self, **self._taken(index), values=held.take(index.tolist()))
        return replace(self, **self._taken(index), values=take_rows(held, index))

    def _taken(self, index: Tensor) -> dict[str, Any]:
        taken = {name: pick_entries(getattr(self, name), index) for name in self.item_fields}
        numbers = self.item_numbers[index]
        in_place = torch.equal(numbers, places_in(taken["sample_index"]))
        return taken | {"source_items": None if in_place else numbers}

    @classmethod
    def concat(cls, parts: Sequence[Self], sample_index: Sequence[Tensor]) -> Self:
        """Join streams of the same sensor from several samples.

        Args:
            parts: the streams.
            sample_index: the new sample index of every part's items.
        """
        first = parts[0]
        joined: dict[str, Any] = {}
        for f in fields(first):
            entries = [getattr(p, f.name) for p in parts]
            if f.name == "records" and any(entries):
                entries = [e or ("",) * len(p) for e, p in zip(entries, parts, strict=True)]
            if f.name == "receive_times" and any(e is not None for e in entries):
                entries = [p.arrival_times for p in parts]
            if f.name == "clock_offset" and any(e is not None for e in entries):
                entries = [p.capture_times - p.true_capture_times for p in parts]
            if f.name == "source_items" and any(e is not None for e in entries):
                entries = [p.item_numbers for p in parts]
            if f.name in cls.item_fields:
                joined[f.name] = join_entries(entries)
            elif isinstance(entries[0], str | float | int | tuple) and any(e != entries[0] for e in entries):
                remedy = "; name a stream of a camera CAMERA/name, so that it follows where left and right swap"
                raise DataError(
                    f"{cls.__name__}.{f.name}: differs between the samples of a batch ({str(entries[0])[:80]!r} and "
                    f"others){remedy if f.name in ('frame', 'child', 'camera') else ''}"
                )
        joined["sample_index"] = torch.cat(list(sample_index))
        values = cls._concat_values(parts)
        # values that are held elsewhere are not looked at
        made: Self = (replace_unchecked if isinstance(values, HeldColumns) else replace)(first, **joined, values=values)
        return made

    @classmethod
    def _concat_values(cls, parts: Sequence[Self]) -> Mapping[str, Any]:
        if (held := joined_columns([p.values for p in parts])) is not None:
            return held
        table, names = parts[0].column_types, dict.fromkeys(k for p in parts for k in p.values)
        out = {}
        for name in names:
            model = next(p.values[name] for p in parts if name in p.values)
            fill = table[name].fill if name in table else None
            if fill is None and any(name not in p.values for p in parts):
                raise DataError(f"{cls.__name__}: some samples of a batch have the column {name!r} and some do not")
            rows = [len(p.row_item) for p in parts]
            out[name] = concat([
                p.values[name] if name in p.values else model.new_full((n, *model.shape[1:]), fill)
                for p, n in zip(parts, rows, strict=True)
            ])  # fmt: skip
        return out


def pick_entries(entries: Any, index: Tensor) -> Any:
    """Entries of a per-item field (tensor, tuple or None) by integer index."""
    if entries is None or (isinstance(entries, tuple) and not entries):
        return entries
    if isinstance(entries, tuple):
        return tuple(entries[i] for i in index.tolist())
    return entries[index.to(entries.device)]


def join_entries(entries: list[Any]) -> Any:
    """Per-item fields of several streams, one after another."""
    if isinstance(entries[0], tuple):
        return tuple(x for part in entries for x in part)
    return None if entries[0] is None else torch.cat(entries)


def places_in(sample_index: Tensor) -> Tensor:
    """(n,) int64, place of every item among those of its sample (n,), which follow one another."""
    at = torch.arange(len(sample_index))
    begins = torch.ones_like(at, dtype=torch.bool)
    begins[1:] = sample_index[1:] != sample_index[:-1]
    return at - torch.where(begins, at, 0).cummax(0).values
