"""A file that is read in parts, and has to stay as it is meanwhile."""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from calib.regular_files import open_regular
from fusion_aug.errors import DataError

MOST_OPEN = 36  # files of a process, whatever it has of logs: the tables of four


class SteadyFile:
    """Reads parts of a file by their place, in any process that it is sent to.

    It is open as long as it is among the ``MOST_OPEN`` that the process read last, and opened again when it is read. It
    is not mapped: a mapped file that is cut ends the process.

    Args:
        path: of the file.

    Raises:
        DataError: it cannot be opened, or is no regular file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._handle: _Handle | None = None
        self._facts = self._open().facts()
        self.size = self._facts[0]

    def read(self, start: int, count: int) -> bytes:
        """Up to ``count`` bytes from a place on, fewer at the end of the file.

        Raises:
            DataError: the file was changed since the object was made. OSError: it cannot be read.
        """
        handle = self._open()
        data = os.pread(handle.number, count, start)  # no place that processes would share, as seek has
        if handle.facts() != self._facts:
            raise DataError(f"{self.path}: was changed while it was being read; start again")
        return data

    def _open(self) -> _Handle:
        """The file, open; whoever has what this returns may read on though others were read since."""
        handle = self._handle
        if handle is None:
            try:
                handle = _Handle(open_regular(self.path))
            except OSError as error:
                raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
            self._handle = handle
        _read_last(self)
        return handle

    def close(self) -> None:
        """Close it as soon as nobody is reading; it is opened again when it is read."""
        self._handle = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_handle": None}


class _Handle:
    """An open file, which is closed when nobody has it any more."""

    def __init__(self, file: BinaryIO):
        self.number = file.fileno()
        weakref.finalize(self, file.close)

    def facts(self) -> tuple[int, int]:
        """Size (bytes) and date (ns)."""
        facts = os.fstat(self.number)
        return facts.st_size, facts.st_mtime_ns


_latest: OrderedDict[int, weakref.ref[SteadyFile]] = OrderedDict()  # by their ids, those that were read last at the end
_lock = Lock()


def _read_last(file: SteadyFile) -> None:
    """Note that a file was read, and close the one that was not read for longest where there are too many."""
    with _lock:
        _latest[id(file)] = weakref.ref(file)
        _latest.move_to_end(id(file))
        oldest = _latest.popitem(last=False)[1]() if len(_latest) > MOST_OPEN else None
    if oldest is not None:
        oldest.close()


def _forget_lock() -> None:
    """A process that was forked may have a lock whose thread it does not have."""
    global _lock
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)
