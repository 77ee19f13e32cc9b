"""The files that a run over a log reads: what shows a change of them, written once and compared at the end.

A line for each file::

    SIZE DATE CTIME NAME    of the log: bytes, and when it was written and when anything of it was changed (ns)
    SIZE DIGEST - NAME      of options and plugins, which are few and small

The ctime of a file is another where it was copied, linked or given other rights, and so it is told and not refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from fusion_aug.errors import DataError
from fusion_aug.logs.core.account import selection
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.remote.mirror import Mirror
from fusion_aug.logs.remote.store import Object

_in_quotes = json.JSONEncoder().encode  # a name may hold line ends


class Difference(NamedTuple):
    """How two lists of lines differ.

    Attributes:
        change: what is said of the first file that is not the same; None where there is none.
        touched: how many files have their size and date and another ctime. example: name of the first.
    """

    change: str | None
    touched: int
    example: str


def input_lines(log: Log) -> Iterator[str]:
    """One line for every file of the selected samples and of the options, and of others that are read for them.

    What no part of the format knows, or is said to be for people, is not read, so it may come and go. Below the root
    names are relative. Of a log in a store each file has its tag there in place of its dates.
    """
    for path in log.option_files():
        found = log.mirror.found(path) if log.mirror else None
        yield _object_line(found) if found else content_line(path, str(path.absolute()))
    knows_parts, is_selected = bool(log.format.contents), (lambda _: True) if log.reads_neighbours else selection(log)
    beside = set() if log.options.select is None else _names(log.files_beside(), log.root)
    for name, line in _objects(log.mirror) if log.mirror else _files(log):
        part = log.part_of(name) if knows_parts else None
        if (not knows_parts or (part is not None and part.is_read)) and (is_selected(name) or name in beside):
            yield line()


def _names(paths: Iterable[Path], root: Path) -> set[str]:
    """Names from the root, with slashes, of what lies below it."""
    return {path.relative_to(root).as_posix() for path in paths if path.is_relative_to(root)}


def _files(log: Log) -> Iterator[tuple[str, Callable[[], str]]]:
    """Name of every file below the root, and what makes its line."""
    for entry in log.tree.files():
        if entry.refusal is None:
            name = log.tree.name_of(entry)
            yield name, partial(_line, entry.found, name)


def _objects(mirror: Mirror) -> Iterator[tuple[str, Callable[[], str]]]:
    """The same of a store, as it was last listed, with its tags for dates; dates here are those of the cache."""
    for found in mirror.latest:
        yield found.name, partial(_object_line, found)


def _object_line(found: Object) -> str:
    return f"{found.size} {found.tag} - {_in_quotes(found.name)[1:-1]}"


def _line(path: str, name: str) -> str:
    try:
        facts = os.stat(path)  # noqa: PTH116  (a log may have millions of files: no object for each)
    except OSError as error:
        raise _unreadable(path, error) from None
    return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns} {_in_quotes(name)[1:-1]}"


def content_line(path: Path, name: str) -> str:
    """Line of a file that is known by its bytes.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
            return f"{os.fstat(file.fileno()).st_size} {digest} - {_in_quotes(name)[1:-1]}"
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: str | Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read ({error.strerror})")


def difference(before: Iterable[str], now: Iterable[str]) -> Difference:
    """Compare two lists of lines, up to the first change."""
    ours, theirs, touched, example = iter(before), iter(now), 0, ""
    for old, new in zip_longest(ours, theirs):
        if old == new:
            continue
        if old is None or new is None or _name(old) != _name(new):
            # both lists have one order: what is missed here either comes later or is gone
            if old is not None and _name(old) not in set(map(_name, theirs)):
                return Difference(f"{_name(old)} is gone", touched, example)
            assert new is not None
            return Difference(f"{_name(new)} is new", touched, example)
        if without_ctime(old) != without_ctime(new):
            return Difference(f"{_name(old)} was changed", touched, example)
        touched, example = touched + 1, example or _name(old)
    return Difference(None, touched, example)


def without_ctime(line: str) -> str:
    """What of a line has to stay the same."""
    size, date, _, name = line.split(" ", 3)
    return f"{size} {date} {name}"


def _name(line: str) -> str:
    return line.split(" ", 3)[3]
