"""A lock on a folder that several processes write, also on several machines: it ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from fusion_aug.errors import FusionAugError

NAME = "lock"  # of the file; what is in it means nothing


class Locked(FusionAugError):
    """Another process holds what is asked for."""


class FolderLock:
    """Places of one folder, each of which one process at a time may hold; which they are is up to the caller.

    They are locked bytes of a file in the folder: the kernel frees them when the process ends, however it ends, and
    file systems of a cluster hand them on. A second lock of the same folder in one process would free the first.

    Args:
        folder: made if it is not there.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._file = self._open()

    def _open(self) -> int:
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # whoever held it has just removed the folder
                return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)

    def hold(self, start: int = 0, count: int = 0, *, wait: bool = False) -> None:
        """Hold places until ``release``, ``close`` or the end of the process.

        Args:
            start: the first place. count: how many; 0 is all from there on.
            wait: for whoever holds one of them.

        Raises:
            Locked: another process holds one of them.
        """
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), count, start)
            except (BlockingIOError, PermissionError):
                raise Locked(f"{self.path.parent}: another process is at work here") from None
            if self._is_current():
                return
            os.close(self._file)  # its last holder removed the file: whoever comes later locks a new one
            self._file = self._open()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self, start: int, count: int) -> None:
        """Free places again."""
        fcntl.lockf(self._file, fcntl.LOCK_UN, count, start)

    def close(self) -> None:
        """Free all places; the file stays."""
        os.close(self._file)
