"""The files that a run over a log reads: their names, sizes and dates, written once and compared at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.core.account import selection
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.remote.mirror import Mirror
from fusion_aug.logs.remote.store import Object


def input_lines(log: Log) -> Iterator[str]:
    """One line for every file of the selected samples and of the options: size (bytes), date (ns) and name.

    What no part of the format knows is not read, so it may come and go. Below the root names are relative. Of a log in
    a store each file has its tag there in place of the date.
    """
    for path in log.option_files():
        found = log.mirror.found(path) if log.mirror else None
        yield _object_line(found) if found else _line(path, str(path.absolute()))
    knows_parts = bool(log.format.contents)
    is_selected = (lambda _: True) if log.reads_neighbours else selection(log)
    for name, facts in _objects(log.mirror) if log.mirror else _files(log):
        if (not knows_parts or log.part_of(name) is not None) and is_selected(name):
            yield facts()


def _files(log: Log) -> Iterator[tuple[str, Callable[[], str]]]:
    """Name of every file below the root, and what makes its line."""
    start = len(str(log.root)) + 1
    for entry in log.tree.files():
        name = str(entry.path)[start:].replace(os.sep, "/")
        if entry.refusal is None:
            yield name, partial(_line, entry.path, name)


def _objects(mirror: Mirror) -> Iterator[tuple[str, Callable[[], str]]]:
    """The same of a store, as it was last listed, with its tags for dates; dates here are those of the cache."""
    for found in mirror.latest:
        yield found.name, partial(_object_line, found)


def _object_line(found: Object) -> str:
    return f"{found.size} {found.tag} {json.dumps(found.name)[1:-1]}"


def _line(path: Path, name: str) -> str:
    try:
        facts = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    return f"{facts.st_size} {facts.st_mtime_ns} {json.dumps(name)[1:-1]}"


def first_change(before: Iterable[str], now: Iterable[str]) -> str | None:
    """What is said of the first file of which two lists of lines differ; None where they are the same."""
    ours, theirs = iter(before), iter(now)
    for old, new in zip_longest(ours, theirs):
        if old == new:
            continue
        was, name = (None if line is None else _name(line) for line in (old, new))
        if was == name:
            return f"{name} was changed"
        # both lists have one order: what is missed here either comes later or is gone
        return f"{was} is gone" if was is not None and was not in set(map(_name, theirs)) else f"{name} is new"
    return None


def _name(line: str) -> str:
    return line.split(" ", 2)[2]
