"""Local folders that mirror a place elsewhere: a file in one may be a placeholder that is filled when it is opened.

A placeholder has the size of what it stands for, no data, and no permission for anybody. What is filled comes by a
rename under the same name, with permissions: so no moment exists at which zeros could be taken for data.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple


class _Mirror(NamedTuple):
    """A place as the user gave it, what fills one of its files, and what opens one of which only parts are read."""

    place: str
    fill: Callable[[Path], None]
    open_parts: Callable[[Path], BinaryIO | None]


_MIRRORS: dict[str, _Mirror] = {}  # by their folders


def register_mirror(
    folder: Path,
    place: str,
    fill: Callable[[Path], None],
    open_parts: Callable[[Path], BinaryIO | None] = lambda path: None,
) -> None:
    """Let files below a folder be filled, and be told by the place that it mirrors.

    Args:
        folder: absolute, without links. place: for messages, in place of the folder.
        fill: puts data at the path of a placeholder, or raises OSError with ``strerror``.
        open_parts: opens a placeholder whose parts come when they are read; None where it is filled first.
    """
    _MIRRORS[str(folder)] = _Mirror(place, fill, open_parts)


def is_placeholder(found: os.stat_result) -> bool:
    """Whether the file of these facts holds no data yet."""
    return stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode)


def fill_placeholder(path: str | Path) -> None:
    """Fetch what a placeholder stands for.

    Raises:
        OSError: it cannot be fetched, or lies in no folder that is known as a mirror; ``strerror`` says why.
    """
    mirror, full = _mirror_of(path)
    mirror.fill(full)


def open_parts_of(path: str | Path) -> BinaryIO | None:
    """Open a placeholder whose parts come when they are read; None where it is better filled.

    Raises:
        OSError: see ``fill_placeholder``.
    """
    mirror, full = _mirror_of(path)
    return mirror.open_parts(full)


def _mirror_of(path: str | Path) -> tuple[_Mirror, Path]:
    full = os.path.realpath(path)
    for folder, mirror in _MIRRORS.items():
        if full.startswith(folder + os.sep):
            return mirror, Path(full)
    # also the superuser, who could, must not read zeros
    raise OSError(errno.EACCES, "nobody may read it; if it lies in a cache, open the log by its URL", str(path))


def as_given(text: str) -> str:
    """A message with the places that users gave instead of the folders that mirror them."""
    for folder, mirror in _MIRRORS.items():
        text = text.replace(folder, mirror.place)
    return text
