"""Typed columns moved by the numbers of motions of every item, on any device and without a look at a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams.columns import RULES
from fusion_aug.streams.on_device import ROW_ITEM

RIGID = 1e-12  # from 1, of scales that are none


class MovedColumn(NamedTuple):
    """A column and the motions that it follows: names among those of the numbers, empty for none."""

    name: str
    kind: str
    frame: str
    body: str
    scaled: bool


class Kind(NamedTuple):
    """What is known on the host of a motion, of all items together."""

    is_rigid: bool
    keeps_axes: bool


def kind_of(motion: Motion) -> Kind:
    """Whether no item's motion scales, and whether all keep the axes but for signs and lengths."""
    return Kind(motion.is_rigid or bool(((motion.scale - 1).abs() < RIGID).all()), motion.keeps_axes)


def motion_numbers(name: str, motion: Motion, items: int) -> list[dict[str, Any]]:
    """The numbers of a motion, item by item, for ``move_rows``.

    Args:
        name: of the motion. motion: (n) or (1) for all. items: how many.

    Raises:
        DataError: a gradient is asked of it.
    """
    if motion.matrix.requires_grad:
        raise DataError("a motion on a device carries no gradient; detach its parameters, or move before batch.to(...)")
    parts = {"matrix": motion.matrix, "inverse": motion.inverse_matrix, "scale": motion.scale, "sign": motion.sign}
    arrays = {f"{name}.{k}": v.expand(items, *v.shape[1:]).numpy() for k, v in parts.items()}
    return [{k: v[i] for k, v in arrays.items()} for i in range(items)]


def no_motion(names: Sequence[str]) -> dict[str, Any]:
    """The numbers of motions that move nothing."""
    still = motion_numbers("", Motion.identity(), 1)[0]
    return {name + key: value for name in names for key, value in still.items()}


def move_rows(
    columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], moved: Sequence[MovedColumn],
    kinds: Sequence[tuple[str, Kind]],
) -> dict[str, Tensor]:  # fmt: skip
    """Every column by the rule of its kind (``streams.columns.RULES``).

    Args:
        columns: of a block. numbers: ``motion_numbers``, (items, ...). moved: which columns and how.
        kinds: of every motion, by name.

    Returns:
        the columns that moved.
    """
    known = dict(kinds)

    @cache
    def motion(name: str, dtype: torch.dtype) -> Motion | None:
        if not name:
            return None
        rows = columns[ROW_ITEM]
        matrix, inverse, scale, sign = (
            numbers[f"{name}.{part}"].to(dtype).index_select(0, rows) for part in ("matrix", "inverse", "scale", "sign")
        )
        return Motion.known(matrix, scale, sign, inverse, *known[name])

    out = {}
    for name, kind, frame, body, scaled in moved:
        value = columns[name]
        out[name] = RULES[kind](value, motion(frame, value.dtype), motion(body, value.dtype), scaled)
    return out
