"""The files of a log for counters: they are found below its root, and nothing else is opened.

Counters share no code with the readers, but what a reader refuses to open they refuse too: names and links that lead
out of the log, and what is no regular file.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from calib.regular_files import check_regular, open_regular, read_regular
from fusion_aug.errors import DataError

T = TypeVar("T")
MAX_BYTES = 4 * 2**30  # of a file that is read as a whole
PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
TAIL = 64  # bytes at the end of a picture in which its end is looked for


class LogFiles:
    """Files below the root of a log, and below the folders of ``log.follow_links`` that links in it lead to.

    Args:
        root: of the log, which may be a link itself. options: with which it is read.
    """

    def __init__(self, root: Path, options: Mapping[str, Any] | None = None):
        given = (options or {}).get("follow_links") or ()
        folders = [given] if isinstance(given, str | Path) else list(given)
        self.root = root
        self.allowed = [os.path.realpath(p) for p in (root, *(Path(f).expanduser() for f in folders))]

    # --- names -------------------------------------------------------------------------------------------------------
    def named(self, name: str, where: str) -> Path:
        """Path of a name that a file of the log gives; it need not exist.

        Args:
            name: from the root, with slashes. where: file and field that give it, for messages.

        Raises:
            DataError: it leads out of the log, also through a link.
        """
        path = Path(str(name))
        if path.is_absolute() or ".." in path.parts or "\0" in str(name) or "\\" in str(name):
            raise DataError(f"{where}: the file name {name!r} leaves the log's folder")
        return self._inside(self.root / path)

    def matching(self, pattern: str, folder: Path | None = None) -> list[Path]:
        """Files and folders that match a shell pattern, sorted; ``*`` ends at a slash. Links out of the log do not.

        Args:
            pattern: with slashes. folder: of this log, that it starts at; the root by default.
        """
        found = [folder or self.root]
        for part in pattern.split("/"):
            found = [Path(e.path) for f in found for e in self._entries(f) if fnmatchcase(e.name, part)]
        return sorted(found)

    def below(self, folder: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
        """Paths of all files from the root, by name, with slashes; none below a link to a folder that it lies in."""
        here = os.path.realpath(self.root / folder)
        if here in above:
            return
        for entry in self._entries(self.root / folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                yield from self.below(path, (*above, here))
            else:
                yield path

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        if not folder.is_dir():
            return []
        with os.scandir(self._inside(folder)) as entries:
            found = sorted(entries, key=lambda e: e.name)
        return [e for e in found if not e.is_symlink() or self._holds(e.path)]

    def _holds(self, path: str | Path) -> bool:
        real = os.path.realpath(path)
        return any(real == folder or real.startswith(folder.rstrip("/") + "/") for folder in self.allowed)

    def _inside(self, path: Path) -> Path:
        if not self._holds(path):
            raise DataError(f"{path}: lies outside the log; name the folder in log.follow_links to have it read")
        return path

    # --- files -------------------------------------------------------------------------------------------------------
    def is_file(self, path: Path) -> bool:
        """Whether there is a regular file.

        Raises:
            DataError: it lies outside the log.
        """
        try:
            return stat.S_ISREG(self._inside(path).stat().st_mode)
        except OSError:
            return False

    def size(self, path: Path) -> int:
        """Bytes of a file; 0 where there is none."""
        return self._inside(path).stat().st_size if self.is_file(path) else 0

    def checked(self, path: Path) -> Path:
        """The path of a regular file of the log, for libraries that open it by its name.

        Raises:
            DataError: it is missing, none, or lies outside the log.
        """
        try:
            check_regular(self._inside(path))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        return path

    def open(self, path: Path) -> BinaryIO:
        """A regular file of the log.

        Raises:
            DataError: see ``checked``.
        """
        return open_regular(self.checked(path))

    def read(self, path: Path) -> bytes:
        """Bytes of a file.

        Raises:
            DataError: see ``checked``; also where it is too large.
        """
        try:
            return read_regular(self.checked(path), MAX_BYTES)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None

    def json(self, path: Path) -> Any:
        """Content of a JSON file.

        Raises:
            DataError: it is missing, too large or no JSON.
        """
        return _json(self.checked(path))

    def is_whole_picture(self, path: Path) -> bool:
        """Whether there is a file that begins and ends as a JPEG or PNG file does.

        Raises:
            DataError: it lies outside the log.
        """
        if not self.is_file(path):
            return False
        with self.open(path) as file:
            start = file.read(8)
            file.seek(-min(TAIL, os.fstat(file.fileno()).st_size), os.SEEK_END)
            return is_whole(start, file.read())


def once_per_file(function: Callable[[Path], T]) -> Callable[[Path], T]:
    """Keep what a function made of the last files, as long as they do not change."""

    @lru_cache(maxsize=16)
    def kept(path: Path, changed: int, size: int) -> T:
        return function(path)

    @wraps(function)
    def call(path: Path) -> T:
        try:
            found = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        return kept(path, found.st_mtime_ns, found.st_size)

    return call


@once_per_file
def _json(path: Path) -> Any:
    try:
        return parsed(read_regular(path, MAX_BYTES), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def parsed(raw: bytes, where: str | Path) -> Any:
    """What JSON says.

    Raises:
        DataError: it is none.
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise DataError(f"{where}: is not JSON") from None


def is_whole(start: bytes, end: bytes) -> bool:
    """Whether the first 8 and the last bytes are those of a whole JPEG (SOI to EOI) or PNG (to IEND) picture.

    Cameras pad their JPEG files behind the end.
    """
    if start[:2] == b"\xff\xd8":
        return b"\xff\xd9" in end
    return start == b"\x89PNG\r\n\x1a\n" and b"IEND" in end


def pictures_by_stem(paths: list[Path]) -> dict[str, Path]:
    """Stem -> file, of those paths that are pictures by their endings, in capitals or not."""
    return {p.stem: p for p in paths if p.suffix.lower() in PICTURE_ENDINGS}
