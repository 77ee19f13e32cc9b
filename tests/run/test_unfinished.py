"""Runs that stop, are taken up, are split over machines, and meet one another."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import small_logs

from fusion_aug.cli import main
from fusion_aug.logs.core.locks import FolderLock

TURN = "+pipeline.transforms.turn={_target_: fusion_aug.RotateScene, yaw_deg: [-9, 9]}"


def tree(out: Path) -> dict[str, str]:
    """Digest of every file of the same-bytes promise."""
    files = sorted(p for p in out.rglob("*") if p.is_file() and p.stem != "run")
    return {str(p.relative_to(out)): hashlib.blake2b(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.kitti(tmp_path / "log", frames=3)


def words(root: Path, out: Path, *more: str) -> list[str]:
    return ["run", "log=kitti", f"log.root={root}", "pipeline=identity", TURN, f"out={out}", *more]


def refused(capsys: pytest.CaptureFixture[str], command: list[str], *expected: str) -> None:
    """The command ends with 2 and one sentence that holds some words."""
    capsys.readouterr()
    assert main(command) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and all(word in said[0] for word in expected), said


# --- shards ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("order", [(1,), (3, 1, 2), (5, 4, 3, 2, 1)], ids=str)
@pytest.mark.slow
def test_shards_in_any_order_and_their_merge_give_the_same_bytes(
    root: Path, tmp_path: Path, order: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where there are more shards than samples."""
    assert main(words(root, tmp_path / "whole", "copies=2")) == 0
    out = tmp_path / "out"
    for i in order:
        assert main(words(root, out, "copies=2", f"shard={i}/{len(order)}")) == 0
        assert not (out / "manifest.jsonl").exists()
    refused(capsys, ["check", str(out)], "interrupted run", "6 of 6")
    refused(capsys, ["show", str(out), f"out={tmp_path / 'a.png'}"], "interrupted run", "fusion-aug merge")
    assert main(["merge", str(out)]) == 0
    assert tree(out) == tree(tmp_path / "whole") and not (out / ".work").exists()
    assert main(["merge", str(out)]) == 0 and "nothing to merge" in capsys.readouterr().out
    assert main(["check", str(out)]) == 0


def test_what_cannot_be_merged(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    refused(capsys, ["merge", str(out)], "holds no run")
    refused(capsys, ["merge", str(root)], "not a run of ours")
    for wrong in ("0/3", "4/3", "3", "a/b"):
        refused(capsys, words(root, out, f"shard={wrong}"), "shard", "3/64")
    assert main(words(root, out, "shard=2/3")) == 0
    refused(capsys, ["merge", str(out)], "2 of 3 samples are missing", "training/000000")
    refused(capsys, ["merge", str(out), "seed=4"], "seed")
    assert main(words(root, out)) == 0, "the whole run takes up what a shard made"
    assert main(words(root, tmp_path / "whole")) == 0 and tree(out) == tree(tmp_path / "whole")


def test_who_is_locked_out(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another process holds the second of three samples: a shard of others may run, the same shard and a merge not."""
    out = tmp_path / "out"
    assert main(words(root, out, "shard=3/3")) == 0
    code = (
        "import sys; from pathlib import Path; from fusion_aug.logs.core.locks import FolderLock\n"
        f"FolderLock(Path({str(out / '.work')!r})).hold(1, 1); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    refused(capsys, words(root, out, "shard=2/3"), "another run is writing")
    refused(capsys, words(root, out), "another run is writing")
    refused(capsys, ["merge", str(out)], "still writing")
    assert main(words(root, out, "shard=1/3")) == 0
    holder.kill()
    holder.communicate()
    assert main(words(root, out, "shard=2/3")) == 0 and main(["merge", str(out)]) == 0


# --- what an interrupted run leaves ----------------------------------------------------------------------------------
@pytest.mark.parametrize("left", [(), ("lock",), ("lock", "inputs.txt.part"), ("lock", "inputs.txt", "plan.json.part")])
@pytest.mark.quick
def test_a_run_that_stopped_before_its_plan_is_taken_up(root: Path, tmp_path: Path, left: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    (out / ".work").mkdir(parents=True)
    for name in left:
        (out / ".work" / name).write_text("half")
    assert main(words(root, out)) == 0
    assert not (out / ".work").exists()


def test_a_folder_of_others_is_left_alone(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    for place in (out / ".work" / "mine.txt", out / "mine.txt"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("mine")
        refused(capsys, words(root, out), "not a run of ours")
        assert [p for p in out.rglob("*") if p.is_file()] == [place]
        place.unlink()


def test_a_run_that_stopped_while_it_cleaned_is_finished_cleaning(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(root, out)) == 0
    before = tree(out)
    for name in ("done/00000000.json", "parts/a.hdf5", "plan.json"):
        (out / ".work" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / ".work" / name).write_text("{}")
    assert main(words(root, out)) == 0
    assert tree(out) == before and not (out / ".work").exists()


def test_a_change_of_an_input_is_refused_by_name(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(words(root, out, "shard=1/3")) == 0
    for path in (p for p in sorted(root.rglob("00000[02].*")) if p.is_file()):
        facts = path.stat()
        os.utime(path, ns=(1, 1))
        refused(capsys, words(root, out), f"{path.relative_to(root)} was changed")
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert main(words(root, out)) == 0
    os.utime(root / "training/image_2/000000.png", ns=(1, 1))
    refused(capsys, words(root, out), "finished run of another job", "input was changed")


CHANGER = """
from dataclasses import dataclass
from pathlib import Path
import os
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class Changer(fa.Transform, fa.PointOp):
    path: str = ""

@fa.handles(Changer, fa.Points)
def change(stream, call):
    if os.environ.get("CHANGED"):
        Path(os.environ["CHANGED"]).open("ab").close()
        os.utime(os.environ["CHANGED"], ns=(1, 1))
    return stream
"""


def test_a_change_while_the_run_reads_is_found_at_its_end(
    root: Path, plugins: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of the source of a plugin, which workers import later."""
    (plugins / "changer.py").write_text(CHANGER)
    command = ["run", "log=kitti", f"log.root={root}", "pipeline=identity", "plugins=[changer]"]
    command += ["+pipeline.transforms.c={_target_: changer.Changer}"]
    monkeypatch.setenv("CHANGED", str(root / "training/image_2/000001.png"))
    refused(capsys, [*command, f"out={plugins / 'a'}"], "training/image_2/000001.png was changed")
    assert not (plugins / "a/run.json").exists()
    monkeypatch.delenv("CHANGED")
    assert main([*command, f"out={plugins / 'b'}", "shard=1/2"]) == 0
    (plugins / "changer.py").write_text(f"{CHANGER}\n")
    refused(capsys, [*command, f"out={plugins / 'b'}"], "changer.py", "was changed")


def test_another_processor_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.delenv("MKL_CBWR", raising=False)
    assert main(words(root, out, "shard=1/2")) == 0 and "last bit" not in capsys.readouterr().out
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    assert main(words(root, out)) == 0
    said = capsys.readouterr().out
    assert "MKL_CBWR: not set then, COMPATIBLE now" in said and "last bit" in said
    assert "last bit" in json.loads((out / "run.json").read_text())["notes"][0]


# --- what it took ----------------------------------------------------------------------------------------------------
def test_what_every_sample_took(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(root, out, "copies=4")) == 0
    with (out / "run.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    facts = json.loads((out / "run.json").read_text())
    assert len(rows) == 12 and facts["used"]["samples"] == 12
    assert facts["used"]["bytes"] == sum(int(r["bytes"]) for r in rows)
    assert facts["used"]["memory"] == max(int(r["memory"]) for r in rows) > 2**26
    assert facts["used"]["seconds"] == pytest.approx(sum(float(r["seconds"]) for r in rows), abs=1e-2)
    mine = [p for p in out.rglob("*000001*") if p.is_file()]
    copies = [int(r["bytes"]) for r in rows if r["id"].startswith("training/000001")]
    assert sum(copies) == sum(p.stat().st_size for p in mine)
    assert len(facts["worst"]["seconds"]) == 10
    assert facts["worst"]["bytes"][0][1] == max(int(r["bytes"]) for r in rows)


def test_a_lock_is_free_again_after_a_run_in_this_process(root: Path, tmp_path: Path) -> None:
    assert main(words(root, tmp_path / "out", "shard=1/2")) == 0
    lock = FolderLock(tmp_path / "out/.work")
    lock.hold()
    lock.close()
