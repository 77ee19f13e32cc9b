"""Folders that are there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.full_disk import naming_output
from fusion_aug.logs.core.locks import NAME, FolderLock, Locked
from fusion_aug.logs.core.writer import PARTS_FOLDER, WORK


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write, which appears under its name when the block ends without an error.

    What a killed process left of it is removed by the next one that writes the same target.

    Args:
        target: it is not there yet, or empty.

    Yields:
        the folder under another name beside it; what lies in its ``WORK`` does not stay.

    Raises:
        DataError: there is something at the target, it cannot be made, another process is writing it, or the folder
            beside it is a link: nothing behind a link is removed.
        OSError: the disk is full; it names the file.
    """
    target = target.resolve()  # of a link the folder that it leads to
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise DataError(f"{target}: is not empty; remove it or choose another folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{target}: cannot be made ({error.strerror})") from None
    part = target.with_name(f".{target.name}.fusion_aug")
    _refuse_others(part, part / WORK, part / WORK / NAME)
    lock = FolderLock(part / WORK)
    try:
        lock.hold()
        empty(part, keep=(part / WORK / NAME,))
        with naming_output(part):
            yield part
        shutil.rmtree(part / WORK)
        part.replace(target)  # which also replaces an empty folder
    except Locked:
        raise DataError(f"{target}: another process is writing it") from None
    except BaseException:
        shutil.rmtree(part)
        raise
    finally:
        lock.close()


def _refuse_others(*paths: Path) -> None:
    """Raise if the folder of a whole one, or what ours has in it, is a link or a pipe, which we make none of."""
    for path in paths:
        if path.is_symlink() or (path.exists() and not (path.is_dir() or path.is_file())):
            raise DataError(f"{path}: is a link, a pipe or a device, which no command of ours makes there; remove it")


def empty(folder: Path, keep: tuple[Path, ...] = ()) -> None:
    """Remove everything in a folder but some files and the folders that they lie in; no link is followed."""
    for path in folder.iterdir():
        if path in keep:
            continue
        if any(path in k.parents for k in keep) and not path.is_symlink():
            empty(path, keep)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def move_files(stage: Path, out: Path, what: str, *, again: bool = False) -> list[Path]:
    """Move the files of a staged sample into an output, and its parts to where ``Writer.part`` finds them.

    Args:
        stage, out: on one file system. what: whose files they are, for messages.
        again: whether files may be there already, of a run that was killed while it moved them.

    Returns:
        where they are now.

    Raises:
        DataError: a file is there already, or a folder of its name.
    """
    moved = []
    for path in sorted(p for p in stage.rglob("*") if p.is_file()):
        name = path.relative_to(stage)
        target = inside(out / WORK if name.parts[0] == PARTS_FOLDER else out, name.as_posix(), what)
        if not again and target.exists():
            raise DataError(f"{what}: its file {target.relative_to(out)} is one of another sample too")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            moved.append(target)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise DataError(
                f"{what}: its file {name} lies where another sample has a folder, or below its file"
            ) from None
    return moved


__all__ = ["empty", "move_files", "whole_folder"]
