"""What rules and kernels of rows on a device have in common: keys, noise, marks of lost rows, rows that are added.

A kernel gets the columns of a block and numbers for each of its items; ``per_row`` gives each row those of its item.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.program import ORDER, SHARED, Kernel
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.hashed import RowKey, cells, fractions
from fusion_aug.ops.normals import normal_by, quantile_lines
from fusion_aug.ops.taken import taken
from fusion_aug.streams import Points, Stream
from fusion_aug.streams.following import following_columns
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID, ColumnsOnDevice
from fusion_aug.streams.ragged import FIRST_ADDED
from fusion_aug.streams.targets import fill_of_nothing, mark_of_nothing, target_columns

Columns = Mapping[str, Tensor]
Numbers = Mapping[str, Tensor]
NumbersOf = Callable[[int, Mapping[str, Any]], Mapping[str, Any] | None]
S = TypeVar("S", bound=Stream)

ON = {"on": np.bool_(True)}  # numbers of an item that is changed
OFF = {"on": np.bool_(False)}
LINES = f"{SHARED}lines"


# --- rules ------------------------------------------------------------------------------------------------------------
def planned(
    stream: S, call: Call, kernel: Kernel, numbers_of: NumbersOf, neutral: Mapping[str, Any],
    *, settle: bool = False, **settings: Any,
) -> S:  # fmt: skip
    """The stream with a stage of rows in the plan.

    Args:
        stream: of columns on a device. call: the application of the transform to it.
        kernel: gives the columns that it changes. numbers_of: the numbers of an item from its drawn parameters, or
            None where it stays as it is.
        neutral: numbers of items that stay as they are.
        settle: whether pending motions come before. settings: of ``Program.columns``.
    """
    stream = settled(stream, call.program) if settle else stream
    if settings.get("order") and columns_of(stream).texts:
        raise DataError(
            f"stream {call.name!r}: has columns of text, which lie on the host and stay in their order there; run "
            f"{call.transform.__name__} before batch.to(...)"
        )
    numbers: list[Any] = [None] * len(stream)
    for i, params in call.asked:
        numbers[i] = numbers_of(i, params)
    values = call.program.columns(kernel, columns_of(stream), numbers, neutral, **settings)
    return replace_unchecked(stream, values=values)


def planned_loss(stream: S, call: Call, kernel: Kernel, numbers_of: Any, neutral: Any, **settings: Any) -> S:
    """The same of a kernel that loses rows by where they are."""
    return planned(stream, call, kernel, numbers_of, neutral, settle=True, adds=(VALID,), **settings)


def keyed(key: RowKey, name: str = "") -> dict[str, Any]:
    """A key as numbers of an item; the kernel's ``row_keys`` of that name has them back."""
    return {f"{name}key": np.array([key.start, key.step], np.int64)}


NO_KEY = keyed(RowKey(0, 1))


def least(share: float) -> np.int64:
    """The whole number below which ``fractions`` hit with a probability; as ``ops.hashed.chance`` compares them."""
    return np.int64(np.ceil(np.fmin(np.fmax(share, 0.0), 1.0) * 2.0**53))


@cache
def quantiles() -> dict[str, Any]:
    """The table that ``normals`` needs, as numbers that travel once for all items."""
    return {LINES: quantile_lines()}


def check_points_move_alone(stream: Points, name: str) -> None:
    """Raise where a cloud has columns that follow from its coordinates, which are looked at on the host.

    Raises:
        DataError: it has.
    """
    if following_columns(stream.column_types, dict.fromkeys(stream.values)):
        raise DataError(
            f"stream {name!r}: has columns that follow from its coordinates, which cannot be moved on a device; "
            f"move it before batch.to(...)"
        )


def fills_of_nothing(stream: Points, call: Call) -> tuple[tuple[str, Any], ...]:
    """Columns that say what a point lies on, and what fills them where it lies on nothing, for ``marks_of_nothing``.

    Raises:
        DataError: some are text, which lies on the host, where no point is known to lie on nothing.
    """
    fills = {n: fill_of_nothing(stream, column) for n, column in target_columns(stream).items()}
    if texts := sorted(set(fills) & set(columns_of(stream).texts)):
        raise DataError(
            f"stream {call.name!r}: its column {texts[0]!r} is text, which lies on the host, and says what points lie "
            f"on that {call.transform.__name__} changes on a device; run it before batch.to(...)"
        )
    return tuple((n, math.nan if fill != fill else fill) for n, fill in fills.items())  # one object, so that all agree


def columns_of(stream: Stream) -> ColumnsOnDevice:
    """The columns of a stream that lie on a device."""
    held = stream.values
    assert isinstance(held, ColumnsOnDevice)
    return held


def span_of(stream: Stream, item: int) -> tuple[int, int]:
    """First row in the block of an item of a stream, and how many it has, dropped ones among them."""
    held = columns_of(stream)
    bounds = held.block.offsets
    assert bounds is not None
    first, end = bounds[held.own[item]], bounds[held.own[item] + 1]
    return int(first), int(end - first)


def longest_of(stream: Stream) -> int:
    """How many rows an item of a stream's block has at most, ``roomy``; at least 1."""
    bounds = columns_of(stream).block.offsets
    assert bounds is not None
    return roomy(max(int(np.diff(bounds).max(initial=0)), 1))


def roomy(rows: int) -> int:
    """Some rows, and a quarter more at most, so that batches whose longest clouds are alike share compiled kernels."""
    step = 1 << max(rows.bit_length() - 3, 0)
    return -(-rows // step) * step


def span_numbers(stream: Stream, item: int) -> dict[str, Any]:
    """Where the rows of an item lie, as its numbers; ``side_by_side`` has them."""
    first, count = span_of(stream, item)
    return {"span": np.array([first, count], np.int64)}


NO_SPAN = {"span": np.zeros(2, np.int64)}


# --- kernels ----------------------------------------------------------------------------------------------------------
def per_row(columns: Columns, numbers: Numbers, *names: str) -> list[Tensor]:
    """Numbers (rows, ...) of the items that the rows belong to, by name."""
    return [numbers[name].index_select(0, columns[ROW_ITEM]) for name in names]


def row_keys(columns: Columns, numbers: Numbers, name: str = "") -> RowKey:
    """The key of every row, (rows,) each, by the name that ``keyed`` gave it."""
    (key,) = per_row(columns, numbers, f"{name}key")
    return RowKey(key[:, 0], key[:, 1])


def noise_rows(columns: Columns) -> Tensor:
    """(rows,) int64, what the noise of rows is drawn by; see ``Ragged.noise_rows``."""
    numbers = columns[ROW_NUMBER]
    return numbers ^ (numbers >> 63)  # -1 less the number of one that was added


def normals(columns: Columns, numbers: Numbers, each: int = 0) -> Tensor:
    """A standard normal variate for every row (rows,), or ``each`` of them (rows, each), float64."""
    key, rows, lines = row_keys(columns, numbers), noise_rows(columns), numbers[LINES]
    if each:
        key, rows = RowKey(key.start[:, None], key.step[:, None]), cells(rows, each)
    return normal_by(lines, key, rows).to(torch.float64)


def hit(columns: Columns, numbers: Numbers, counted: Tensor) -> Tensor:
    """Whether each row is hit: the fraction of what is ``counted`` (rows,) lies below ``least`` of its item."""
    (below,) = per_row(columns, numbers, "least")
    found: Tensor = fractions(row_keys(columns, numbers), counted) < below
    return found


def without(columns: Columns, lost: Tensor) -> dict[str, Tensor]:
    """The columns after some rows (rows,) bool were lost."""
    return {VALID: ~lost if VALID not in columns else columns[VALID] > lost}  # in one kernel


def valid_rows(columns: Columns) -> Tensor:
    """(rows,) bool, which rows are there."""
    return columns[VALID] if VALID in columns else torch.ones_like(columns[ROW_ITEM], dtype=torch.bool)


def side_by_side(columns: Columns, numbers: Numbers, longest: int) -> tuple[Tensor, Tensor]:
    """The rows of the items beside one another, (items, longest) each: their numbers, and whether there are as many.

    Args:
        columns: of the block, which has some row. numbers: with ``span_numbers``. longest: ``longest_of`` the streams.
    """
    first, count = numbers["span"][:, :1], numbers["span"][:, 1:]
    place = torch.arange(longest, device=first.device)
    return (first + place).clamp(max=len(columns[ROW_ITEM]) - 1), place < count


def in_their_rows(found: Tensor, columns: Columns, numbers: Numbers) -> Tensor:
    """What was found side by side (items, longest), as (rows,); of items without a span anything."""
    (span,) = per_row(columns, numbers, "span")
    place = torch.arange(len(span), device=span.device) - span[:, 0]
    at = columns[ROW_ITEM] * found.shape[1] + place
    return found.flatten().index_select(0, at.clamp(0, found.numel() - 1))


def marks_of_nothing(columns: Columns, fills: tuple[tuple[str, Any], ...], rows: int) -> dict[str, Tensor]:
    """Values (rows, ...) of columns that say what points lie on, of points that lie on nothing."""
    return {
        n: columns[n].new_full((rows, *columns[n].shape[1:]), mark_of_nothing(fill, columns[n].dtype))
        for n, fill in fills
    }


def fresh_numbers(columns: Columns, numbers: Numbers, longest: int) -> Tensor:
    """(items,) int64, ``ROW_NUMBER`` of the first row that is added to each item."""
    if not len(columns[ROW_ITEM]):
        return torch.full_like(numbers["span"][:, 0], FIRST_ADDED)
    rows, there = side_by_side(columns, numbers, longest)
    before = torch.where(valid_rows(columns), noise_rows(columns), -1).index_select(0, rows.flatten()).view(rows.shape)
    return torch.where(there, before, -1).amax(1).clamp(min=FIRST_ADDED - 1) + 1


def with_rows(columns: Columns, more: Columns, numbers: Numbers) -> dict[str, Tensor]:
    """All columns of items whose rows moved or were joined by others (``Program.columns``).

    Args:
        columns: of the block. more: columns of the added rows (k, ...), item by item; those that it lacks are 0, and
            it has ``ROW_ITEM`` and ``ROW_NUMBER``. numbers: of the stage.
    """
    order, added = numbers[ORDER], len(more[ROW_ITEM]) if more else 0
    columns = {VALID: valid_rows(columns), **columns}
    out = {}
    for name, value in columns.items():
        if added:
            new = more[name].to(value.dtype) if name in more else value.new_zeros((added, *value.shape[1:]))
            value = torch.cat([value, new])
        out[name] = taken(value, order)
    return out
