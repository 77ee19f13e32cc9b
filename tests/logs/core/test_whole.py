"""Folders that are there whole or not at all, also where their writer is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fusion_aug.errors import DataError
from fusion_aug.logs.core.whole import move_files, whole_folder
from fusion_aug.logs.core.writer import PARTS_FOLDER, WORK


def write(target: Path, killed_after: int = 9) -> None:
    """Write a folder with a file and something that does not stay, killed on the way."""
    with whole_folder(target) as part:
        for k, path in enumerate((part / "a/b.txt", part / WORK / "c.txt")):
            if k == killed_after:
                os.kill(os.getpid(), signal.SIGKILL)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("text")
        if killed_after == 2:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.quick
@pytest.mark.parametrize("killed_after", [0, 1, 2])
def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path: Path, killed_after: int) -> None:
    target = tmp_path / "out"
    child = os.fork()
    if child == 0:
        write(target, killed_after)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not target.exists() and [p.name for p in tmp_path.iterdir()] == [".out.fusion_aug"]
    write(target)
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["out", "out/a", "out/a/b.txt"]


def test_nothing_is_left_of_one_that_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "out") as part:
        (part / "a.txt").write_text("text")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    write(target)
    with pytest.raises(DataError, match="not empty"):
        write(target)


def test_parts_are_put_aside(tmp_path: Path) -> None:
    stage, out = tmp_path / "stage", tmp_path / "out"
    for name in ("a/b.txt", f"{PARTS_FOLDER}/c.txt"):
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_text(name)
    move_files(stage, out, "mine")
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.txt")) == [
        f"{WORK}/{PARTS_FOLDER}/c.txt",
        "a/b.txt",
    ]
    (stage / "a/b.txt").write_text("again")
    with pytest.raises(DataError, match=r"a/b\.txt is one of another sample too"):
        move_files(stage, out, "mine")
    move_files(stage, out, "mine", again=True)
    assert (out / "a/b.txt").read_text() == "again"


@pytest.mark.parametrize("name", [".out.fusion_aug", ".out.fusion_aug/.work", ".out.fusion_aug/.work/lock"])
def test_nothing_behind_a_link_is_removed(tmp_path: Path, name: str) -> None:
    """Somebody else's link lies where the folder, or what ours has in it, is made."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    link = tmp_path / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "mine" / ("notes.txt" if link.name == "lock" else ""))
    with pytest.raises(DataError, match=f"{link.name}: is a link"), whole_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "mine/notes.txt").read_text() == "mine" and len(list((tmp_path / "mine").iterdir())) == 1
    assert link.is_symlink() and not (tmp_path / "out").exists()
