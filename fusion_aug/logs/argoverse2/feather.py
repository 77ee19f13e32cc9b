"""Arrow Feather tables, through pyarrow (an extra)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError, FusionAugError

MAX_ROWS = 2**28


def read_table(
    raw: bytes | None,
    path: Path,
    names: Sequence[str],
    texts: Sequence[str] = ("sensor_name", "track_uuid", "category"),
) -> dict[str, np.ndarray]:
    """Columns of a Feather table by name, others left out.

    Args:
        raw: the file's bytes; None reads the file.
        path: for messages.
        names: columns that must be there, of finite numbers.
        texts: those of them that hold text.

    Raises:
        DataError: the file is missing or damaged, lacks a column, or a column holds something else.
    """
    arrow = _pyarrow()
    try:
        data = path.read_bytes() if raw is None else raw
        table = arrow.ipc.open_file(arrow.BufferReader(data)).read_all()
        table.validate(full=True)  # offsets out of bounds would end the process later
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
        if name in names and (array.dtype.kind not in "biuf") != (name in texts):
            raise DataError(f"{path}: {name}: expected {'text' if name in texts else 'numbers'}, got {column.type}")
        if name in names and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{path}: {name}: holds a number that is not finite")
        out[name] = array
    return out


def write_table(columns: Mapping[str, Any], path: Path) -> None:
    """Write a Feather table; a crash leaves no half-written file behind under its name."""
    arrow = _pyarrow()
    path.parent.mkdir(parents=True, exist_ok=True)
    table = arrow.table(
        {k: arrow.array(v.tolist(), arrow.string()) if v.dtype.kind == "U" else v for k, v in columns.items()}
    )
    part = path.with_name(path.name + ".part")
    with arrow.OSFile(str(part), "wb") as sink, arrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    part.replace(path)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise FusionAugError("Feather files need pyarrow, the extra 'argoverse': pip install pyarrow") from None
    return pyarrow
