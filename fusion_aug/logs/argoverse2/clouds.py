"""Clouds of Argoverse 2 in memory and in their files.

A file has the columns of the format and those that its owner added. The latter are carried point by point as plain
columns under their own names, which no motion changes, and are written in the type that they were read in. Scene flow
and classes of points, under the names that the API's evaluation of scene flow gives them, are what they say: ``flow``
(m) is turned, scaled and mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.feather import (
    is_number,
    is_plain,
    is_whole,
    of_type,
    read_arrow,
    read_table,
    schema_of,
    write_table,
)
from fusion_aug.logs.core.number_types import fitting, in_range
from fusion_aug.streams.lazy_columns import OF_NOBODY, UNLABELLED
from fusion_aug.streams.points import Points
from fusion_aug.streams.source import decoder, row_counter

COLUMNS = ("xyz", "intensity", "ring", "origin", "time_offset")  # in memory
IN_FILES = ("x", "y", "z", "intensity", "laser_number", "offset_ns")
USUAL = {"intensity": np.uint8, "laser_number": np.uint8, "offset_ns": np.int32}
FLOW = ("flow_tx_m", "flow_ty_m", "flow_tz_m")  # in files; ``flow`` in memory
IN_MEMORY = {"is_valid": "flow_valid", "is_dynamic": "flow_dynamic", "category_indices": "label"}  # beside a flow
NUMBERS = ("status", "true_range", "flow_valid", "flow_dynamic")  # columns that mean something in a cloud
REMEDY = "say which class points without one get with log.unlabelled=0, and returns from the air with log.air_label"
LASERS = 32  # of the first scanner; those of the second have numbers from here on


@decoder("argoverse_cloud")
def decode_cloud(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """x y z (float32), intensity, ring (laser number), origin (scanner), time_offset (s, float64), and own columns."""
    table = read_table(raw, path, IN_FILES, complete=True)
    laser = torch.from_numpy(table["laser_number"].astype(np.int64))
    return {
        "xyz": torch.from_numpy(np.stack([table[c].astype(np.float32) for c in "xyz"], 1)),
        "intensity": torch.from_numpy(table["intensity"].astype(np.float32)),
        "ring": laser,
        "origin": (laser >= LASERS).to(torch.int64),
        "time_offset": torch.from_numpy(table["offset_ns"].astype(np.float64) * 1e-9),
        **_own({n: c for n, c in table.items() if n not in IN_FILES}),
    }


@row_counter("argoverse_cloud")
def count_points(path: Path, size: int, options: dict[str, Any]) -> int:
    """Points of a sweep, by one of its columns."""
    return int(read_arrow(None, path, only=IN_FILES[-1:]).num_rows)


def own_columns(path: Path) -> list[str]:
    """Columns of a cloud's file that the format does not know.

    Raises:
        DataError: one holds neither numbers nor text, is called as a column of the format is in memory, or is a part
            of a flow.
    """
    own = [f for f in schema_of(path) if f.name not in IN_FILES]
    for field in own:
        if not is_plain(field.type):
            raise DataError(f"{path}: {field.name}: holds {field.type}, neither numbers nor text; take the column out")
        if field.name in (*COLUMNS, "flow"):
            raise DataError(f"{path}: {field.name}: is what a column of the format is called in memory; rename it")
        if field.name in OF_NOBODY and not is_whole(field.type):
            raise DataError(f"{path}: {field.name}: holds {field.type}, expected whole numbers of classes or objects")
        if field.name in NUMBERS and not is_number(field.type):
            raise DataError(f"{path}: {field.name}: holds {field.type}, expected numbers; rename the column")
    parts = [c for c in FLOW if c in [f.name for f in own]]
    if parts and len(parts) < len(FLOW):
        raise DataError(
            f"{path}: {parts[0]}: a part of a flow cannot be turned with the scene; give {', '.join(FLOW)}, or rename "
            f"the column"
        )
    names = in_memory([f.name for f in own])
    again = next((n for i, n in enumerate(names) if n in names[:i]), None)
    if again is not None:
        raise DataError(f"{path}: {again}: is what another column is called in memory; take one of them out")
    return list(names)


def in_memory(names: Sequence[str]) -> list[str]:
    """What columns of a file that are not the format's are called in a cloud, the three of a flow together."""
    if not all(c in names for c in FLOW):
        return list(names)
    return ["flow" if n == FLOW[0] else IN_MEMORY.get(n, n) for n in names if n not in FLOW[1:]]


def _own(table: dict[str, np.ndarray]) -> dict[str, Any]:
    """Columns that the format does not know, as a cloud holds them."""
    has_flow, out = all(c in table for c in FLOW), {}
    for name, column in table.items():
        if has_flow and name in FLOW:
            out["flow"] = torch.from_numpy(np.stack([table[c].astype(np.float32) for c in FLOW], 1))
            continue
        value, new = _rows(column), IN_MEMORY.get(name, name) if has_flow else name
        out[new] = value.to(torch.int64) if new in OF_NOBODY else value
    return out


def _rows(column: np.ndarray) -> Any:
    """A column that the format does not know, as a cloud holds it."""
    if column.dtype.kind == "U":
        return column
    # torch picks no rows of wide unsigned numbers; all bits come back where they are written
    wide = column.dtype.kind == "u" and column.dtype.itemsize > 1
    return torch.from_numpy(column.astype(np.int64 if wide else column.dtype))  # a copy, which may be written to


def write_cloud(
    cloud: Points, own: Sequence[str], before: Path | None, path: Path, unlabelled: int | None = None
) -> None:
    """Write a cloud whose points changed.

    Args:
        cloud: of one item, in the vehicle's frame. Coordinates are written in float32.
        own: its columns besides those of the format, all of them in the source's file.
        before: the source's file, which says how all others are stored; None for the types of the format.
        unlabelled: class that points without one are written as (``log.unlabelled``); None keeps them.

    Raises:
        DataError: a number of a class or of an object does not fit into the column of the source.
    """
    values = {n: v.detach().cpu().numpy() if isinstance(v, Tensor) else v for n, v in cloud.realized().values.items()}
    xyz = values["xyz"].astype(np.float32)
    columns: dict[str, Any] = {c: np.ascontiguousarray(xyz[:, i]) for i, c in enumerate("xyz")}
    stored = {} if before is None else {f.name: f.type for f in schema_of(before)}
    whole = {"intensity": values["intensity"], "laser_number": values["ring"], "offset_ns": values["time_offset"] * 1e9}
    for name, column in whole.items():
        kind = np.dtype(stored[name].to_pandas_dtype() if name in stored else USUAL[name])
        columns[name] = in_range(column, kind).astype(kind)
    if "flow" in own:
        values |= {c: np.ascontiguousarray(values["flow"][:, i]) for i, c in enumerate(FLOW)}
        values |= {n: values[new] for n, new in IN_MEMORY.items() if n in stored and new in values}
        own = [n for n in stored if n in values and n not in columns]
    for name in own:
        if name in OF_NOBODY or IN_MEMORY.get(name) in OF_NOBODY:
            column, what = values[name], f"{path.name}: {name}"
            if unlabelled is not None and name != "instance":
                column = np.where(column == UNLABELLED, unlabelled, column)
            values[name] = fitting(column, stored[name].to_pandas_dtype(), what, REMEDY)
        columns[name] = of_type(values[name], stored[name])
    write_table({n: columns[n] for n in (*stored, *columns) if n in columns}, path)
