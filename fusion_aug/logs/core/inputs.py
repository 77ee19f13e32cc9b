"""The files that a run over a log reads: their names, sizes and dates, written once and compared at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.core.account import selection
from fusion_aug.logs.core.log import Log


def input_lines(log: Log) -> Iterator[str]:
    """One line for every file of the selected samples and of the options: size (bytes), date (ns) and name.

    What no part of the format knows is not read, so it may come and go. Below the root names are relative.
    """
    for path in log.option_files():
        yield _line(path, str(path.absolute()))
    start, knows_parts = len(str(log.root)) + 1, bool(log.format.contents)
    is_selected = (lambda _: True) if log.reads_neighbours else selection(log)
    for entry in log.tree.files():
        name = str(entry.path)[start:].replace(os.sep, "/")
        if entry.refusal is None and (not knows_parts or log.part_of(name) is not None) and is_selected(name):
            yield _line(entry.path, name)


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
