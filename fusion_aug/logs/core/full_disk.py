"""Errors of a full disk: which file of the output could not be written."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusion_aug.logs.core.new_files import new_file

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def naming_output(*folders: Path) -> Iterator[None]:
    """Turn an error of a full disk, whichever library met it, into one that names the file that was being written.

    Libraries tell the number of the error, or its text alone, and few of them the file: it is the newest one.

    Args:
        folders: where files are written; the first that holds any is looked at. A file is named itself.

    Raises:
        OSError: with the path of the file.
    """
    try:
        yield
    except Exception as error:
        code = disk_error(error)
        if code is None:
            raise
        told = [n for e in _chain(error) for n in (getattr(e, "filename2", None), getattr(e, "filename", None)) if n]
        own = [n for n in map(str, told) if any(Path(n).is_relative_to(f) for f in folders)]
        path = own[0] if own else next((p for f in folders if (p := _newest(f)) is not None), folders[-1])
        raise OSError(code, os.strerror(code), str(path)) from error


def disk_error(error: BaseException | None) -> int | None:
    """Number of the error of a full disk that an exception comes from; None where it comes from anything else."""
    for step in _chain(error):
        code = getattr(step, "errno", None)
        if code in DISK_ERRORS:
            return int(code)
        for known in DISK_ERRORS:
            if os.strerror(known) in str(step):
                return known
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it comes from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def through_pipe(path: Path) -> Iterator[str]:
    """A name to write to for a library that never returns from a full disk: what it writes there goes into a file.

    Args:
        path: of the file.

    Raises:
        OSError: with the path; at the end of the block, by which the library has to have closed the name.
    """
    failed: list[OSError] = []
    with new_file(path, "wb", buffering=0) as file:
        reading, writing = os.pipe()

        def drain() -> None:
            with os.fdopen(reading, "rb", buffering=0) as pipe:
                while some := pipe.read(2**20):
                    try:
                        while some and not failed:
                            some = some[file.write(some) :]
                    except OSError as error:
                        failed.append(error)  # what comes yet is read, so that the library can end

        thread = threading.Thread(target=drain)
        thread.start()
        try:
            yield f"/dev/fd/{writing}"
        finally:
            os.close(writing)
            thread.join()
    if failed:
        raise OSError(failed[0].errno, failed[0].strerror, str(path))


def _newest(folder: Path) -> Path | None:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return max(files, key=lambda p: p.stat().st_mtime_ns, default=None)
