"""Damaged files and tables of a log: one sentence, or the sample is skipped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from refusals import fails

from fusion_aug.cli import main


@pytest.fixture
def log(street: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(street, tmp_path / "log"))


def first(folder: Path) -> Path:
    return min(folder.iterdir())


def edit(path: Path, change: Callable[[list[dict]], None]) -> None:
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def truncate(path: Path, keep: int) -> Path:
    path.write_bytes(path.read_bytes()[:keep])
    return path


@pytest.mark.slow
def test_damaged_files(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "log=nuscenes", f"log.root={log}", "pipeline=driving", "limit=2"]
    cases = [
        (lambda: truncate(first(log / "samples/LIDAR_TOP"), 1003), "truncated"),
        (lambda: truncate(first(log / "samples/RADAR_FRONT"), 700), "truncated"),
        (lambda: truncate(first(log / "samples/RADAR_FRONT"), 40), "PCD"),
        (lambda: truncate(first(log / "samples/CAM_FRONT"), 3000), "damaged or truncated"),
        (lambda: truncate(first(log / "samples/CAM_FRONT"), 10), "header"),
    ]
    for number, (damage, part) in enumerate(cases):
        folder = tmp_path / f"out{number}"
        good = {
            p: p.read_bytes()
            for d in ("LIDAR_TOP", "RADAR_FRONT", "CAM_FRONT")
            for p in (log / "samples" / d).iterdir()
        }
        path = damage()
        for workers in (0, 1) if number == 0 else (0,):
            fails(capsys, [*words, f"out={folder}", f"workers={workers}"], str(path), part)
        assert not (folder / "manifest.jsonl").exists() and not list(folder.glob("v1.0*"))
        for p, raw in good.items():
            p.write_bytes(raw)
    # what was left goes on once the file is good again
    assert main([*words, f"out={tmp_path / 'out0'}"]) == 0


def test_wrong_tables(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = log / "v1.0-mini"
    words = ["run", "log=nuscenes", f"log.root={log}", "pipeline=geometry", f"out={tmp_path / 'out'}"]

    def camera(rows: list[dict]) -> dict:
        return next(r for r in rows if r["camera_intrinsic"])

    cases: list[tuple[str, Callable[[list[dict]], None], str]] = [
        ("calibrated_sensor", lambda r: r[0].update(rotation=[float("nan"), 0, 0, 1]), "rotation"),
        ("calibrated_sensor", lambda r: r[0].update(rotation=[1, 1, 0, 0]), "rotation"),
        ("calibrated_sensor", lambda r: r[0].update(translation=[1, 2]), "translation"),
        ("calibrated_sensor", lambda r: camera(r).update(camera_intrinsic=[[1, 2], [3, 4]]), "camera_intrinsic"),
        ("ego_pose", lambda r: r[0].update(translation=[float("inf"), 0, 0]), "NaN or infinity"),
        ("sample_data", lambda r: r[0].update(filename="../../etc/passwd"), "leaves the log's folder"),
        ("sample_data", lambda r: r[0].update(filename="/etc/passwd"), "leaves the log's folder"),
        ("sample_data", lambda r: r[0].update(calibrated_sensor_token="gone"), "'gone'"),
        ("sample_data", lambda r: [x.update(width=99) for x in r if x["fileformat"] == "jpg"], "image size"),
        ("sample", lambda r: r[-1].update(next=r[0]["token"]), "circle"),
        ("sample_annotation", lambda r: r[0].update(rotation=[0, 0, 0, 0]), "rotation"),
        ("sample_annotation", lambda r: r[0].update(size=[1, 2]), "size"),
        ("sample_annotation", lambda r: r[0].pop("size"), "size is missing"),
        ("sample_data", lambda r: r[0].pop("timestamp"), "timestamp is missing"),
        ("sample_data", lambda r: r[0].update(timestamp="now"), "timestamp is not a number"),
        ("sample", lambda r: r[0].pop("next"), "next is missing"),
        ("sample", lambda r: r[1].update(token=r[0]["token"]), "same token"),
        ("sample", lambda r: r[2].update(next=""), "does not reach the last"),
        ("scene", lambda r: r[0].pop("first_sample_token"), "first_sample_token is missing"),
        ("sensor", lambda r: r[0].pop("channel"), "channel is missing"),
    ]
    for table, change, part in cases:
        path = folder / f"{table}.json"
        good = path.read_text()
        edit(path, change)
        message = fails(capsys, words, part)
        assert "v1.0-mini" in message or ".jpg" in message, message
        path.write_text(good)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    (folder / "sensor.json").write_text("[1, 2")
    fails(capsys, words, "sensor.json", "not valid JSON")
    (folder / "sensor.json").unlink()
    fails(capsys, words, "sensor.json", "cannot be read")


@pytest.mark.slow
def test_skipping_what_cannot_be_read(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = truncate(first(log / "samples/LIDAR_TOP"), 1003)
    words = ["run", "log=nuscenes", f"log.root={log}", "pipeline=driving", f"out={tmp_path / 'out'}", "on_error=skip"]
    assert main([*words, "workers=1", "limit=2"]) == 0
    text = capsys.readouterr().out.replace("\n", "")
    assert "skipped" in text and path.name in text.replace(" ", "")
    assert len((tmp_path / "out/manifest.jsonl").read_text().splitlines()) == 2
    assert main(["check", str(tmp_path / "out")]) == 0
