"""Folders that are there whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import inside


@contextmanager
def whole_folder(target: Path) -> Iterator[tuple[Path, Path]]:
    """A folder to write, which appears under its name when the block ends without an error.

    Args:
        target: it is not there yet, or empty.

    Yields:
        the folder under another name beside it, and a folder for what is not to stay.

    Raises:
        DataError: there is something at the target, or it cannot be made.
    """
    target = target.resolve()  # of a link the folder that it leads to
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target}: is not empty; remove it or choose another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target}: cannot be made ({error.strerror})") from None
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as work:
        part, aside = Path(work) / target.name, Path(work) / "aside"
        part.mkdir()
        aside.mkdir()
        yield part, aside
        if target.is_dir():
            target.rmdir()
        part.rename(target)


def move_files(stage: Path, root: Path, what: str) -> None:
    """Move all files below a stage to the same places below a root.

    Args:
        stage, root: on one file system. what: whose files they are, for messages.

    Raises:
        DataError: a file is there already, or a folder of its name.
    """
    for path in sorted(p for p in stage.rglob("*") if p.is_file()):
        target = inside(root, path.relative_to(stage).as_posix(), what)
        if target.exists():
            raise DataError(f"{what}: its file {target.relative_to(root)} is one of another sample too")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise DataError(
                f"{what}: its file {path.relative_to(stage)} lies where another sample has a folder, or below its file"
            ) from None


__all__ = ["move_files", "whole_folder"]
