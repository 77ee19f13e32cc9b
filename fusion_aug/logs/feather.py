"""Arrow Feather tables, through pyarrow (an extra)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError, FusionAugError

MAX_ROWS = 2**28


def read_table(raw: bytes | None, path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of a Feather table by name, others left out.

    Args:
        raw: the file's bytes; None reads the file.
        path: for messages.
        names: columns that must be there.

    Raises:
        DataError: the file is missing or damaged, lacks a column, or a column holds what is neither number nor text.
    """
    arrow = _pyarrow()
    try:
        data = path.read_bytes() if raw is None else raw
        table = arrow.ipc.open_file(arrow.BufferReader(data)).read_all()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except arrow.ArrowException as error:
        raise DataError(f"{path}: is not a Feather table ({str(error).splitlines()[0]})") from None
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise DataError(f"{path}: the column {missing[0]!r} is missing")
    if table.num_rows > MAX_ROWS:
        raise DataError(f"{path}: {table.num_rows} rows are more than allowed")
    out = {}
    for name in table.column_names:
        column = table.column(name)
        if column.null_count and name in names:
            raise DataError(f"{path}: {name}: holds {column.null_count} empty cells")
        array = column.to_numpy()
        if array.dtype == object:
            array = np.array([str(v) for v in array], dtype=np.str_)
        if array.dtype.kind not in "biufU" and name in names:
            raise DataError(f"{path}: {name}: columns of type {array.dtype} are not read")
        out[name] = array
    return out


def write_table(columns: Mapping[str, Any], path: Path) -> None:
    """Write a Feather table; a crash leaves no half-written file behind under its name."""
    arrow = _pyarrow()
    path.parent.mkdir(parents=True, exist_ok=True)
    table = arrow.table({k: v.tolist() if v.dtype.kind == "U" else v for k, v in columns.items()})
    part = path.with_name(path.name + ".part")
    with arrow.OSFile(str(part), "wb") as sink, arrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    part.replace(path)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise FusionAugError("Feather files need pyarrow: pip install 'fusion_aug[argoverse]'") from None
    return pyarrow
