"""A file that is read in parts, and has to stay as it is meanwhile."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, BinaryIO

from calib.regular_files import open_regular
from fusion_aug.errors import DataError


class SteadyFile:
    """Reads parts of a file by their place, in any process that it is sent to.

    It is open as long as the object lives. It is not mapped: a mapped file that is cut ends the process.

    Args:
        path: of the file.

    Raises:
        DataError: it cannot be opened, or is no regular file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file = self._opened()
        self.size, self._date = self._facts()

    def _opened(self) -> BinaryIO:
        try:
            file = open_regular(self.path)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        weakref.finalize(self, file.close)
        return file

    def _facts(self) -> tuple[int, int]:
        facts = os.fstat(self._file.fileno())
        return facts.st_size, facts.st_mtime_ns

    def read(self, start: int, count: int) -> bytes:
        """Up to ``count`` bytes from a place on, fewer at the end of the file.

        Raises:
            DataError: the file was changed since it was opened. OSError: it cannot be read.
        """
        data = os.pread(self._file.fileno(), count, start)  # no place that processes would share, as seek has
        if self._facts() != (self.size, self._date):
            raise DataError(f"{self.path}: was changed while it was being read; start again")
        return data

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_file"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._file = self._opened()
