"""Locks of folders: who holds what, and that they end with their process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from fusion_aug.logs.core.locks import NAME, FolderLock, Locked


def in_child(work: Callable[[], None]) -> int:
    """Exit code of a forked process that does something; 7 where it is locked out."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except Locked:
            os._exit(7)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.quick
def test_places_have_one_holder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "work")
    lock.hold(3, 2)
    tries = {(0, 3): 0, (5, 1): 0, (2, 2): 7, (4, 1): 7, (0, 0): 7}
    for place, code in tries.items():
        assert in_child(lambda place=place: FolderLock(tmp_path / "work").hold(*place)) == code, place  # type: ignore[misc]
    lock.release(3, 1)
    assert in_child(lambda: FolderLock(tmp_path / "work").hold(3, 1)) == 0
    lock.close()
    assert in_child(lambda: FolderLock(tmp_path / "work").hold(0, 0)) == 0


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    def die() -> None:
        FolderLock(tmp_path).hold()
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    lock = FolderLock(tmp_path)
    lock.hold()
    lock.close()


def test_whoever_waited_for_a_removed_folder_locks_the_new_one(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "work"), FolderLock(tmp_path / "work")
    (tmp_path / "work" / NAME).unlink()
    (tmp_path / "work").rmdir()
    second.hold()
    assert (tmp_path / "work" / NAME).stat().st_ino == os.fstat(second._file).st_ino
    assert in_child(lambda: FolderLock(tmp_path / "work").hold()) == 7
    first.close()
    second.close()
