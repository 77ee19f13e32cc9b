"""A full disk is told with the file that was being written. The limit of a process on file sizes stands in for it."""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fusion_aug.logs.core.full_disk import naming_output, through_pipe

pytestmark = pytest.mark.quick


def said_in_child(work: Callable[[], object], notes: Path) -> list[object]:
    """Number and file of the OSError that work ends with where files may have 5,000 bytes."""
    child = os.fork()
    if child == 0:
        found: list[object] = []
        sys.dont_write_bytecode = True  # Python 3.11 would leave the half of it that fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            work()
        except OSError as error:
            found = [error.errno, error.filename]
        finally:
            notes.write_text(json.dumps(found))
            os._exit(0)
    os.waitpid(child, 0)
    return list(json.loads(notes.read_text()))


def test_the_file_that_was_written_last_is_named(tmp_path: Path) -> None:
    (tmp_path / "out/deep").mkdir(parents=True)
    (tmp_path / "out/a.bin").write_bytes(b"a")
    os.utime(tmp_path / "out/a.bin", ns=(1, 1))

    def write() -> None:
        with naming_output(tmp_path / "none yet", tmp_path / "out"):
            (tmp_path / "out/deep/b.bin").write_bytes(bytes(10**6))

    assert said_in_child(write, tmp_path / "notes") == [errno.EFBIG, str(tmp_path / "out/deep/b.bin")]


@pytest.mark.parametrize("error", [ValueError("Error: No space left on device (28)"), OSError(errno.ENOSPC, "full")])
def test_what_libraries_tell_of_it_is_understood(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OSError, match="No space left") as told, naming_output(tmp_path / "a.bin"):
        raise error
    assert told.value.errno == errno.ENOSPC and told.value.filename == str(tmp_path / "a.bin")
    with pytest.raises(ValueError, match="another"), naming_output(tmp_path):
        raise ValueError("another")


def test_who_writes_through_a_pipe_meets_no_full_disk(tmp_path: Path) -> None:
    raw, path = os.urandom(10**6), tmp_path / "a.bin"

    def write() -> None:
        with through_pipe(path) as name, Path(name).open("wb") as file:
            assert file.write(raw) == len(raw)

    assert said_in_child(write, tmp_path / "notes") == [errno.EFBIG, str(path)]
    assert path.read_bytes() == raw[:5000]
    write()
    assert path.read_bytes() == raw
