"""One table of a nuScenes log: where its rows lie in the file, and by which values they are found."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.nuscenes.index import Index, value_digest
from fusion_aug.logs.nuscenes.records import record_at_start, records
from fusion_aug.logs.nuscenes.steady import SteadyFile

Row = dict[str, Any]
MAX_BYTES = 32 * 2**30  # of a file, so that numbers of rows take 32 bits
KEPT_ROWS = 1024  # that are at hand: the records of some samples


class Table:
    """Rows of a table in the order of the file. They are parsed when they are asked for.

    Memory holds 32 bytes of every row (its place, and its token's digest), and for every field of ``found_by`` 4 more
    and 20 of every value that occurs. Rows that were asked for lately are kept; whoever gets one does not change it.

    Args:
        path: of the file.
        check: raises where a field of a row is wrong; it is called once with every row.
        found_by: fields by whose value rows are found, besides their token.

    Raises:
        DataError: it cannot be read, or is no list of records with tokens that differ.
    """

    def __init__(self, path: Path, check: Callable[[Row], None], found_by: Sequence[str] = ()):
        self._file = SteadyFile(path)
        self._kept: Kept[int, Row] = Kept(KEPT_ROWS)
        self._named: Kept[str, Row | None] = Kept(KEPT_ROWS)  # the same by their tokens
        if self._file.size > MAX_BYTES:
            raise DataError(f"{path}: is larger than {MAX_BYTES >> 30} GiB")
        places, digests = array("q"), {field: bytearray() for field in ("token", *found_by)}
        self.fields: set[str] = set()  # that occur
        columns, is_list_of_records = list(digests.items()), True
        for place, row in self._entries():
            if not isinstance(row, dict) or "token" not in row:
                is_list_of_records = False  # said at the end, as the rest may be no JSON at all
                continue
            check(row)
            places.append(place)
            self.fields.update(row)
            for field, column in columns:
                column += value_digest(row[field])
        if not is_list_of_records:
            raise DataError(f"{path}: expected a list of records with a token each")
        places.append(self._file.size)
        self._places = np.frombuffer(places, np.int64)
        self._found_by = {field: Index(digests.pop(field)) for field in list(digests)}
        again = self._found_by["token"].repeated()
        if again is not None:
            raise DataError(f"{path}: {self[again]['token']}: two records have the same token")

    def _entries(self) -> Iterator[tuple[int, Any]]:
        return records(self._file.read, str(self._file.path))

    def __len__(self) -> int:
        return len(self._places) - 1

    def __iter__(self) -> Iterator[Row]:
        """All rows, of which none stays in memory."""
        return (row for _, row in self._entries())

    def __getitem__(self, number: int) -> Row:
        return self._kept.get(number, self._parsed)

    def _parsed(self, number: int) -> Row:
        place, stop = self._places[number : number + 2].tolist()
        row = record_at_start(self._file.read(place, stop - place))
        assert isinstance(row, dict)
        return row

    @property
    def tokens(self) -> Index:
        """The tokens of all rows."""
        return self._found_by["token"]

    def numbers(self, field: str, value: Any) -> list[int]:
        """Numbers of the rows whose field, one of those that rows are found by, has a value, in order."""
        return self._found_by[field].rows(value)

    def having(self, field: str, values: Iterable[Any]) -> np.ndarray:
        """(rows,) bool, whether the field of a row has one of some values."""
        found = np.zeros(len(self), bool)
        for value in values:
            found[self.numbers(field, value)] = True
        return found

    def of(self, field: str, value: Any) -> list[Row]:
        """The rows whose field, one of those that rows are found by, has a value, in the order of the file."""
        numbers = self.numbers(field, value)
        held = self._kept.held(numbers)
        return [self[number] for number in numbers] if held is None else held

    def first_of(self, field: str, value: Any) -> Row | None:
        """The first of them; None where there is none."""
        is_name = field == "token" and isinstance(value, str)  # a token may be anything
        return self._named.get(value, self._called) if is_name else self._first(field, value)

    def _called(self, token: str) -> Row | None:
        return self._first("token", token)

    def _first(self, field: str, value: Any) -> Row | None:
        number = self._found_by[field].first(value)
        return None if number is None else self[number]
