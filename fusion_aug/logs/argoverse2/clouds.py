"""Clouds of Argoverse 2 in memory and in their files.

A file has the columns of the format and those that its owner added. The latter are carried point by point as plain
columns under their own names, which no motion changes, and are written in the type that they were read in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.feather import is_plain, of_type, read_arrow, read_table, schema_of, write_table
from fusion_aug.streams.points import Points
from fusion_aug.streams.source import decoder, row_counter

COLUMNS = ("xyz", "intensity", "ring", "origin", "time_offset")  # in memory
IN_FILES = ("x", "y", "z", "intensity", "laser_number", "offset_ns")
USUAL = {"intensity": np.uint8, "laser_number": np.uint8, "offset_ns": np.int32}
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
        **{n: _rows(c) for n, c in table.items() if n not in IN_FILES},
    }


@row_counter("argoverse_cloud")
def count_points(path: Path, size: int, options: dict[str, Any]) -> int:
    """Points of a sweep, by one of its columns."""
    return int(read_arrow(None, path, only=IN_FILES[-1:]).num_rows)


def own_columns(path: Path) -> list[str]:
    """Columns of a cloud's file that the format does not know.

    Raises:
        DataError: one holds neither numbers nor text, or is called as a column of the format is in memory.
    """
    own = [f for f in schema_of(path) if f.name not in IN_FILES]
    for field in own:
        if not is_plain(field.type):
            raise DataError(f"{path}: {field.name}: holds {field.type}, neither numbers nor text; take the column out")
        if field.name in COLUMNS:
            raise DataError(f"{path}: {field.name}: is what a column of the format is called in memory; rename it")
    return [f.name for f in own]


def _rows(column: np.ndarray) -> Any:
    """A column that the format does not know, as a cloud holds it."""
    if column.dtype.kind == "U":
        return column
    # torch picks no rows of wide unsigned numbers; all bits come back where they are written
    wide = column.dtype.kind == "u" and column.dtype.itemsize > 1
    return torch.from_numpy(column.astype(np.int64 if wide else column.dtype))  # a copy, which may be written to


def write_cloud(cloud: Points, own: Sequence[str], before: Path | None, path: Path) -> None:
    """Write a cloud whose points changed.

    Args:
        cloud: of one item, in the vehicle's frame. Coordinates are written in float32.
        own: its columns besides those of the format, all of them in the source's file.
        before: the source's file, which says how all others are stored; None for the types of the format.
    """
    values = {n: v.detach().cpu().numpy() if isinstance(v, Tensor) else v for n, v in cloud.realized().values.items()}
    xyz = values["xyz"].astype(np.float32)
    columns: dict[str, Any] = {c: np.ascontiguousarray(xyz[:, i]) for i, c in enumerate("xyz")}
    stored = {} if before is None else {f.name: f.type for f in schema_of(before)}
    whole = {"intensity": values["intensity"], "laser_number": values["ring"], "offset_ns": values["time_offset"] * 1e9}
    for name, column in whole.items():
        kind = np.dtype(stored[name].to_pandas_dtype() if name in stored else USUAL[name])
        columns[name] = _in_range(column, kind).astype(kind)
    columns |= {n: of_type(values[n], stored[n]) for n in own}
    write_table({n: columns[n] for n in (*stored, *columns) if n in columns}, path)


def _in_range(values: np.ndarray, kind: np.dtype[Any]) -> np.ndarray:
    """Numbers that a type can hold: rounded and clipped where it is one of whole numbers."""
    if kind.kind not in "iu":
        return values
    limits = np.iinfo(kind)
    return np.round(values).clip(limits.min, limits.max)
