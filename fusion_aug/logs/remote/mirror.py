"""A folder of this computer with the names of a store, whose files are fetched when they are first opened.

Below ``storage.cache`` there is for each address::

    files/            the tree: placeholders (see ``calib.mirrored``), and what was fetched
    catalogue-*.db    listings, by their digest; current.txt is the digest of that which the tree follows
    coming/           what is being fetched
    parts/            blocks of large files of which only parts are read
    lock              held while the tree changes

Any number of processes may use it, also of several runs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from calib.mirrored import is_placeholder, register_mirror
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.files import user_path
from fusion_aug.logs.core.locks import FolderLock
from fusion_aug.logs.remote.address import Address, address_of, is_url
from fusion_aug.logs.remote.catalogue import Catalogue, checked
from fusion_aug.logs.remote.parts import folder_of, opened
from fusion_aug.logs.remote.store import CHANGED, Object, Store, StoreError

CURRENT = "current.txt"
_AT_WORK = threading.Lock()  # locks of files hold between processes only


class Mirror:
    """The mirror of one address; ``open_mirror`` makes one.

    Args:
        address: of the prefix. home: folder of this mirror, in the cache.

    Attributes:
        files: root of the tree.
        catalogue: what the store held when the mirror was opened.
        latest: what it held when it was last looked at.
    """

    def __init__(self, address: Address, home: Path):
        self.address, self.home, self.files = address, home, home / "files"
        self.store = Store(address)
        self.catalogue = self.latest = self._current() or Catalogue(home / "none")

    def _current(self) -> Catalogue | None:
        """The listing that the tree follows; None where there is none."""
        try:
            digest = (self.home / CURRENT).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        found = Catalogue(self.home / f"catalogue-{digest}.db")
        return found if found.path.is_file() and found.digest() == digest else None

    def register(self) -> None:
        """Let what opens a file of the tree fetch it first, and messages name the URL."""
        register_mirror(self.files, self.address.url, self.fill, self.open_parts)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.register()  # it came from another process

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the tree, among all threads and processes."""
        with _AT_WORK:
            lock = FolderLock(self.home)
            try:
                lock.hold(0, 1, wait=True)
                yield
            finally:
                lock.close()

    def follow(self, digest: str | None) -> None:
        """Bring the tree to what the store holds now, or to a listing that others made, where the tree follows it.

        Args:
            digest: of the listing that others work by; None lists.

        Raises:
            DataError: the store cannot be listed, or holds something else than others work by.
        """
        with self.locked():
            current = self._current()
            if digest is None or current is None or current.digest() != digest:
                current = self._bring_to(self._listed(), current)
        self.catalogue = self.latest = current
        if digest not in (None, current.digest()):
            raise DataError(f"{self.address.url}: was changed since the run began")

    def look_again(self) -> None:
        """List the store into ``latest``; the tree and ``catalogue`` stay as they are.

        Raises:
            DataError: the store cannot be listed.
        """
        self.latest = self._listed()

    def _listed(self) -> Catalogue:
        self.home.mkdir(parents=True, exist_ok=True)
        part = self.home / f"listing-{uuid.uuid4().hex}"
        try:
            digest = Catalogue.write(part, checked(self.store.listing(), self.address.url)).digest()
            whole = Catalogue(self.home / f"catalogue-{digest}.db")
            part.replace(whole.path)
        finally:
            part.unlink(missing_ok=True)
        return whole

    def _bring_to(self, new: Catalogue, old: Catalogue | None) -> Catalogue:
        """Make placeholders of what is new or changed, and remove what is gone. A process may be killed in it."""
        pairs: list[tuple[Object | None, Object | None]]
        if old is None:  # files of which nothing is known
            shutil.rmtree(self.files, ignore_errors=True)
            pairs = [(None, o) for o in new]
        else:
            pairs = list(new.changes(old))
        self.files.mkdir(parents=True, exist_ok=True)
        for gone, _ in pairs:
            if gone is not None:
                self._remove(self.files / gone.name)
                shutil.rmtree(folder_of(self.home, gone.name), ignore_errors=True)
        for _, found in pairs:
            if found is not None:
                self._make(found)
        part = self.home / f"{CURRENT}.part"
        part.write_text(new.digest(), encoding="ascii")
        part.replace(self.home / CURRENT)
        return new

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds other files
            while path.parent != self.files:
                path = path.parent
                path.rmdir()

    def _make(self, found: Object) -> None:
        path = self.files / found.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            mode = 0 if found.size else 0o644  # of nothing there is nothing to fetch
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError):
            raise DataError(
                f"{self.address.url}/{found.name}: lies where another object needs a folder; take one of them away"
            ) from None
        try:
            os.ftruncate(descriptor, found.size)
        finally:
            os.close(descriptor)

    def found(self, path: Path) -> Object | None:
        """What was last listed for a path; None where that lies outside of the tree, or nothing was there."""
        return self.latest.find(path.relative_to(self.files).as_posix()) if path.is_relative_to(self.files) else None

    def fill(self, path: Path) -> None:
        """Fetch the object of a placeholder.

        Args:
            path: below ``files``.

        Raises:
            StoreError: it is gone, was changed, or cannot be fetched. OSError: of the disk.
        """
        wanted = self._wanted(path)
        before = path.stat()
        coming = self.home / "coming"
        coming.mkdir(exist_ok=True)
        part = coming / uuid.uuid4().hex
        try:
            self.store.fetch(wanted, part)
            os.utime(part, ns=(before.st_atime_ns, before.st_mtime_ns))  # what keeps facts by this date may keep them
            with self.locked():
                now = path.stat()
                if os.path.samestat(before, now):
                    part.replace(path)
                elif is_placeholder(now):  # of a later listing; else another process has filled it
                    raise StoreError(errno.ESTALE, CHANGED)
        finally:
            part.unlink(missing_ok=True)

    def open_parts(self, path: Path) -> BinaryIO | None:
        """Open the object of a placeholder that is large enough to be fetched in parts; None where it is not.

        Args:
            path: below ``files``.

        Raises:
            StoreError: it was not there when the log was opened.
        """
        return opened(self.store, self._wanted(path), self.home)

    def _wanted(self, path: Path) -> Object:
        found = self.catalogue.find(path.relative_to(self.files).as_posix())
        if found is None:
            raise StoreError(errno.ENOENT, "the object was not there when the log was opened")
        return found


def open_mirror(url: str, cache: str | Path | None, option: str, digest: str | None = None) -> Mirror:
    """Open the mirror of a URL, made on first use.

    Args:
        url: PROTOCOL://BUCKET/PREFIX. cache: ``storage.cache``. option: which the URL was given for.
        digest: see ``Mirror.follow``.

    Raises:
        ConfigError: there is no cache, or the URL is none that can be read.
        DataError: the store cannot be listed, holds nothing there, or names that no files can have.
    """
    address = address_of(url, option)
    if not cache:
        raise ConfigError(
            f"{option}: {address.url} is read through a folder of this computer; give storage.cache=DIR "
            f"(in Python cache=DIR)"
        )
    if is_url(cache):
        raise ConfigError(f"storage.cache: {cache} is no folder of this computer")
    mirror = Mirror(address, Path(os.path.realpath(user_path(cache))) / address.folder_name)
    try:
        mirror.follow(digest)
    except OSError as error:
        raise DataError(f"storage.cache: {error.filename or cache}: {error.strerror or error}") from None
    if next(iter(mirror.catalogue), None) is None:
        raise DataError(f"{address.url}: {option} holds no files")
    mirror.register()
    return mirror
