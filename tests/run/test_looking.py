"""Where a run may go: a dry run refuses what the run would, and a run that fails leaves what was not its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import small_logs
from test_unfinished import refused, words

from fusion_aug.cli import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.kitti(tmp_path / "log", frames=3)


def everything(folder: Path) -> list[str]:
    return sorted(str(p) for p in folder.rglob("*"))


def test_a_dry_run_refuses_what_the_run_would(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun, done = tmp_path / "begun", tmp_path / "done"
    assert main(words(root, begun, "shard=1/3")) == 0 and main(words(root, done)) == 0
    (tmp_path / "file").write_text("mine")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone/on")
    before = everything(tmp_path)
    for place, more, said in (
        (root / "out", (), "lie in one another"), (tmp_path, (), "lie in one another"),
        (tmp_path / "theirs", (), "not a run of ours"), (tmp_path / "file", (), "is a file"),
        (tmp_path / "file/out", (), "is no folder"), (tmp_path / "nowhere/out", (), "is no folder"),
        (begun, ("seed=5",), "seed: 0 there, 5 now"), (done, ("limit=1", "seed=2"), "finished run of another job"),
        (begun / "training", (), "the output of another run"), (done / "more/out", (), "the output of another run"),
        (Path("/proc/nope/out"), (), "cannot be written"),
    ):  # fmt: skip
        refused(capsys, words(root, place, "dry_run=true", *more), "out: ", str(place), said)
    for place, state in ((begun, "unfinished"), (done, "finished"), (tmp_path / "new/out", "")):
        assert main(words(root, place, "dry_run=true")) == 0
        assert (f"this run already, {state}" in capsys.readouterr().out) == bool(state)
    assert everything(tmp_path) == before
    refused(capsys, words(root, begun / "training"), "the output of another run")
    refused(capsys, words(root, done / "more/out"), "the output of another run")


def test_a_dry_run_knows_its_shard_and_what_is_skipped(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "training/velodyne/000000.bin").write_bytes(b"junk")
    command = words(root, tmp_path / "out", "dry_run=true", "copies=2")
    refused(capsys, command, "000000.bin")
    assert main([*command, "on_error=skip", "shard=2/4"]) == 0
    assert "2 samples (of 6, shard 2/4)" in " ".join(capsys.readouterr().out.split())
    for path in (root / "training/velodyne").iterdir():
        path.write_bytes(b"junk")
    refused(capsys, [*command, "on_error=skip"], "000000.bin")
    assert not (tmp_path / "out").exists()


def test_what_differs_from_an_unfinished_run_is_named(
    root: Path, plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the run had plugins that this one does not name: that is no change of the input."""
    (plugins / "of_mine.py").write_text("")
    out = plugins / "out"
    assert main(words(root, out, "plugins=[of_mine]", "shard=1/2", "workers=0", "log.select=*")) == 0
    refused(capsys, words(root, out), 'plugins: ["of_mine"] there, [] now', "log.select: * there, null now")
    refused(capsys, words(root, out, "copies=2", "seed=1", "limit=1"), "seed: 0 there, 1 now", "more")
    same = words(root, out, "plugins=[of_mine]", "log.select=*", "workers=1", "on_error=skip", "link=hard")
    assert main([*same, "dry_run=true"]) == 0


FAILS = """
from dataclasses import dataclass
import fusion_aug as fa

@dataclass(frozen=True, kw_only=True)
class Fails(fa.Transform, fa.PointOp):
    share: float = 0.5

@fa.handles(Fails, fa.Points)
def fail(stream, call):
    raise fa.DataError("the sample is no good")
"""


def test_a_first_sample_that_fails_leaves_what_was_there(
    root: Path, plugins: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder, a link to one, and a mount point, which cannot be removed either, stay; a new folder goes."""
    (plugins / "failing.py").write_text(FAILS)
    (plugins / "empty").mkdir()
    (plugins / "target").mkdir()
    (plugins / "link").symlink_to("target")
    before = everything(plugins)
    for name in ("empty", "link", "new"):
        command = words(root, plugins / name, "plugins=[failing]", "+pipeline.transforms.f={_target_: failing.Fails}")
        refused(capsys, command, "the sample is no good")
    assert [p for p in everything(plugins) if "__pycache__" not in p] == before


def test_a_full_disk_names_the_plan(root: Path, tmp_path: Path) -> None:
    """Files may not grow beyond 100 bytes: already the list of the inputs is longer."""
    out = tmp_path / "out"
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); "
    code += "sys.dont_write_bytecode = True; "  # Python 3.11 would leave the half of it that fits
    code += "from fusion_aug.cli import main; sys.exit(main(sys.argv[1:]))"
    for more, named in (((), f"{out}/.work/inputs.txt"), (("dry_run=true",), f"{tmp_path}/tmp/")):
        (tmp_path / "tmp").mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, "-c", code, *words(root, out, *more)], capture_output=True, text=True,
                              env={**os.environ, "TMPDIR": str(tmp_path / "tmp")}, check=False)  # fmt: skip
        said = done.stderr.splitlines()
        assert done.returncode == 2 and len(said) == 1 and said[0].startswith(f"fusion-aug: {named}"), done.stderr
        assert said[0].endswith("File too large")
    assert main(words(root, out)) == 0
