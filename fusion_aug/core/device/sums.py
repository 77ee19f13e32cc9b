"""What is added to readings on a device, where it follows from times and keys alone: it is worked out on the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.registry import Call
from fusion_aug.streams import Stream
from fusion_aug.streams.on_device import ROW_ITEM

S = TypeVar("S", bound=Stream)


def planned_sums(stream: S, call: Call, parts: Iterable[tuple[str, Tensor, Tensor]]) -> S:
    """The stream with a stage in the plan that adds to columns.

    Args:
        stream: one row an item. call: the application of the transform to it.
        parts: a column, indices (k,) of items, and what these get, (k, ...) float64.
    """
    sums: dict[str, Tensor] = {}
    for column, mine, extra in parts:
        total = sums.setdefault(column, torch.zeros((len(stream), *extra.shape[1:]), dtype=torch.float64))
        total[mine] += extra
    if not sums:
        return stream
    arrays = {column: total.numpy() for column, total in sums.items()}
    numbers = [{column: total[i] for column, total in arrays.items()} for i in range(len(stream))]
    neutral = {column: total[0] * 0.0 for column, total in arrays.items()}
    values = call.program.columns(_added, stream.values, numbers, neutral, names=tuple(sums))
    return replace_unchecked(stream, values=values)


def _added(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], names: tuple[str, ...]) -> dict[str, Tensor]:
    return {n: columns[n] + numbers[n].to(columns[n].dtype).index_select(0, columns[ROW_ITEM]) for n in names}
