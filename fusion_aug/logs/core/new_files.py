"""Files that we write: always new ones.

An output may be somebody else's: under a name that we write there may be a link, a pipe, or a hard link, a second name
of a file that lies elsewhere. To open such a name for writing would write there, or wait for ever.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def new_path(path: Path) -> Path:
    """Return a path under which a library may write a new file: its folder is there, what had the name is removed.

    Raises:
        OSError: there is a folder of that name, or it cannot be removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    return path


def new_file(path: Path, mode: str = "w", **options: Any) -> Any:
    """Open a new file for writing, in place of whatever had its name; as ``Path.open`` does.

    Args:
        path: of the file. mode: as of ``open``, with ``w``. options: of ``open``; the encoding is UTF-8.

    Raises:
        OSError: see ``new_path``, or the file cannot be made.
    """
    options |= {} if "b" in mode else {"encoding": "utf-8"}
    return new_path(path).open(mode.replace("w", "x"), **options)  # "x" is O_EXCL, which follows no link


def write_new_text(path: Path, text: str) -> None:
    """Write a new text file, see ``new_file``."""
    with new_file(path) as file:
        file.write(text)


def write_new_bytes(path: Path, data: bytes) -> None:
    """Write a new file of bytes, see ``new_file``."""
    with new_file(path, "wb") as file:
        file.write(data)
