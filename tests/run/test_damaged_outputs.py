"""Damaged and hostile outputs, finished or not: one sentence that names the file, and nothing outside is touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_logs
from refusals import fails

from fusion_aug.cli import main

Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log, a finished run of it and one whose samples are all staged."""
    folder = tmp_path_factory.mktemp("made")
    words = ["run", "log=kitti", f"log.root={small_logs.kitti(folder / 'log')}", "pipeline=geometry"]
    assert main([*words, f"out={folder / 'run'}"]) == 0
    assert main([*words, f"out={folder / 'half'}", "shard=1/1"]) == 0
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """Copies of both, which a test may damage."""
    for name in ("run", "half"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


def edit(path: Path, change: Change, line: int | None = None) -> None:
    """Change the content of a JSON file, or one line of a file of such lines."""
    lines = path.read_text().splitlines() if line is not None else [path.read_text()]
    content = json.loads(lines[line or 0])
    change(content)
    lines[line or 0] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.clear(), lambda m: m.pop("rows"), lambda m: m.update(used=[1, 2]), lambda m: m.update(used="xyz"),
        lambda m: m.update(used=["1", 2, 3]), lambda m: m.update(line=None),
        lambda m: m["line"].update(id="../../outside"),
    ],
)  # fmt: skip
def test_markers(change: Change, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    marker = out / "half/.work/done/00000001.json"
    edit(marker, change)
    fails(capsys, ["merge", str(out / "half")], str(marker), "remove it, and the sample is made again")
    assert not (out / "half/run.json").exists()


def test_accounts_plans_and_inputs(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work, merge = out / "half/.work", ["merge", str(out / "half")]
    changes: list[tuple[str, Change]] = [
        ("done/00000000.json", lambda m: m["line"].update(account={"velodyne": "x"})),
        ("plan.json", lambda p: p.update(config={})),
        ("plan.json", lambda p: p["config"].pop("pipeline")),
        ("plan.json", lambda p: p.update(kernels=[1])),
        ("plan.json", lambda p: p["config"].update(log="x")),
        ("plan.json", lambda p: p["config"].update(copies=[[]])),
        ("plan.json", lambda p: p["config"]["log"].update(root="/gone")),
    ]
    for name, change in changes:
        good = (work / name).read_text()
        edit(work / name, change)
        fails(capsys, merge, str(work))
        (work / name).write_text(good)
    (work / "inputs.txt").write_bytes(b"\xff\xfe")
    fails(capsys, merge, str(work / "inputs.txt"))


@pytest.mark.parametrize(("kind", "command"), [("run", "merge"), ("run", "check"), ("half", "merge")])
@pytest.mark.parametrize("name", [".work", "training", "run.json", "training/label_2/000000.txt"])
def test_links_out_of_an_output(
    name: str, kind: str, command: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (out / "outside").mkdir()
    (out / "outside/kept.json").write_text("{}")
    path = out / kind / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(out / "outside" / ("kept.json" if path.suffix else ""))
    fails(capsys, [command, str(out / kind)], str(out / kind))
    assert [p.name for p in (out / "outside").iterdir()] == ["kept.json"]


@pytest.mark.parametrize("name", ["plan.json", "done"])
def test_links_out_of_an_unfinished_run(name: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = out / "half/.work" / name
    path.rename(out / name)
    path.symlink_to(out / name)
    for command in ("check", "show", "merge"):
        fails(capsys, [command, str(out / "half")], str(path), "outside")


def huge(record: dict[str, Any]) -> None:
    """Every parameter of a record becomes a number that none of them can be."""
    record["params"] = {instance: dict.fromkeys(drawn, 1e308) for instance, drawn in record["params"].items()}


@pytest.mark.parametrize(
    ("line", "change", "part"),
    [
        (0, lambda h: h.update(output="../../outside"), "line 1: output: '../../outside' is no format"),
        (0, lambda h: h.update(format="nothing"), "line 1: log: unknown format 'nothing'"),
        (1, lambda e: e["history"][0].update(name="evil.Transform"), "'evil.Transform' is not registered"),
        (1, lambda e: e.update(epoch="x"), "line 2: is damaged (ValueError: invalid literal"),
        (1, lambda e: [huge(r) for r in e["history"]], "history"),
    ],
)  # fmt: skip
def test_manifests(line: int, change: Change, part: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(out / "run/manifest.jsonl", change, line)
    for words in (["check", str(out / "run")], ["replay", str(out / "run"), "training/000000"]):
        fails(capsys, words, part)


@pytest.mark.quick
def test_words_that_only_a_library_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    fails(capsys, ["show", "log=kitti", "pipeline=9223372036854775808"], "pipeline=9223372036854775808")
    fails(capsys, ["demo", "somewhere", "frames=1"], "frames: demo takes no options")


@pytest.mark.parametrize("value", ["", "nan", "/gone/rig.yaml", 3, [None]])
def test_a_lost_file_of_the_input_is_told_by_what_names_it(
    value: object, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(out / "run/run.json", lambda facts: facts.update(rig=value))
    remedy = "if it moved, give it as log.rig=FILE"
    fails(capsys, ["replay", str(out / "run"), "training/000000"], str(out / "run/run.json"), "rig", remedy)


@pytest.mark.parametrize("value", ["nan", "x" * 10_000, "a\0b"])
def test_a_lost_input_is_told_by_what_names_it(value: str, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(out / "run/run.json", lambda facts: facts.update(source_root=value))
    fails(capsys, ["check", str(out / "run")], str(out / "run/run.json"), "source_root", "give it as log.root=DIR")
