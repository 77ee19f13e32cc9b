"""Outputs of people who mean harm, finished or not: nothing outside of them is written, opened, shown or waited for."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import small_logs
from places import ARM
from refusals import fails

from fusion_aug.cli import main
from fusion_aug.run.job import Job

FORMATS = (
    "kitti", "semantickitti", "nuscenes", "argoverse2", "mmdet3d", "mcap", "lerobot", "lerobot_v21", "robomimic",
    "aloha", "rosbag",
)  # fmt: skip
OUTPUTS = (*FORMATS, "folder", "webdataset", "export")


def words_of(kind: str, root: Path, street: Path) -> list[str]:
    """Words of a run over a small log."""
    if kind in ("folder", "webdataset", "export"):
        return [*words_of("kitti", root, street), f"output={'nuscenes' if kind == 'export' else kind}"]
    if kind == "nuscenes":
        return ["log=nuscenes", f"log.root={street}", "limit=1"]
    if kind == "mmdet3d":
        return ["log=mmdet3d", f"log.root={small_logs.mmdet3d(root, street)}", "limit=1"]
    if kind == "mcap":
        return ["log=mcap", f"log.root={small_logs.short_mcap(root, 0.3)}", f"log.rig={ARM / 'mcap_rig.yaml'}"]
    if kind == "lerobot":
        return ["log=lerobot", f"log.root={small_logs.arm(root, 'lerobot')}", f"log.rig={ARM / 'lerobot_rig.yaml'}"]
    return [f"log={kind.removesuffix('_v21')}", f"log.root={getattr(small_logs, kind)(root)}"]


def staged(kind: str, folder: Path, street: Path) -> Path:
    """An output whose samples are all there, of which the last step is to come."""
    words = words_of(kind, folder / "log", street)
    assert main(["run", *words, "pipeline=identity", f"out={folder / 'out'}", "shard=1/1"]) == 0
    return folder / "out"


def tree(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def edit(path: Path, change: Callable[[Any], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# --- names in markers ------------------------------------------------------------------------------------------------
def texts(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all texts in plain data."""
    if isinstance(value, str):
        yield above
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from texts(member, (*above, key))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_no_text_in_a_marker_leads_out(kind: str, street: Path, tmp_path: Path) -> None:
    """Whatever of the rows of a sample is a path, absolute or with ``..``: nothing beside the output is written."""
    out = staged(kind, tmp_path / "a", street)
    job = Job({**json.loads((out / ".work/plan.json").read_text())["config"], "out": str(out)})
    numbers = range(len(job.tasks))
    rows = [job.marker(n)["rows"] for n in numbers]
    ids = [(job.marker(n)["line"]["id"], job.tasks[n][0]) for n in numbers]
    before = tree(tmp_path / "a/log")
    first = {tuple("*" if isinstance(k, int) else k for k in path): path for path in reversed(list(texts(rows[0])))}
    assert first or kind == "kitti"
    for path in first.values():
        for name in ("../../escape/x", str(tmp_path / "escape/x"), str(tmp_path / "a/log")):
            changed = copy.deepcopy(rows)
            at: Any = changed[0]
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = name
            with contextlib.suppress(ValueError):  # all errors of ours are
                job.writer.finish(changed, ids)
            assert sorted(p.name for p in tmp_path.iterdir()) == ["a"], (path, name)
            assert sorted(p.name for p in (tmp_path / "a").iterdir()) in (["log", "out"], ["out"]), (path, name)
            assert tree(tmp_path / "a/log") == before, (path, name)


@pytest.mark.parametrize(("kind", "key"), [("argoverse2", "scene"), ("mcap", "file")])
@pytest.mark.parametrize("name", ["../../escape/x", "/tmp/fusion_aug_escape/x"])
def test_the_marker_that_leads_out_is_named(
    kind: str, key: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = staged(kind, tmp_path, tmp_path)
    marker = sorted((out / ".work/done").iterdir())[0]
    edit(marker, lambda m: m["rows"].update({key: name}))
    fails(capsys, ["merge", str(out)], f"{marker}: rows: {key}", "leaves")
    assert not Path(name).exists() and not (tmp_path / "escape").exists() and not (tmp_path.parent / "escape").exists()


def test_a_damaged_marker_is_named(street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its field where it is known, and as damaged: nothing was wrong with writing."""
    out = staged("mmdet3d", tmp_path, street)
    marker = out / ".work/done/00000000.json"
    good = marker.read_text()
    for change in (lambda m: m["rows"].update(file="../x"), lambda m: m["rows"].update(boxes="x")):
        edit(marker, change)
        message = fails(capsys, ["merge", str(out)], f"{marker}: rows: do not fit", "remove it")
        assert "cannot be written" not in message
        marker.write_text(good)
    for wrong in ({"lidar": "x"}, {"lidar": {"items": [1]}}, {"lidar": {"items": [1, 1], "lost": {"a": "b"}}}, [1]):
        edit(marker, lambda m, wrong=wrong: m["line"].update(account=wrong))
        fails(capsys, ["merge", str(out)], f"{marker}: line.account")
        marker.write_text(good)
    for wrong in ([-1, 2, 3, "n"], [float("nan"), 2, 3, "n"], [1, 10**30, 3, "n"], [True, 2, 3, "n"]):
        edit(marker, lambda m, wrong=wrong: m.update(used=wrong))
        fails(capsys, ["merge", str(out)], str(marker), "remove it")
        marker.write_text(good)


def test_what_markers_and_plans_say_does_not_steer_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = staged("kitti", tmp_path, tmp_path)
    bad = "\x1b]0;owned\x07[bold]x[/nothing]"
    (out / ".work/done/00000001.json").write_text(json.dumps({"skipped": bad}))
    edit(out / ".work/done/00000000.json", lambda m: m["line"]["account"].update({bad: {"items": [1, 1]}}))
    edit(out / ".work/plan.json", lambda p: p["kernels"].update({"torch's instructions": bad}))
    capsys.readouterr()
    assert main(["merge", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.count("owned") == 3 and "\x1b" not in said and "\x07" not in said


# --- pipes, links and second names of files --------------------------------------------------------------------------
ODD = (
    ".work/samples.jsonl", ".work/run.json", ".work/manifest.jsonl", "run.csv.part", ".work/inputs.txt.part",
    ".work/plan.json.part", ".work/done/00000001.part", "training/odd", ".work/lock",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_pipe_or_a_socket_in_an_output_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = staged("kitti", tmp_path, tmp_path)
    (out / name).unlink(missing_ok=True)
    os.mkfifo(out / name)
    words = ["run", "log=kitti", f"log.root={tmp_path / 'log'}", "pipeline=identity", f"out={out}"]
    for command in (["merge", str(out)], words):
        fails(capsys, command, f"{out / name} is neither a file nor a folder")
    (out / name).unlink()
    monkeypatch.chdir(out / Path(name).parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as odd:
        odd.bind(Path(name).name)
    fails(capsys, ["merge", str(out)], f"{out / name} is neither a file nor a folder")


@pytest.mark.slow
@pytest.mark.parametrize("kind", OUTPUTS)
def test_no_second_name_of_a_file_is_written_through(kind: str, street: Path, tmp_path: Path) -> None:
    """Under every name that the last step writes lies a hard link to a file elsewhere, which stays as it is."""
    out = staged(kind, tmp_path, street)
    shutil.copytree(out, tmp_path / "finished")
    assert main(["merge", str(tmp_path / "finished")]) == 0
    expected = tree(tmp_path / "finished")
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    written = [n for n in expected if n not in ("run.json", "manifest.jsonl") and not (out / n).exists()]
    assert "run.csv" in written
    names = {*written, *(f"{n}.part" for n in written), ".work/parts/joined.hdf5", *ODD[:-2]}
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(kept, out / name)
    assert main(["merge", str(out)]) == 0
    assert kept.read_text() == "mine"
    found = tree(out)
    same = [n for n in expected if Path(n).stem != "run"]
    assert {n: found[n] for n in same} == {n: expected[n] for n in same}


# --- stores and secrets ----------------------------------------------------------------------------------------------
def test_a_plan_opens_no_store_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder of its files is one that the user names, and its protocol that of a store of objects."""
    out = staged("kitti", tmp_path, tmp_path)
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for root, words, said in (
        ("s3://evil-bucket/x", [], "give storage.cache=DIR"),
        ("github://evil:repo@main/x", [f"storage.cache={mine}"], "which is no object store"),
        ("s3://evil-bucket/x", [f"storage.cache={mine}", "log.root=s3://mine/x"], "were made of s3://evil-bucket/x"),
    ):
        edit(out / ".work/plan.json", lambda p, root=root: p["config"]["log"].update(root=root))
        edit(out / ".work/plan.json", lambda p: p["config"]["storage"].update(cache=str(theirs), out="s3://evil/out"))
        fails(capsys, ["merge", str(out), *words], said)
        assert not mine.exists() and not theirs.exists()


@pytest.mark.parametrize("command", ["check", "show", "replay"])
def test_text_of_a_run_is_not_interpolated(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name in ``run.json`` that looks like a variable of the environment is a name."""
    monkeypatch.setenv("FA_SECRET", "hunter2")
    out = tmp_path / "out"
    root = small_logs.kitti(tmp_path / "log", frames=1)
    assert main(["run", "log=kitti", f"log.root={root}", "pipeline=identity", f"out={out}"]) == 0
    words = [command, str(out), *(["training/000000"] if command == "replay" else [])]
    words += [f"out={tmp_path / 'a.png'}"] if command == "show" else []
    for place in ("s3://${oc.env:FA_SECRET}/x", "s3://a'${oc.env:FA_SECRET}\\'/x"):
        edit(out / "run.json", lambda facts, place=place: facts.update(source_root=place))
        assert "hunter2" not in fails(capsys, words, "${oc.env:FA_SECRET}")
    odd = root.rename(tmp_path / "${oc.env:FA_SECRET}")
    edit(out / "run.json", lambda facts: facts.update(source_root=str(odd)))
    assert main(words) == 0


# --- bombs -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("copies", [2 * 10**8, 10**30])
def test_a_plan_of_many_copies_takes_no_memory(copies: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its fingerprint is that of such a job, so that nothing else refuses it."""
    out = staged("kitti", tmp_path, tmp_path)

    def many(plan: dict[str, Any]) -> None:
        plan["config"]["copies"] = copies
        plan["fingerprint"] = Job({**plan["config"], "out": str(out)}).fingerprint()

    edit(out / ".work/plan.json", many)
    fails(capsys, ["merge", str(out)], "399999998 of 400000000 samples are missing" if copies < 10**9 else "copies: ")


def test_a_row_of_many_frames_takes_no_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    out = staged("lerobot", tmp_path, tmp_path)
    marker = sorted((out / ".work/done").iterdir())[0]
    for length in (10**15, -1, "7", 1.5):
        edit(marker, lambda m, length=length: m["rows"]["episode"].update(length=length))
        fails(capsys, ["merge", str(out)], f"{marker}: rows", "an episode of length", "frames")
