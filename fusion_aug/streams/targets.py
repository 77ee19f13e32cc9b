"""What points lie on, and what is known of those that lie on nothing: returns from the air, ghosts, clutter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.streams.columns import Column, Values
from fusion_aug.streams.lazy_columns import CLASSES, UNLABELLED
from fusion_aug.streams.points import Points


def target_columns(cloud: Points) -> dict[str, Column]:
    """Columns of a cloud that say what a point lies on: classes, instances, motions of objects."""
    table = cloud.column_types
    return {n: table[n] for n in cloud.values if n in table and table[n].of_target}


def on_nothing(cloud: Points, values: Mapping[str, Values], rows: Tensor) -> dict[str, Values]:
    """Columns of what points lie on, where some of them lie on nothing any more.

    Classes are the cloud's ``air_label`` there, text is empty, vectors are NaN, and other numbers have the column's
    ``fill``, else -1, of types without it the largest number.

    Args:
        cloud: what the columns are of. values: its columns (n, ...), or those of some rows. rows: (n,) bool or indices.
    """
    out: dict[str, Values] = {}
    for name, column in target_columns(cloud).items():
        out[name] = value = values[name].copy() if isinstance(values[name], np.ndarray) else values[name].clone()
        if isinstance(value, np.ndarray):
            value[rows.cpu().numpy()] = ""
        else:
            value[rows.to(value.device)] = mark_of_nothing(fill_of_nothing(cloud, column), value.dtype)
    return out


def fill_of_nothing(cloud: Points, column: Column) -> float | None:
    """What a column of a cloud is filled with where a point lies on nothing; None where nothing is declared."""
    return cloud.air_label if column.name in CLASSES else column.fill


def mark_of_nothing(fill: float | None, dtype: torch.dtype) -> Any:
    """The value of a type that says that a point lies on nothing.

    Args:
        fill: of ``fill_of_nothing``. dtype: of the column.
    """
    if dtype.is_floating_point:
        return float("nan") if fill is None else float(fill)
    value = UNLABELLED if fill is None else int(fill)
    if dtype == torch.bool:
        return False
    least, most = torch.iinfo(dtype).min, torch.iinfo(dtype).max
    return value if least <= value <= most else most
