"""Writing an HDF5 file so that a full disk is one error, told when the file is closed.

HDF5 writes what it holds back when a file is closed. Where that fails it raises from there or ends the process, and it
tries again when the program ends. Here the library never meets the error: from the first one on, what it writes is
kept in memory, from where it can also read it, and the error is raised when HDF5 is done with the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fusion_aug.logs.core.new_files import new_file
from fusion_aug.safe.hdf5 import h5


class Forgiving:
    """A file for h5py that remembers the first error of writing, and raises none.

    Args:
        file: open for reading and writing, without a buffer.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.name = file, file.name
        self.error: OSError | None = None
        self._at = 0
        self._end = 0
        self._kept: list[tuple[int, bytes]] = []  # place and bytes of what could not be written

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place."""
        self._at = offset + {0: 0, 1: self._at, 2: self._end}[whence]
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def write(self, data: Any) -> int:
        """Write, or keep what cannot be written."""
        data = memoryview(data).cast("B")
        written = 0
        try:
            while self.error is None and written < len(data):
                self.file.seek(self._at + written)
                written += self.file.write(data[written:])
        except OSError as error:
            self.error = error
        if self.error is not None:
            self._kept.append((self._at + written, bytes(data[written:])))
        self._at += len(data)
        self._end = max(self._end, self._at)
        return len(data)

    def read(self, size: int) -> bytes:
        """Read what was written or kept."""
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def readinto(self, buffer: Any) -> int:
        """Read what was written or kept; zeros where neither is."""
        into = memoryview(buffer).cast("B")
        self.file.seek(self._at)
        found = self.file.read(len(into))
        into[:] = found + bytes(len(into) - len(found))
        for place, data in self._kept:
            first, last = max(place, self._at), min(place + len(data), self._at + len(into))
            if first < last:
                into[first - self._at : last - self._at] = data[first - place : last - place]
        self._at += len(into)
        return len(into)

    def truncate(self, size: int) -> int:
        """Give the file a size."""
        self._end = size
        try:
            if self.error is None:
                self.file.truncate(size)
        except OSError as error:
            self.error = error
        return size

    def flush(self) -> None:
        """Nothing waits."""


@contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """A new HDF5 file, open for writing.

    Raises:
        OSError: the disk is full.
    """
    with new_file(path, "w+b", buffering=0) as raw:
        kept = Forgiving(raw)
        with h5().File(kept, "w") as file:
            yield file
        if kept.error is not None:
            raise kept.error
