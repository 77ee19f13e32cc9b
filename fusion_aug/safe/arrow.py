"""What tables of Arrow and Parquet declare, compared with the size of their file before they are read.

A buffer that says it holds 8 GiB when it is unpacked, or a column of 10^9 empty cells, takes a few bytes in a file.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.safe.guard import reads_file

SMALL_BYTES, MOST_PACKED, MOST_BYTES = 2**28, 200, 8 * 2**30  # of any file, per byte of it, and of the largest
CELL_BYTES = 8
MAGIC, BLOCK = b"ARROW1", 24


def check_declared(declared: int, size: int, where: Any) -> None:
    """Raise if what a file declares is more than a file of its size holds.

    Args:
        declared: bytes of all that it says it holds. size: of the file, bytes. where: file, for messages.

    Raises:
        DataError: it is.
    """
    most = most_of(size)
    if declared > most:
        raise DataError(f"{where}: declares {declared:,} bytes of data, more than the {most:,} of a file of its size")


def check_columns(names: Sequence[str], where: Any) -> None:
    """Raise if two columns of a table have one name, so that nobody can say which of them is meant.

    Args:
        names: of all columns. where: file, for messages.

    Raises:
        DataError: two do.
    """
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        count = list(names).count(twice)
        raise DataError(f"{where}: the column {twice!r} is there {count} times; give each a name of its own")


def most_of(size: int) -> int:
    """The most bytes that a file of a size may stand for."""
    return min(MOST_BYTES, SMALL_BYTES + MOST_PACKED * size)


@reads_file
def check_parquet(path: Path) -> None:
    """Raise unless a Parquet file declares what a file of its size can hold.

    Raises:
        DataError: it does not, or is damaged.
    """
    from pyarrow import parquet

    found, size = parquet.read_metadata(path), path.stat().st_size
    packed, cells, texts = 0, 0, Counter[str]()
    for group in (found.row_group(i) for i in range(found.num_row_groups)):
        packed += group.total_byte_size
        for i in range(found.num_columns):
            column = group.column(i)
            cells += column.num_values * max(CELL_BYTES, found.schema.column(i).length)  # of fixed length, or 0
            if column.physical_type == "BYTE_ARRAY":
                texts[column.path_in_schema] += column.num_values * column.total_uncompressed_size
    check_declared(max(packed, cells), size, path)
    # a text that is written once may stand in every row: where that could be too much, it is counted
    long = [name for name, most in texts.items() if most > most_of(size)]
    if long:
        check_decoded(parquet.ParquetFile(path, read_dictionary=long).read(columns=long), size, path)


def check_decoded(table: Any, size: int, where: Any) -> None:
    """Raise if the cells of a table, with what dictionaries hold in every row, are more than its file can hold.

    Args:
        table: of pyarrow. size: of its file, bytes. where: file, for messages.

    Raises:
        DataError: they are.
    """
    check_declared(sum(_decoded_bytes(chunk) for column in table.columns for chunk in column.chunks), size, where)


def _decoded_bytes(array: Any) -> int:
    """Bytes of an array of pyarrow without dictionaries."""
    import pyarrow as pa
    from pyarrow import compute, types

    kind = array.type
    if types.is_dictionary(kind):
        texts, width = array.dictionary, kind.value_type
        if not any(test(width) for test in (types.is_string, types.is_binary, types.is_large_string)):
            return len(array) * max(CELL_BYTES, texts.nbytes)
        lengths = compute.binary_length(texts).cast(pa.int64())
        return int(compute.sum(compute.take(lengths, array.indices)).as_py() or 0)
    if types.is_struct(kind):
        return sum(_decoded_bytes(array.field(i)) for i in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _decoded_bytes(array.flatten())
    return int(array.nbytes)


@reads_file
def check_ipc(path: Path, data: bytes) -> None:
    """Raise unless a file of Arrow's (Feather) declares what a file of its size can hold.

    Raises:
        DataError: it does not, or is damaged.
    """
    if len(data) < 2 * len(MAGIC) + 4 or data[-len(MAGIC) :] != MAGIC:
        raise DataError(f"{path}: is not a Feather table (it does not end as one)")
    end = len(data) - len(MAGIC) - 4
    footer = _Table(data, end - _number("<i", data, end))
    declared, cells = 0, 0
    for kind in (2, 3):  # dictionaries, batches of rows
        for at in footer.vector(kind, BLOCK):
            start, length = _number("<q", data, at), _number("<i", data, at + 8)
            message = _Table(data, start + (8 if data[start : start + 4] == b"\xff" * 4 else 4)).table(2)
            batch = message.table(1) if kind == 2 else message
            body = start + length
            for place in batch.vector(2, 16):
                offset, size = _number("<q", data, place), _number("<q", data, place + 8)
                packed = batch.has(3) and size >= 8
                unpacked = _number("<q", data, body + offset) if packed else size
                declared += max(unpacked, size)
            cells += max(batch.number(0), sum(max(0, _number("<q", data, at)) for at in batch.vector(1, 16)))
    check_declared(max(declared, cells * CELL_BYTES), len(data), path)


def _number(form: str, data: bytes, at: int) -> int:
    found: int = struct.unpack_from(form, data, at)[0] if at >= 0 else 0
    return found


class _Table:
    """A table of FlatBuffers (https://flatbuffers.dev/internals/): what Arrow keeps its metadata in.

    Args:
        data: all bytes. at: place of the offset to the table.
    """

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at + _number("<i", data, at)
        self.names = self.at - _number("<i", data, self.at)

    def has(self, field: int) -> int:
        """Place of a field from the table, 0 where it has none."""
        place = 4 + 2 * field
        return _number("<H", self.data, self.names + place) if place < _number("<H", self.data, self.names) else 0

    def number(self, field: int) -> int:
        """A number of 64 bits."""
        return _number("<q", self.data, self.at + self.has(field)) if self.has(field) else 0

    def table(self, field: int) -> _Table:
        """A table within."""
        if not self.has(field):
            raise ValueError("its metadata lack a field")
        return _Table(self.data, self.at + self.has(field))

    def vector(self, field: int, size: int) -> Iterator[int]:
        """Places of the entries of a vector, ``size`` bytes each."""
        if not self.has(field):
            return
        at = self.at + self.has(field)
        at += _number("<I", self.data, at)
        count = _number("<I", self.data, at)
        if count * size > len(self.data):
            raise ValueError("its metadata name more entries than it has")
        first = at + 4
        yield from (first + size * k for k in range(count))
