"""``check OUT`` counts source and output by itself and holds them against the account of the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_logs
from lost import DRIVING, LOST, ROBOTS, failed, names, nuscenes_boxes, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.sample.manifest import NAME


# --- honest runs -----------------------------------------------------------------------------------------------------
def step(name: str, target: str, fields: str) -> str:
    return f"+pipeline.transforms.{name}={{_target_:fusion_aug.{target},{fields}}}"


LOSING = [
    step("near", "RangeCrop", "high:20.0"),
    step("fewer", "PointDropout", "share:0.4"),
    step("cut", "Crop", "size:[96,160],x:0.0,y:0.0"),
]


@pytest.mark.parametrize("kind", DRIVING)
def test_runs_that_lose_things_hold(small: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Points out of range and dropped, pictures that are cut, fog, copies: each loss has its reason."""
    fog = ["pipeline=fog", "pipeline.mor=60", "+pipeline.transforms.weather.overcast=0"]
    air = fog if kind in ("nuscenes", "mmdet3d") else ["pipeline=identity"]
    assert run(small, kind, tmp_path / "out", *air, *LOSING, "copies=2", "limit=1") == 0
    assert failed(tmp_path / "out", capsys) == []
    lines = [json.loads(line) for line in (tmp_path / "out" / NAME).read_text().splitlines()[1:]]
    lost = [sorted({r for s in line["account"].values() for r in s.get("lost", ())}) for line in lines]
    assert all({"near", "fewer"} <= set(reasons) for reasons in lost), lost


@pytest.mark.parametrize("kind", ROBOTS)
def test_robots_that_lose_things_hold(
    small: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change = step("x", "DropFrames", "share:0.3") if kind == "mcap" else step("x", "SpeedWarp", "speed:1.3")
    more = [] if kind != "robomimic" else ["log.exclude=[obs/gripper]", "log.parts={actions:{other:[0,7]}}"]
    assert run(small, kind, tmp_path / "out", "pipeline=identity", change, *more) == 0
    assert failed(tmp_path / "out", capsys) == []


def test_boxes_that_leave_the_picture_have_their_reason(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run(small, "kitti", tmp_path / "out", "pipeline=identity", step("cut", "Crop", "size:[96,160],x:0.0,y:0.0"))
        == 0
    )
    assert failed(tmp_path / "out", capsys) == []
    account = json.loads((tmp_path / "out" / NAME).read_text().splitlines()[1])["account"]["boxes"]
    left = len((tmp_path / "out/training/label_2/000000.txt").read_text().splitlines())
    assert 0 < left <= small_logs.BOXES and sum(account["lost"].values()) == small_logs.BOXES - account["rows"][1] > 0


# --- what the account says -------------------------------------------------------------------------------------------
def with_account(out: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the account of the first sample."""
    header, line, *rest = (out / NAME).read_text().splitlines(keepends=True)
    data = json.loads(line)
    change(data["account"])
    (out / NAME).write_text("".join([header, json.dumps(data) + "\n", *rest]))


@pytest.mark.parametrize("reason", ["", "magic", "the format has no place for it"])
def test_a_loss_needs_a_reason(small: Path, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(small, "nuscenes", out, "pipeline=identity", "limit=1") == 0
    nuscenes_boxes(out)
    with_account(
        out,
        lambda a: a["boxes"].update(rows=[a["boxes"]["rows"][0], a["boxes"]["rows"][0] - LOST], lost={reason: LOST}),
    )
    assert names(failed(out, capsys), "boxes missing", "boxes")


def test_a_transform_that_promises_to_keep_everything_is_no_reason(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(small, "kitti", tmp_path / "out", "pipeline=identity", LOSING[1]) == 0
    assert failed(tmp_path / "out", capsys) == []
    kept = {promise: why for promise, why in fa.PointDropout.exemptions.items() if promise != "keeps_rows"}
    monkeypatch.setattr(fa.PointDropout, "exemptions", kept)
    assert names(failed(tmp_path / "out", capsys), "points missing", "velodyne")


def test_a_mirror_swaps_the_detections_of_left_and_right(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It promises to keep rows, and each stream has other ones, as many in all."""
    words = ("pipeline=identity", step("other", "MirrorScene", "axis:y"), "limit=1")
    assert run(small, "nuscenes", tmp_path / "out", *words) == 0
    assert failed(tmp_path / "out", capsys) == []
    account = json.loads((tmp_path / "out" / NAME).read_text().splitlines()[1])["account"]
    assert any("other" in stream.get("lost", {}) for stream in account.values())
    with_account(tmp_path / "out", lambda a: a["RADAR_FRONT_LEFT"].setdefault("lost", {}).update(other=3))
    assert names(failed(tmp_path / "out", capsys), "points", "RADAR_FRONT_LEFT")


def test_an_account_that_says_too_much_or_too_little(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(small, "kitti", out, "pipeline=identity", LOSING[1]) == 0
    with_account(out, lambda a: a["velodyne"]["lost"].update(fewer=1))
    assert names(failed(out, capsys), "points missing", "velodyne")
    with_account(out, lambda a: a["velodyne"]["lost"].update(fewer=10_000))
    assert names(failed(out, capsys), "points unexpected", "velodyne")


def test_a_manifest_without_an_account_is_not_compared(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(small, "kitti", out) == 0
    lines = [json.loads(line) for line in (out / NAME).read_text().splitlines()]
    for line in lines:
        del line["account"]
    (out / NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    capsys.readouterr()
    assert main(["check", str(out)]) == 0
    text = capsys.readouterr().out
    assert text.count("not compared: the manifest is of a version that wrote no account") == 2


def test_samples_that_are_gone_or_too_many(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(small, "kitti", out) == 0
    for path in sorted((out / "training").rglob("000001.*")):
        shutil.copy(path, path.with_stem("000007"))
    assert names(failed(out, capsys), "samples unexpected", "all")
    for path in sorted((out / "training").rglob("00000[17].*")):
        path.unlink()
    assert names(failed(out, capsys), "samples missing", "all")
