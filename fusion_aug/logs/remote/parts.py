"""Large objects of which parts are read: blocks are fetched when they are read, and stay in the cache."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from pathlib import Path
from typing import Any, BinaryIO

from fusion_aug.logs.remote.store import BLOCK, Object, Store

LEAST = 8 * BLOCK  # bytes of an object that is worth it
BUFFER = 2**20


def folder_of(home: Path, name: str) -> Path:
    """Where the blocks of an object lie below the folder of a mirror."""
    return home / "parts" / hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def opened(store: Store, object: Object, home: Path) -> BinaryIO | None:
    """Open an object that is large enough to be fetched in parts; None where it is not.

    Args:
        store, object: what. home: folder of the mirror.
    """
    if object.size < LEAST:
        return None
    return io.BufferedReader(Parts(store, object, folder_of(home, object.name)), BUFFER)


class Parts(io.RawIOBase):
    """An object as a file; any number of processes may read the same one.

    Args:
        store: of it. object: what it has to be still. folder: of its blocks, see ``folder_of``.
    """

    def __init__(self, store: Store, object: Object, folder: Path):
        self._store, self._object, self._folder, self._at = store, object, folder, 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See ``io.IOBase``."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._object.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        """See ``io.IOBase``."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """See ``io.RawIOBase``; at most to the end of a block.

        Raises:
            StoreError: the block cannot be fetched. OSError: of the disk.
        """
        number, start = divmod(self._at, BLOCK)
        wanted = min(len(buffer), BLOCK - start, max(self._object.size - self._at, 0))
        if not wanted:
            return 0
        with self._block(number).open("rb") as file:
            file.seek(start)
            buffer[:wanted] = file.read(wanted)
        self._at += wanted
        return wanted

    def _block(self, number: int) -> Path:
        """Path of a block, which is fetched first where it is not there."""
        path = self._folder / f"{hashlib.blake2b(self._object.tag.encode(), digest_size=8).hexdigest()}-{number}"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            coming = self._folder / uuid.uuid4().hex
            try:
                start = number * BLOCK
                coming.write_bytes(self._store.part(self._object, start, min(start + BLOCK, self._object.size)))
                coming.replace(path)
            finally:
                coming.unlink(missing_ok=True)
        return path
