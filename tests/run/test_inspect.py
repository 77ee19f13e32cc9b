"""``fusion-aug inspect``: what is in a log is printed before anything runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import small_logs
from places import ARM, DRIVE

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.run.survey import BLOCK, StreamFacts, stretches, survey

WORDS = [f"log.root={DRIVE}", "log=nuscenes"]


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.quick
def test_sensors_calibration_and_boxes_of_the_drive(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *WORDS]) == 0
    told = lines(capsys)
    names = ("sample", "sample_annotation", "sample_data")
    tables = {n: json.loads((DRIVE / f"v1.0-mini/{n}.json").read_text()) for n in names}
    assert f"{len(tables['sample'])} samples" in told[1]
    sweeps = sum("LIDAR_TOP" in r["filename"] for r in tables["sample_data"])
    clouds = [r["filename"] for r in tables["sample_data"] if "LIDAR_TOP" in r["filename"]]
    points = sum((DRIVE / name).stat().st_size // 20 for name in clouds)
    assert any(line.startswith(f"LIDAR_TOP Lidar 21 {sweeps} {points:,} 4 Hz") for line in told)
    picture = next(r for r in tables["sample_data"] if "CAM_FRONT/" in r["filename"])
    size = f"{picture['width']}x{picture['height']}"
    assert any(line.startswith("CAM_FRONT Camera") and f"{size} uint8 3" in line for line in told)
    mounted = next(line for line in told if line.startswith("CAM_FRONT camera"))
    assert "1.70, 0.00, 1.51 0 degrees" in mounted and f"{size} pinhole, f 502.7 px, 70 degrees wide" in mounted
    assert any(line.startswith("LIDAR_TOP lidar") and "intensity scale 255" in line for line in told)
    assert any(line.startswith(f"{len(tables['sample_annotation'])} boxes: vehicle.car") for line in told)
    assert told[-1] == "everything is understood" and any("sample_annotation.json" in line for line in told)


@pytest.mark.parametrize("kind", ["mcap", "lerobot"])
def test_robot_logs(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", f"log={kind}", f"log.root={ARM / kind}", f"log.rig={ARM / f'{kind}_rig.yaml'}"]) == 0
    told = lines(capsys)
    rate = {"mcap": "20 Hz", "lerobot": "10 Hz"}[kind]
    assert any(line.startswith("front Camera 1") and f"{rate} 160x120 uint8 3" in line for line in told)
    assert any(line.startswith("tactile_left tactile") and "mm per pixel" in line for line in told)


def test_where_the_data_of_a_sensor_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scanners whose points are in one cloud, and cameras that are calibrated but have no pictures."""
    root = small_logs.argoverse2(tmp_path / "log")
    assert main(["inspect", "log=argoverse2", f"log.root={root}"]) == 0
    told = lines(capsys)
    (scanner,) = [line for line in told if line.startswith("up_lidar lidar")]
    assert scanner.endswith("VLP-32C, max range 225.0, its data are in lidar"), scanner
    for pictures in root.rglob("ring_front_center"):
        shutil.rmtree(pictures)
    assert main(["inspect", "log=argoverse2", f"log.root={root}"]) == 0
    (camera,) = [line for line in lines(capsys) if line.startswith("ring_front_center camera")]
    assert camera.endswith("no data of it")


def test_all_sizes_and_types_of_pictures_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_logs.kitti(tmp_path / "log")
    cv2.imwrite(str(root / "training/image_2/000001.png"), np.full((96, 320, 3), 700, np.uint16))
    assert main(["inspect", "log=kitti", f"log.root={root}"]) == 0
    told = lines(capsys)
    assert any(line.startswith("image_2 Camera") and "320x96 uint16 3 and uint8 3" in line for line in told)
    assert any(line.startswith("image_3 Camera") and line.endswith("320x96 uint8 3") for line in told)


def test_two_sizes_in_one_stream_and_gaps_in_time_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = StreamFacts("Imu")
    facts.steps = [(0.01, str(k)) for k in range(40)] + [(0.5, "late"), (0.3, "later")]
    assert facts.step == pytest.approx(0.01) and facts.gaps == [(0.5, "late"), (0.3, "later")]
    facts.steps += [(0.2, "x")] * 10
    assert facts.gaps == []  # no gaps, but the manner of the stream
    root = small_logs.argoverse2(tmp_path / "log", sweeps=14)
    for stamp in (700_000_000, 800_000_000):
        (root / f"val/log-a/sensors/lidar/{1_000_000_000 + stamp}.feather").unlink()
    assert main(["inspect", "log=argoverse2", f"log.root={root}"]) == 0
    told = [line for line in lines(capsys) if line.startswith("lidar: 1 gap of")]
    assert len(told) == 1 and "the longest of 0.3 s" in told[0] and "val/log-a/1900000000" in told[0]


@pytest.mark.quick
def test_long_logs_are_read_in_blocks() -> None:
    ids = [f"{k:04d}" for k in range(1000)]
    log: Any = SimpleNamespace(ids=ids, scene_of=lambda i: int(i) // 15)
    found = list(stretches(log, 40))
    assert sum(map(len, found)) == 40 and found[0][0] == "0000" and found[-1][-1] == "0999"
    assert all(len({log.scene_of(i) for i in part}) == 1 and len(part) <= BLOCK for part in found)
    assert sum(map(len, stretches(log, None))) == 1000 and sum(map(len, stretches(log, 3))) == 3


def test_the_select_option_and_the_number_of_samples(capsys: pytest.CaptureFixture[str]) -> None:
    first = fa.open_log("nuscenes", DRIVE).ids[0]
    assert main(["inspect", *WORDS, f"log.select=[{first}]"]) == 0
    told = lines(capsys)
    assert told[1].startswith("1 sample:") and any("not selected" in line for line in told)
    assert main(["inspect", *WORDS, "n=2"]) == 0
    assert "2 of them were read, n=null reads all" in lines(capsys)[1]
    assert survey(fa.open_log("nuscenes", DRIVE), 2).read == 2


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["log=nuscenes"], "log.root"),
        (["log=nuscenes", "log.root=/nowhere"], "not a folder"),
        ([*WORDS, "n=0"], "n: expected a whole number"),
        ([*WORDS, "pipeline=fog"], "pipeline"),
        (["log=kitti", f"log.root={DRIVE}"], "no frames"),
    ],
)
def test_errors_are_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", *words]) == 2
    told = capsys.readouterr().err.strip()
    assert len(told.splitlines()) == 1 and sentence in told


def test_what_cannot_be_read_is_told_after_all_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_logs.kitti(tmp_path / "log", frames=3)
    (root / "training/label_2/000001.txt").write_text("Car 0 0\n")
    assert main(["inspect", "log=kitti", f"log.root={root}"]) == 2
    told = capsys.readouterr()
    assert "velodyne" in told.out and "training/velodyne/*.bin" in told.out
    assert (
        told.err.count("\n") == 1 and "1 of 3 samples cannot be read" in told.err and "000001.txt: line 1" in told.err
    )


def test_help_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--help"]) == 0
    assert "what a log holds" in capsys.readouterr().out


@pytest.mark.parametrize("is_told", [True, False])
def test_numbers_of_no_meaning_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], is_told: bool) -> None:
    root = small_logs.lerobot_v21(tmp_path / "log")
    parts = "log.parts={observation.state: {other: [0, 6]}, action: {other: [0, 6]}, observation.grip: {other: [0, 1]}}"
    assert main(["inspect", "log=lerobot", f"log.root={root}", *([parts] if is_told else [])]) == 0
    told = lines(capsys)
    open_ones = [line.split(":")[0] for line in told if "nothing says what its numbers mean" in line]
    assert open_ones == ([] if is_told else ["state", "action", "grip"])
    assert ("everything is understood" in told) is is_told


def test_a_sample_that_cannot_be_read_is_not_understood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = small_logs.kitti(tmp_path / "log")
    (root / "training/calib/000001.txt").write_text("P2: none\n")
    assert main(["inspect", "log=kitti", f"log.root={root}"]) != 0
    assert "everything is understood" not in lines(capsys)
