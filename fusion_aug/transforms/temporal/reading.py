"""Continuous signals between their samples."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.resample import bracket, nearest
from fusion_aug.streams import RobotVector, Stream
from fusion_aug.streams.columns import Column
from fusion_aug.streams.dropped import with_dropped
from fusion_aug.streams.resample import read_at
from fusion_aug.streams.rotations import form_of, turn_at, turned_after, turns_over_steps

TOTAL = Column("total", "plain")  # linear


def interpolate_signal(stream: Stream, name: str, at: Tensor, ends: Tensor) -> Stream:
    """A signal of one sample at other times, every column by its method of resampling.

    Dropped items are not interpolated: what lies beside one is not ``present`` either. An item keeps the delay of its
    nearest reading. What a command changes per step is summed over each new step.

    Args:
        stream: the signal. name: of it, for messages.
        at: (n,) int64 ns by the stream's own clock. Before its first and after its last reading, those are taken.
        ends: (n,) int64 ns, ends of the steps that begin ``at``.

    Raises:
        DataError: its capture times are not sorted.
    """
    old = stream.capture_times
    if bool((old.diff() < 0).any()):
        late = int((old.diff() < 0).nonzero()[0, 0]) + 1
        raise DataError(f"stream {name!r}: times: item {late} is earlier than the one before; sort the items by time")
    if not bool(stream.present.all()):
        before, after, _ = bracket(old, at)
        both_present = stream.present[before] & stream.present[after]
        known = stream.present.nonzero()[:, 0]
        whole = stream if len(known) == 0 else stream.take_items(known)
        whole = replace(whole, present=torch.ones(len(whole), dtype=torch.bool))
        return with_dropped(interpolate_signal(whole, name, at, ends), ~both_present)
    beside = nearest(old, at)
    base, read = stream.take_items(beside), torch.where(old[beside] == at, stream.item_numbers[beside], -1)
    table = stream.column_types
    values = {n: read_at(v, table[n], old, at) if n in table else base.values[n] for n, v in stream.values.items()}
    if isinstance(stream, RobotVector):
        for n in (n for n in stream.per_step if n in values):
            values[n] = joined_steps(stream.values[n], table[n], old, at, ends, _turns_beside(stream, table[n]))
    stamps = None if stream.receive_times is None else at + (base.arrival_times - base.capture_times)
    return replace(base, capture_times=at, receive_times=stamps, values=values, source_items=read)


def step_ends(times: Tensor) -> Tensor:
    """Ends (n,) ns of the steps that begin at times (n,): the next time; the last step has the median length."""
    last = int(times.diff().median()) if len(times) > 1 else 0
    return torch.cat([times[1:], times[-1:] + last])


def _turns_beside(stream: RobotVector, column: Column) -> Tensor | None:
    """How far (k + 1, 3, 3) a body turns whose own axes a column of shifts is along; None of any other column."""
    if not column.in_child_frame or form_of(column):
        return None
    table = stream.column_types
    found = [n for n in stream.per_step if n in stream.values and table[n].in_child_frame and form_of(table[n])]
    return turned_after(stream.values[found[0]], table[found[0]]) if found else None


def joined_steps(
    value: Tensor, column: Column, old: Tensor, at: Tensor, ends: Tensor, turns: Tensor | None = None
) -> Tensor:
    """Changes per step (k, w) at times (k,), joined from ``at`` to ``ends`` (n,): summed, rotations multiplied.

    Steps whose limits are the old ones keep their bits.

    Args:
        turns: (k + 1, 3, 3) rotation of the body whose own axes the changes are along.
    """
    if len(old) < 2:
        return value[:1].expand(len(at), *value.shape[1:])
    knots = torch.cat([old, step_ends(old)[-1:]])
    if form_of(column):
        joined = turns_over_steps(value, column, knots, at, ends)
    elif turns is not None:
        joined = shifts_over_steps(value, turns, knots, at, ends)
    else:
        joined = sum_over_steps(value, old, at, ends)
    first = torch.searchsorted(knots, at).clamp(max=len(old) - 1)
    same = (knots[first] == at) & (knots[first + 1] == ends)
    return torch.where(same[:, None], value[first], joined)


def shifts_over_steps(value: Tensor, turns: Tensor, knots: Tensor, at: Tensor, ends: Tensor) -> Tensor:
    """Shifts per step (k, 3) along the axes that a body has then, joined from ``at`` to ``ends`` (n,), all int64 ns.

    The body's way in the axes of its first step is straight in between, and is told along its axes ``at`` each time:
    ``p = R(at)^T (sum of R_k p_k until ends - until at)``, so that the new steps, one after another, lead as the old.

    Args:
        turns: (k + 1, 3, 3) rotation of the body before every step and after the last. knots: (k + 1,) ns, of these.
    """
    way = (turns[:-1] @ value.to(torch.float64)[..., None])[..., 0]
    total = torch.cat([torch.zeros_like(way[:1]), way.cumsum(0)])
    first, last = (read_at(total, TOTAL, knots, times) for times in (at, ends))
    back = turn_at(turns, knots, at).transpose(1, 2)
    return (back @ (last - first)[..., None])[..., 0].to(value)


def sum_over_steps(value: Tensor, old: Tensor, at: Tensor, ends: Tensor) -> Tensor:
    """Changes per step (k, w) at times (k,), summed from ``at`` to ``ends`` (n,), all int64 ns."""
    if len(old) < 2:
        return value[:1].expand(len(at), *value.shape[1:])
    exact = value.to(torch.float64)
    total = torch.cat([torch.zeros_like(exact[:1]), exact.cumsum(0)])
    knots = torch.cat([old, step_ends(old)[-1:]])
    first, last = (read_at(total, TOTAL, knots, times) for times in (at, ends))
    if not value.is_floating_point():  # whole numbers stay whole, and their sum stays
        first, last = first.round(), last.round()
    return (last - first).to(value)
