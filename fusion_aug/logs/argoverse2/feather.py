"""Arrow Feather tables, through pyarrow (an extra)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import check_regular, read_regular
from fusion_aug.errors import DataError, MissingPackage
from fusion_aug.logs.core.new_files import new_path
from fusion_aug.safe.arrow import check_columns, check_declared, check_decoded, check_ipc

MAX_ROWS = 2**28
TEXTS = ("sensor_name", "track_uuid", "category")  # columns of the format that hold text


def read_arrow(raw: bytes | None, path: Path, names: Sequence[str] = (), only: Sequence[str] | None = None) -> Any:
    """A Feather table as pyarrow has it.

    Args:
        raw: the file's bytes; None reads the file.
        path: for messages.
        names: columns that must be there.
        only: columns to decode; None for all.

    Raises:
        DataError: the file is missing or damaged, lacks a column, or has one twice.
    """
    arrow = _pyarrow()
    try:
        data = read_regular(path) if raw is None else raw
        check_ipc(path, data)
        file = arrow.ipc.open_file(arrow.BufferReader(data))
        check_columns(file.schema.names, path)
        if only is not None:
            fields = [i for i, n in enumerate(file.schema.names) if n in only]
            options = arrow.ipc.IpcReadOptions(included_fields=fields)
            file = arrow.ipc.open_file(arrow.BufferReader(data), options=options)
        table = file.read_all()
        table.validate(full=True)  # offsets out of bounds would end the process later
        check_decoded(table, len(data), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except arrow.ArrowException as error:
        raise DataError(f"{path}: is not a Feather table ({str(error).splitlines()[0]})") from None
    missing = [n for n in names if n not in table.column_names]
    if missing:
        raise DataError(f"{path}: the column {missing[0]!r} is missing")
    if table.num_rows > MAX_ROWS:
        raise DataError(f"{path}: {table.num_rows} rows are more than allowed")
    return table


def read_table(raw: bytes | None, path: Path, names: Sequence[str], *, complete: bool = False) -> dict[str, np.ndarray]:
    """Columns of a Feather table by name; those that the format does not know are read too.

    Args:
        raw: the file's bytes; None reads the file.
        path: for messages.
        names: columns that must be there, of finite numbers, or of text (``TEXTS``).
        complete: whether no other column may have empty cells either.

    Raises:
        DataError: the file is missing or damaged, lacks a column, or a column holds something else.
    """
    table, out = read_arrow(raw, path, names), {}
    for name in table.column_names:
        column = table.column(name)
        if column.null_count and (complete or name in names):
            raise DataError(f"{path}: {name}: holds {column.null_count} empty cells")
        array = column.to_numpy()
        if array.dtype == object:
            texts = [str(v) for v in array]
            check_declared(4 * len(texts) * max(map(len, texts), default=0), table.nbytes, f"{path}: {name}")
            array = np.array(texts, dtype=np.str_)  # each as long as the longest
        if name in names and (array.dtype.kind not in "biuf") != (name in TEXTS):
            raise DataError(f"{path}: {name}: expected {'text' if name in TEXTS else 'numbers'}, got {column.type}")
        if name in names and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(f"{path}: {name}: holds a number that is not finite")
        out[name] = array
    return out


def schema_of(path: Path) -> Any:
    """Names and types of the columns of a Feather table, from its head alone.

    Raises:
        DataError: the file is missing or damaged.
    """
    arrow = _pyarrow()
    try:
        check_regular(path)
        with arrow.memory_map(str(path)) as file:
            return arrow.ipc.open_file(file).schema
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    except arrow.ArrowException as error:
        raise DataError(f"{path}: is not a Feather table ({str(error).splitlines()[0]})") from None


def write_table(columns: Mapping[str, Any], path: Path) -> None:
    """Write a Feather table; a crash leaves no half-written file behind under its name.

    Args:
        columns: name -> NumPy array, or a column of a table of ``read_arrow``.
    """
    arrow = _pyarrow()
    is_text = {k: isinstance(v, np.ndarray) and v.dtype.kind == "U" for k, v in columns.items()}
    table = arrow.table({k: arrow.array(v.tolist(), arrow.string()) if is_text[k] else v for k, v in columns.items()})
    part = path.with_name(path.name + ".part")
    with arrow.OSFile(str(new_path(part)), "wb") as sink, arrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    part.replace(path)


def with_own_columns(columns: Mapping[str, np.ndarray], before: Any, rows: Sequence[int | None]) -> dict[str, Any]:
    """Columns of a table that is written again, with what the source has besides them.

    Args:
        columns: those of the format, (n,) each. They get the type that the source's column has, but for coordinates of
            half precision, which a motion needs more digits for.
        before: the source's table. rows: (n,) row of the source behind each row; None leaves its other cells empty.

    Returns:
        name -> column, in the order of the source.
    """
    arrow = _pyarrow()
    index = arrow.array(rows, arrow.int64())
    out: dict[str, Any] = {}
    for name in before.column_names:
        own = columns.get(name)
        if own is None:
            out[name] = before.column(name).take(index)
            continue
        out[name] = of_type(own, before.schema.field(name).type)
    return {**out, **{n: c for n, c in columns.items() if n not in out}}


def is_plain(kind: Any) -> bool:
    """Whether a type of Arrow is one of numbers or of text."""
    types = _pyarrow().types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind)
    return bool(text or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def is_number(kind: Any) -> bool:
    """Whether a type of Arrow is one of numbers, or of True and False."""
    types = _pyarrow().types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def is_whole(kind: Any) -> bool:
    """Whether a type of Arrow is one of whole numbers."""
    return bool(_pyarrow().types.is_integer(kind))


def of_type(column: np.ndarray, kind: Any) -> Any:
    """A column in the type that the source stores it in; half precision becomes what the column has."""
    arrow = _pyarrow()
    if arrow.types.is_dictionary(kind):
        return arrow.array(column.tolist(), kind.value_type).dictionary_encode()
    if column.dtype.kind == "U":
        return arrow.array(column.tolist(), arrow.string()).cast(kind)
    return column if arrow.types.is_float16(kind) else column.astype(kind.to_pandas_dtype())


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError:
        raise MissingPackage("Feather files need the package pyarrow: pip install '.[argoverse]'") from None
    return pyarrow
