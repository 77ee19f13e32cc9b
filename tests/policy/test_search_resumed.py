"""Searches that were killed go on; journals of other searches are refused by what differs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from kill_search import SEARCHES, differing, files_of, objective, search
from places import REPOSITORY
from searches import Counted, space

import fusion_aug as fa
from fusion_aug.logs.core.locks import FolderLock


@pytest.mark.parametrize("name", SEARCHES)
def test_killed_at_random_moments(tmp_path: Path, name: str) -> None:
    """With SIGKILL, five times."""
    pytest.importorskip("optuna")
    assert differing(name, tmp_path, kills=5, seed=1) == []


@pytest.mark.quick
def test_no_training_is_made_twice(tmp_path: Path) -> None:
    """Stopped before any training, it goes on with that one; a finished search makes none."""
    counted = Counted(objective, stop_before=7)
    options: dict[str, Any] = {"out": tmp_path / "s", "seeds": 2, "score": "clean", "engine": "random"}
    with pytest.raises(KeyboardInterrupt):
        fa.search_policy(counted, space(), **options)
    assert counted.calls == 7 and not (tmp_path / "s" / "results.json").exists()
    counted.stop_before, told = None, list[tuple[int, int]]()
    first = fa.search_policy(counted, space(), **options, progress=lambda *n: told.append(n))
    before = files_of(tmp_path / "s")
    again = fa.search_policy(counted, space(), **options)
    assert counted.calls == 18 and again == first and files_of(tmp_path / "s") == before
    assert told[0] == (1, 18) and told[-1] == (18, 18)


@pytest.mark.quick
@pytest.mark.parametrize("torn", [b'{"trial": 2, "se', b"\x00" * 50, b"\n", b'{"trial": 2}', b"\xff\n"])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    search("grid", tmp_path / "whole")
    counted = Counted(objective, stop_before=4)
    options: dict[str, Any] = {"out": tmp_path / "s", "seed": 3, "trials": 9, "seeds": 2, "score": "clean"}
    with pytest.raises(KeyboardInterrupt):
        fa.search_policy(counted, space_of_the_tool(), **options)
    with (tmp_path / "s" / "journal.jsonl").open("ab") as file:
        file.write(torn)
    fa.search_policy(objective_of_the_tool(counted), space_of_the_tool(), **options)
    assert journal_lines(tmp_path / "s")[1:] == journal_lines(tmp_path / "whole")[1:]


def space_of_the_tool() -> fa.Space:
    from kill_search import PIPELINE

    return fa.Space.of(fa.Compose(PIPELINE))


def objective_of_the_tool(counted: Counted) -> Counted:
    """The same object without its stop, since its class is what a journal knows it by."""
    counted.stop_before = None
    return counted


def journal_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 4}, "seed: 0 there, 4 now"),
        ({"engine": "random"}, "engine: grid there, random now"),
        ({"trials": 4}, "trials: 9 there, 4 now"),
        ({"epochs": 2}, "epochs: 1 there, 2 now"),
        ({"n": [1, 2, 4]}, "options.n: not set there, [1, 2, 4] now"),
        ({"objective": Counted(objective)}, "objective: kill_search:objective there, searches:Counted now"),
        ({"space": space_of_the_tool()}, "space.pipeline.transforms.grain._target_: fusion_aug.GaussianNoise there"),
        ({"about": {"data": "b"}}, "about.data: a there, b now"),
    ],
)
def test_a_journal_of_another_search_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"objective": objective, "space": space(), "about": {"data": "a"}, "score": "clean"}
    fa.search_policy(**given, out=tmp_path / "s")
    before = files_of(tmp_path / "s")
    with pytest.raises(fa.DataError, match=r"journal\.jsonl: is of another search") as caught:
        fa.search_policy(**(given | change), out=tmp_path / "s")
    assert said in str(caught.value) and files_of(tmp_path / "s") == before


@pytest.mark.quick
def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    with pytest.raises(fa.DataError, match="is not empty and holds no search"):
        search("grid", tmp_path / "mine")
    (tmp_path / "link").mkdir()
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / "link" / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(fa.DataError, match="is a link, which no search makes"):
        search("grid", tmp_path / "link")
    assert (tmp_path / "elsewhere").read_text() == "kept"


def test_a_changed_journal_is_refused(tmp_path: Path) -> None:
    search("random", tmp_path / "s")
    path = tmp_path / "s" / "journal.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "not JSON", *lines[2:]]) + "\n")
    with pytest.raises(fa.DataError, match="line 2 is not what a search writes"):
        search("random", tmp_path / "s")
    path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    with pytest.raises(
        fa.DataError, match=r"another training than this search would make now \(seed: 4 there, 3 now\)"
    ):
        search("random", tmp_path / "s")


def test_one_process_searches_into_a_folder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "s" / ".work")
    if (child := os.fork()) == 0:  # locks of one process do not exclude one another
        try:
            search("grid", tmp_path / "s")
        except fa.DataError as error:
            os._exit(7 if "another process is searching into it" in str(error) else 8)
        os._exit(9)
    lock.hold()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (7, 9)
    lock.close()


def test_a_checkpoint_that_is_gone_is_told(tmp_path: Path) -> None:
    counted = Counted(objective, stop_before=5)
    options: dict[str, Any] = {"out": tmp_path / "s", "engine": "pbt", "trials": 8, "population": 4, "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        fa.search_policy(counted, space(), **options, score="clean")
    for path in (tmp_path / "s" / "checkpoints").iterdir():
        path.unlink()
    counted.stop_before = None
    with pytest.raises(fa.DataError, match=r"trial00000\d-seed0: is missing, from which trial 5, seed 0, goes on"):
        fa.search_policy(counted, space(), **options, score="clean")


class FailsOnce:
    """An objective that leaves a checkpoint and raises at one call, the first time that it comes to it."""

    def __init__(self, error: BaseException, at: int = 5):
        self.error, self.at, self.calls = error, at, 0

    def __call__(self, pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> Any:
        self.calls += 1
        if self.calls == self.at + 1:
            checkpoint.after.mkdir()
            (checkpoint.after / "half").write_text("x")
            raise self.error
        return objective(pipeline, seed, epochs, checkpoint)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (RuntimeError("boom\nand more"), fa.FusionAugError, "(RuntimeError: boom and more)"),
        (fa.DataError("a.bin: is damaged"), fa.DataError, "(DataError: a.bin: is damaged)"),
        (SystemExit(0), fa.FusionAugError, "(SystemExit: 0)"),
    ],
)
def test_an_objective_that_raises(tmp_path: Path, error: BaseException, kind: type, said: str) -> None:
    """The trial is named with what to do, nothing of it is left, and the same call goes on with it."""
    failing = FailsOnce(error)
    options: dict[str, Any] = {"out": tmp_path / "s", "seed": 3, "trials": 9, "seeds": 2, "score": "clean"}
    with pytest.raises(kind) as caught:
        fa.search_policy(failing, space_of_the_tool(), **options)
    told = str(caught.value)
    assert type(caught.value) is kind and caught.value.__cause__ is error
    assert f"objective: test_search_resumed:FailsOnce failed in trial 2, seed 4 {said}; mend it" in told
    assert f"the 5 before it are kept in {tmp_path / 's' / 'journal.jsonl'}" in told
    assert len(journal_lines(tmp_path / "s")) == 1 + 5
    left = {p.name for p in (tmp_path / "s" / "checkpoints").iterdir()}
    assert left == {f"trial{t:06d}-seed{s}" for t in (0, 1, 2) for s in (3, 4)} - {"trial000002-seed4"}
    fa.search_policy(failing, space_of_the_tool(), **options)
    assert failing.calls == 18 + 1
    search("grid", tmp_path / "whole")
    assert journal_lines(tmp_path / "s")[1:] == journal_lines(tmp_path / "whole")[1:]


@pytest.mark.quick
@pytest.mark.parametrize("returned", [None, {"clean": float("nan")}, {"other": 1.0}])
def test_a_training_whose_scores_are_refused_leaves_nothing(tmp_path: Path, returned: Any) -> None:
    def wrong(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> Any:
        checkpoint.after.write_text("x")
        return returned

    with pytest.raises(fa.ConfigError):
        fa.search_policy(wrong, space(), out=tmp_path / "s", score="clean")
    assert list((tmp_path / "s" / "checkpoints").iterdir()) == []


@pytest.mark.quick
def test_make_kill_kills_searches_too() -> None:
    recipe = (REPOSITORY / "Makefile").read_text(encoding="utf-8").split("\nkill:")[1].split("\n\n")[0]
    assert "tools/kill.py" in recipe and "tools/kill_search.py" in recipe
