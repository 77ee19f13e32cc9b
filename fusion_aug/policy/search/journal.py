"""The journal of a search: one JSON line for what decides it, then one for every finished training.

A line is on the disk before the next training begins. A search that was killed reads it and goes on; the line that the
kill tore is dropped, and its training is made again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calib.regular_files import is_there, read_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.differences import differences

NAME = "journal.jsonl"
VERSION = 1


class Journal:
    """What a search has done so far, and does.

    Args:
        folder: of the search. header: everything that decides what it does, JSON-able.

    Raises:
        DataError: the journal that is there is of another search, or is none.
    """

    def __init__(self, folder: Path, header: Mapping[str, Any]):
        self.path = folder / NAME
        if self.path.is_symlink():
            raise DataError(f"{self.path}: is a link, which no search makes; search in another folder")
        first = {"journal": VERSION, **header}
        lines = self._read() if is_there(self.path) else []
        if lines:
            self._check(lines[0], first)
        self._waiting = lines[1:]
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o666)
        os.ftruncate(self._file, sum(len(_encoded(line)) for line in lines))
        if not lines:
            self.append(first)
            sync_folder(folder)

    def _read(self) -> list[dict[str, Any]]:
        """The whole lines; what comes after the last one was torn, and is dropped when the file is opened."""
        try:
            text = read_regular(self.path)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        lines: list[dict[str, Any]] = []
        for number, line in enumerate(text.splitlines(keepends=True), 1):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                value = None
            if not isinstance(value, dict) or _encoded(value) != line:
                if sum(map(len, map(_encoded, lines))) + len(line) == len(text):
                    break  # the last one
                raise DataError(f"{self.path}: line {number} is not what a search writes; search in another folder")
            lines.append(value)
        return lines

    def _check(self, there: dict[str, Any], now: dict[str, Any]) -> None:
        if there != json.loads(json.dumps(now)):
            told = differences(there, now) or "its first line"
            raise DataError(
                f"{self.path}: is of another search ({told}); give the same again, or search in another folder"
            )

    def known(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """The scores that a training had before; None of one that is still to be made.

        Args:
            asked: trial, seed and what is tried.

        Raises:
            DataError: the journal has another training in its place.
        """
        if not self._waiting:
            return None
        line = self._waiting.pop(0)
        scores = line.pop("scores", None)
        if line != json.loads(json.dumps(asked)) or not isinstance(scores, dict):
            raise DataError(
                f"{self.path}: has another training than this search would make now "
                f"({differences(line, asked) or 'without scores'}), as of another version of a package; "
                f"search in another folder"
            )
        return scores

    def append(self, line: Mapping[str, Any]) -> None:
        """Write a line and wait until it is on the disk."""
        data = _encoded(line)
        while data:
            data = data[os.write(self._file, data) :]
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def first_line(folder: Path) -> dict[str, Any]:
    """What decides the search whose journal is in a folder; empty where there is none, or none that can be read."""
    try:
        found = json.loads(read_regular(folder / NAME).partition(b"\n")[0])
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def is_json(value: Any) -> bool:
    """Whether a value is what JSON holds, and is the same after it was read again."""
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError, RecursionError):
        return False


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
