"""``on_error=skip``: one damaged file costs its own sample, wherever it lies and whatever else reads it; never more."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import small_logs

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError, FusionAugError, MissingPackage
from fusion_aug.run.execute import process_all, skip_or_raise
from fusion_aug.run.job import Job

JUNK = b"\xff\xfejunk"
BOXES = "samples/training/000001/streams/boxes"


def own_format(root: Path) -> Path:
    """Three frames in the folder format."""
    fa.write_log(list(fa.open_log("kitti", small_logs.kitti(root.with_name("source"), 3))), root, "folder")
    return root


def three_frames(root: Path) -> Path:
    return small_logs.kitti(root, 3)


def two_recordings(root: Path) -> Path:
    small_logs.short_mcap(root, 0.3)
    (root / "zz.mcap").touch()
    return root


# format, what makes it, the file that is damaged, the sample that it is of, further words
DAMAGES = {
    "kitti calibration": ("kitti", three_frames, "training/calib/000001.txt", "training/000001", ()),
    "kitti labels": ("kitti", three_frames, "training/label_2/000001.txt", "training/000001", ()),
    "kitti first picture": ("kitti", three_frames, "training/image_2/000000.png", "training/000000", ()),
    "kitti first cloud": (
        "kitti", three_frames, "training/velodyne/000000.bin", "training/000000", ("output=nuscenes",)
    ),
    "argoverse2 cloud": (
        "argoverse2", small_logs.argoverse2, "val/log-a/sensors/lidar/1100000000.feather", "val/log-a/1100000000", ()
    ),
    "folder sample": ("folder", own_format, "samples/training/000001/sample.json", "training/000001", ()),
    "folder selected": (
        "folder", own_format, "samples/training/000001/sample.json", "training/000001", ("log.select='training/*'",)
    ),
    "folder stream": ("folder", own_format, f"{BOXES}/stream.json", "training/000001", ()),
    "folder arrays": ("folder", own_format, f"{BOXES}/arrays.npz", "training/000001", ()),
    "mcap recording": ("mcap", two_recordings, "zz.mcap", "zz", ()),
    "mcap window": ("mcap", two_recordings, "zz.mcap", "zz/00000", ("log.window=0.2",)),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_costs_its_sample_alone(damage: str, tmp_path: Path) -> None:
    format, make, name, guilty, more = DAMAGES[damage]
    root, out = make(tmp_path / "log"), tmp_path / "out"
    (root / name).write_bytes(JUNK)
    words = ["run", f"log={format}", f"log.root={root}", "pipeline=identity", f"out={out}", "on_error=skip", *more]
    assert main(words) == 0
    facts = json.loads((out / "run.json").read_text())
    ((sample, why),) = facts["skipped"]
    assert sample == guilty and name.rpartition("/")[2] in why
    whole = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()[1:]]
    assert whole and guilty not in {line["source"] for line in whole}
    assert main(words) == 0  # it is finished


@pytest.mark.parametrize("damage", ["argoverse2 cloud", "folder arrays"])
def test_shards_with_a_damaged_file_are_merged(damage: str, tmp_path: Path) -> None:
    format, make, name, guilty, _ = DAMAGES[damage]
    root, out = make(tmp_path / "log"), tmp_path / "out"
    (root / name).write_bytes(JUNK)
    words = ["run", f"log={format}", f"log.root={root}", "pipeline=identity", f"out={out}", "on_error=skip"]
    assert [main([*words, f"shard={k}/2"]) for k in (1, 2)] == [0, 0]
    assert main(["merge", str(out)]) == 0
    assert [sample for sample, _ in json.loads((out / "run.json").read_text())["skipped"]] == [guilty]
    fields = json.loads((out / "manifest.jsonl").read_text().splitlines()[0])["account"]["fields"]
    (unread,) = [g for g in fields if g.get("understood") is False]
    assert unread["example"] == name and "cannot be read" in unread["about"] and unread["count"] == 1


def test_without_skip_the_run_stops_at_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = two_recordings(tmp_path / "log")
    (root / "zz.mcap").write_bytes(JUNK)
    assert main(["run", "log=mcap", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]) == 2
    assert f"{root / 'zz.mcap'}: is not a readable MCAP file" in capsys.readouterr().err


@pytest.mark.quick
@pytest.mark.parametrize(
    ("error", "stops"),
    [(DataError("damaged"), False), (ConfigError("wrong"), False), (MissingPackage("needs the package av"), True)],
)
def test_a_missing_package_stops_the_run(tmp_path: Path, error: FusionAugError, stops: bool) -> None:
    """It is missing for every sample of a node, so that skipping would make an empty shard."""
    job = job_of(tmp_path)
    if stops:
        with pytest.raises(MissingPackage, match="package av"):
            skip_or_raise(job, 0, error)
    else:
        skip_or_raise(job, 0, error)
    assert job.done_file(0).is_file() != stops


@pytest.mark.quick
def test_no_memory_outside_of_a_transform_is_named_and_skipped(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    skip_or_raise(job, 1, MemoryError())
    assert "'training/000001'" in job.marker(1)["skipped"] and "memory" in job.marker(1)["skipped"]


@pytest.mark.quick
def test_code_that_ends_the_program_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a reader or writer, where nothing else says which sample it was; with a clean exit code at that."""
    job = job_of(tmp_path)
    monkeypatch.setattr(Job, "process", lambda self, number: sys.exit(0) if number else None)
    assert list(process_all(job, [0, 1], Counter())) == [0, 1]
    assert "'training/000001'" in job.marker(1)["skipped"] and "sys.exit(0)" in job.marker(1)["skipped"]


def job_of(folder: Path) -> Job:
    log = {"format": "kitti", "root": str(small_logs.kitti(folder / "log"))}
    settings = {"log": log, "out": str(folder / "out"), "plugins": [], "limit": None, "keep_original": False}
    return Job({**settings, "copies": 1, "on_error": "skip", "workers": 0, "engine": {"name": "local"}})


@pytest.mark.quick
def test_a_log_whose_package_is_missing_is_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the first sample on."""
    root = small_logs.argoverse2(tmp_path / "log")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    words = ["run", "log=argoverse2", f"log.root={root}", "pipeline=identity", f"out={tmp_path / 'out'}"]
    assert main([*words, "on_error=skip"]) == 2
    assert "package pyarrow" in capsys.readouterr().err and not (tmp_path / "out").exists()
