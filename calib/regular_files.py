"""Opening files that others made: regular files only, and none that is larger than it may be.

A pipe waits for ever, a device may have no end. They, sockets, folders and links that lead nowhere raise an OSError
whose ``strerror`` says what they are, so that they read as any other file that cannot be opened.
"""

from __future__ import annotations

import errno
import filecmp
import io
import os
import stat
from pathlib import Path
from typing import BinaryIO

from calib.mirrored import fill_placeholder, is_placeholder, open_parts_of

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
MAX_TEXT_BYTES = 2**28


def is_there(path: Path) -> bool:
    """Whether there is anything of a name: also what cannot be read, which is not the same as nothing."""
    return os.path.lexists(path)


def status(path: str | Path) -> os.stat_result:
    """What the file system knows of a path, links followed.

    Raises:
        OSError: there is nothing, also of names that nothing can have.
    """
    if "\0" in str(path):  # which ``os.stat`` answers by a ValueError
        raise OSError(errno.EINVAL, "its name holds a null byte", str(path))
    return Path(path).stat()


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        OSError: it cannot be opened, or is something else; ``strerror`` says what.
    """
    check_regular(path)
    # what it was may have been exchanged since: without O_NONBLOCK a pipe that nobody writes to would wait here
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        _check_kind(os.fstat(descriptor).st_mode, path)
        return io.BufferedReader(io.FileIO(descriptor, "rb"))
    except BaseException:
        os.close(descriptor)
        raise


def open_for_parts(path: str | Path) -> BinaryIO:
    """Open a regular file of which a reader wants parts only: of a large placeholder no others are fetched.

    The file has no descriptor then.

    Raises:
        OSError: see ``open_regular``.
    """
    found = status(path)
    parts = open_parts_of(path) if is_placeholder(found) else None
    return parts or open_regular(path)


def check_regular(path: str | Path) -> None:
    """Raise unless a path is that of a regular file, for libraries that open it by its name; a placeholder is filled.

    Raises:
        OSError: see ``open_regular``.
    """
    found = status(path)
    _check_kind(found.st_mode, path)
    if is_placeholder(found):
        fill_placeholder(path)


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """The bytes of a regular file.

    Args:
        path: of it. most: bytes that it may have.

    Raises:
        OSError: see ``open_regular``; also where it has more bytes.
    """
    with open_regular(path) as file:
        if most is not None and os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than the {most:,} bytes that are read of it", str(path))
        return file.read()


def read_regular_text(path: str | Path, encoding: str = "utf-8", most: int | None = MAX_TEXT_BYTES) -> str:
    """The text of a regular file, its line ends as ``\\n``.

    Raises:
        OSError: see ``read_regular``. UnicodeDecodeError: it is no text.
    """
    text = read_regular(path, most).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def same_content(one: str | Path, other: str | Path) -> bool:
    """Whether two regular files hold the same bytes.

    Raises:
        OSError: see ``open_regular``.
    """
    check_regular(one)
    check_regular(other)
    return filecmp.cmp(one, other, shallow=False)


def _check_kind(mode: int, path: str | Path) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
