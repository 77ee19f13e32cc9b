"""Writing below an address: files that may be written again, and a few that only one writer can make."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.remote.store import TRIES, Store, StoreError, told

AT_ONCE = 64 * 2**20  # bytes of small files that are put together
LARGE = 32 * 2**20  # bytes from which on a file is put alone, from the disk
READ_AT_ONCE = 1000


class WritableStore(Store):
    """A prefix that is written.

    Args:
        address: of the prefix.
    """

    def check(self, name: str) -> None:
        """Raise unless the store lets only one writer make a file.

        Args:
            name: of a file that was just made by ``create``.

        Raises:
            ConfigError: it does not, or does not know how. StoreError: it does not answer.
        """
        if not self._refuses_another(name):
            raise ConfigError(
                f"out: {self.address.url}: {self.address.protocol}:// cannot create a file only where there is none, "
                f"which keeps two runs apart; write to a folder and copy it"
            )

    def _refuses_another(self, name: str) -> bool:
        for attempt in range(TRIES):
            try:
                self._files.pipe_file(self.path(name), self.content(name), mode="create")
            except (TypeError, NotImplementedError):
                return False
            except FileExistsError:
                return True
            except Exception as error:  # how it says no is up to the package
                if getattr(error, "errno", None) == errno.EINVAL or "condition" in str(error).lower():
                    return True
                if attempt == TRIES - 1:
                    raise StoreError(errno.EIO, told(error)) from error
            else:
                return False
        raise AssertionError("unreachable")

    def create(self, name: str, data: bytes) -> bool:
        """Make a file where there is none; returns whether it is ours, which its content tells.

        An answer may be lost, and a request said to be done that was not: so what is there is read again.

        Args:
            name: of it. data: which no other writer would write.

        Raises:
            StoreError: the store does not answer.
        """
        for attempt in range(TRIES):
            failed: Exception | None = None
            try:
                self._files.pipe_file(self.path(name), data, mode="create")
            except Exception as error:  # how it says no is up to the package
                failed = error
            try:
                return self.content(name) == data
            except FileNotFoundError:
                if attempt == TRIES - 1:
                    why = told(failed) if failed else "the store said that it was written, and it is not there"
                    raise StoreError(errno.EIO, f"{name} cannot be written ({why})") from failed
        raise AssertionError("unreachable")

    def content(self, name: str) -> bytes:
        """All bytes of a file.

        Raises:
            FileNotFoundError: there is none. StoreError: the store does not answer.
        """
        try:
            data: bytes = self._tried(lambda: self._files.cat_file(self.path(name)))
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise FileNotFoundError(name) from None
            raise
        return data

    def contents(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Names and bytes of many files."""
        waiting = list(names)
        for i in range(0, len(waiting), READ_AT_ONCE):
            paths = {self.path(name): name for name in waiting[i : i + READ_AT_ONCE]}
            found = self._tried(partial(self._files.cat, list(paths)))
            found = found if isinstance(found, Mapping) else {next(iter(paths)): found}
            yield from ((paths[path], data) for path, data in found.items())

    def put(self, name: str, data: bytes) -> None:
        """Write a file, whether it is there or not.

        Raises:
            StoreError: the store does not answer.
        """
        self._tried(lambda: self._files.pipe_file(self.path(name), data))

    def put_files(self, files: Mapping[str, Path]) -> None:
        """Write files of this computer under names, several at once.

        Raises:
            StoreError: the store does not answer.
        """
        together: dict[str, bytes] = {}
        for name, path in files.items():
            if path.stat().st_size >= LARGE:
                self._tried(partial(self._files.put_file, str(path), self.path(name)))
                continue
            together[self.path(name)] = path.read_bytes()
            if sum(map(len, together.values())) > AT_ONCE:
                self._tried(partial(self._files.pipe, together))
                together = {}
        if together:
            self._tried(partial(self._files.pipe, together))

    def put_surely(self, name: str, path: Path) -> None:
        """Write a file and look whether it is there.

        Raises:
            StoreError: it is not, however often it was written.
        """
        for _ in range(TRIES):
            self.put_files({name: path})
            try:
                if self.look(name).size == path.stat().st_size:
                    return
            except StoreError as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
        raise StoreError(errno.EIO, f"{name}: the store said that it was written, and it is not there")

    def names(self, below: str = "") -> list[str]:
        """Names of the files and folders in a folder of the prefix; none where there is no such folder."""
        start = f"{self.path(below)}/"
        try:
            found = self._tried(lambda: self._files.ls(self.path(below), detail=False))
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return []
            raise
        return sorted({p.rstrip("/")[len(start) :] for p in found if p.startswith(start)} - {""})

    def modified(self, name: str) -> datetime:
        """When a file was written, by the clock of the store."""
        when: datetime = self._tried(lambda: self._files.modified(self.path(name)))
        return when

    def delete(self, name: str) -> None:
        """Remove a file; what is gone already is no error."""
        self._gone(lambda: self._files.rm_file(self.path(name)))

    def delete_below(self, name: str) -> None:
        """Remove all files of a folder, a thousand with each request."""
        self._gone(lambda: self._files.rm(self.path(name), recursive=True))

    def _gone(self, request: Callable[[], Any]) -> None:
        try:
            self._tried(request)
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
