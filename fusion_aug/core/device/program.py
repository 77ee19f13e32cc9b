"""The plan of a pipeline on a device: stages from blocks to blocks, and their numbers in one copy.

While the host walks through a pipeline, rules add *stages*: a kernel, the block that it reads, and a few numbers for
every item. Streams of one kind that lie in one block share a stage, so the number of operators hangs neither on the
number of cameras nor on the size of the batch. At the end all numbers travel in one buffer; then the stages run in
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops.one_copy import one_copy
from fusion_aug.ops.taken import taken
from fusion_aug.ops.warp_many import HOST
from fusion_aug.streams.on_device import Block, ColumnsOnDevice, PictureOnDevice

Kernel = Callable[..., Any]
Numbers = Mapping[str, Any]  # of one item or of several, (n, ...), by name
SHARED = "="  # names of arrays that are the same for all items, such as a table, and travel once, begin with it
ROWS = "rows"  # of the source that go into the result, where these are not all
PACKED = "+"  # names of numbers of added rows, (rows, ...) of each item one after another, begin with it
ORDER = "order"  # (rows,) of a result with other rows: which of the source's, and behind these of the added ones


@dataclass(eq=False)
class Stage:
    """One step of a plan.

    Attributes:
        kernel: ``kernel(values, numbers, *read, **fixed)`` gives the values of ``result``; ``numbers`` are tensors
            (items, ...) on the device.
        source: the block that it reads. fixed: what is the same for all items.
        read: further blocks, whose items go with those of the source.
        result: the block that comes out.
        numbers: by number of the item in the source. neutral: of the items that nobody gave any.
        order: of items whose rows move or are joined by others, places among their own and then the added ones.
    """

    kernel: Kernel
    source: Block
    fixed: Mapping[str, Any]
    read: tuple[Block, ...]
    result: Block
    neutral: Numbers | None
    numbers: dict[int, Numbers] = field(default_factory=dict)
    order: dict[int, np.ndarray] = field(default_factory=dict)

    def rows(self) -> list[int]:
        """Numbers of the source's items that take part: all of rows; of pictures those that were asked for."""
        return list(range(self.source.items)) if self.source.offsets is not None else sorted(self.numbers)

    def close(self) -> None:
        """Note where the pictures of the source go in the result."""
        rows = self.rows()
        if self.source.offsets is None:
            self.result.items = len(rows)
            if len(rows) != self.source.items or self.source.places is not None:
                by_place = sorted(rows, key=lambda r: _place(self.source, r))
                self.result.places = {r: k for k, r in enumerate(by_place)}

    def table(self) -> dict[str, Any]:
        """The numbers of all items that take part, in the order of the result; ``ROWS`` where it takes some alone."""
        rows = sorted(self.rows(), key=lambda r: _place(self.source, r))
        each = [self.numbers.get(r) or self.neutral or {} for r in rows]
        out: dict[str, Any] = {n: [one[n] for one in each] for n in (each[0] if each else {})}
        out = {n: frozenset(v) if n.startswith(HOST) else _joined(n, v) for n, v in out.items()}
        if self.order:
            out[ORDER] = self._whole_order()
        return (
            out if len(rows) == self.source.items else {ROWS: np.array([_place(self.source, r) for r in rows]), **out}
        )

    def reorder(self, order: Mapping[int, np.ndarray]) -> None:
        """Note other rows of some items."""
        self.order |= order
        counts = [len(places) for places in self._places()]
        self.result.offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _places(self) -> list[np.ndarray]:
        """Of every item, the places that its rows in the result have among its own and then the added ones."""
        assert self.source.offsets is not None
        counts = np.diff(self.source.offsets).tolist()
        return [self.order.get(i, np.arange(count)) for i, count in enumerate(counts)]

    def _whole_order(self) -> np.ndarray:
        bounds, added, parts = self.source.offsets, self.source.rows, []
        assert bounds is not None
        for places, start, end in zip(self._places(), bounds, bounds[1:], strict=False):
            parts.append(np.where(places < end - start, start + places, added + places - (end - start)))
            added += int((places >= end - start).sum())
        return np.concatenate(parts).astype(np.int64)

    def run(self, numbers: dict[str, Tensor]) -> None:
        """Work out the result."""
        values: Any = self.source.values
        rows = numbers.pop(ROWS, None)
        if not self.rows():  # of a stream without items
            self.result.data = values
            return
        values = values if rows is None else taken(values, rows)
        out = self.kernel(values, numbers, *(b.values for b in self.read), **self.fixed)
        self.result.data = out if self.source.offsets is None else {**values, **out}


def _joined(name: str, each: list[Any]) -> np.ndarray:
    if name.startswith(SHARED):
        return np.asarray(each[0])
    arrays = [np.asarray(x) for x in each]
    return np.concatenate(arrays) if name.startswith(PACKED) else np.stack(arrays)


def _place(block: Block, number: int) -> int:
    return number if block.places is None else block.places[number]


class Program:
    """The plan for one batch. ``begin`` starts what belongs together: a transform, or the maps before it.

    Attributes:
        stages: in order.
        notes: what the rules of one transform work out together, by a key of theirs; ``begin`` forgets it.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.stages: list[Stage] = []
        self._open: dict[Any, Stage] = {}
        self.notes: dict[Any, Any] = {}

    def begin(self) -> None:
        """Close the stages of the transform before; later ones read their results."""
        for stage in self._open.values():
            stage.close()
        self._open, self.notes = {}, {}

    def pictures(
        self, kernel: Kernel, asked: Sequence[tuple[PictureOnDevice, Numbers]], becomes: Mapping[str, Any],
        *, read: tuple[Block, ...] = (), **fixed: Any,
    ) -> list[PictureOnDevice]:  # fmt: skip
        """Plan a change of pictures; pictures of one block and with the same ``fixed`` values share a stage.

        Args:
            kernel: see ``Stage``. asked: pictures and the numbers of each. becomes: fields of ``Block`` that change.
            read: see ``Stage``. fixed: hashable values, the same for all pictures of a stage.

        Returns:
            the changed pictures, which have no values before ``run``.
        """
        out = []
        for picture, numbers in asked:
            stage = self._stage(kernel, picture.block, fixed, read, None, becomes)
            stage.numbers[picture.number] = numbers
            out.append(PictureOnDevice(stage.result, picture.number, picture.measured))
        return out

    def columns(
        self, kernel: Kernel, held: ColumnsOnDevice, numbers: Sequence[Numbers | None], neutral: Numbers,
        *, adds: Iterable[str] = (), read: tuple[Block, ...] = (), order: Mapping[int, np.ndarray] | None = None,
        **fixed: Any,
    ) -> ColumnsOnDevice:  # fmt: skip
        """Plan a change of rows.

        Args:
            kernel: see ``Stage``; it gets all columns, and gives those that it changes.
            held: the stream's columns. numbers: of each of its items, None where it is left as it is.
            neutral: numbers that change nothing. adds: names of columns that it adds. fixed: hashable values.
            read: further blocks, whose rows the numbers tell.
            order: of items of the stream whose rows move or are joined by others, where each row comes from: places
                among the item's own rows, and behind these of the added ones. The kernel gives all columns then.
        """
        stage = self._stage(kernel, held.block, fixed, read, neutral, {})
        stage.result.names = tuple(dict.fromkeys((*stage.result.names, *adds)))
        stage.numbers |= {i: n for i, n in zip(held.own, numbers, strict=True) if n is not None}
        if order:
            stage.reorder({held.own[i]: places for i, places in order.items()})
        return held.with_block(stage.result)

    def _stage(
        self, kernel: Kernel, source: Block, fixed: Mapping[str, Any], read: tuple[Block, ...],
        neutral: Numbers | None, becomes: Mapping[str, Any],
    ) -> Stage:  # fmt: skip
        key = (kernel, source, read, *fixed.items())
        if key not in self._open:
            result = replace(source, device=self.device, data=None, places=None, before=source, **becomes)
            self._open[key] = Stage(kernel, source, fixed, read, result, neutral)
            self.stages.append(self._open[key])
        return self._open[key]

    def run(self, way: Callable[[Sequence[Stage], Sequence[dict[str, Any]]], None] | None = None) -> None:
        """Bring the numbers of all stages to the device in one copy, and run the stages in order.

        Args:
            way: runs stages with the numbers of each, in another way than one after another.
        """
        self.begin()
        tables = [stage.table() for stage in self.stages]
        flat = [torch.from_numpy(a) for table in tables for a in table.values() if isinstance(a, np.ndarray)]
        there = iter(one_copy(flat, self.device))
        numbers = [{n: next(there) if isinstance(a, np.ndarray) else a for n, a in table.items()} for table in tables]
        (way or _one_after_another)(self.stages, numbers)
        for stage in self.stages:
            stage.result.before = None  # which nobody needs any more, and which holds memory
        self.stages = []


def _one_after_another(stages: Sequence[Stage], numbers: Sequence[dict[str, Any]]) -> None:
    for stage, own in zip(stages, numbers, strict=True):
        stage.run(own)
