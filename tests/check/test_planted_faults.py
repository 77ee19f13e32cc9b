"""Faults planted into written logs: ``fusion-aug check OUT`` catches each, and passes what is sound."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import fusion_aug as fa
from calib.se3 import quaternion_from_rotation, rotation_about, rotation_from_quaternion
from fusion_aug.cli import main
from fusion_aug.logs.nuscenes.clouds import decode_radar, encode_radar


@pytest.fixture(scope="module")
def written(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The street after ``driving``, mirrored, and after nothing else."""
    out = tmp_path_factory.mktemp("written") / "out"
    words = ["log=nuscenes", f"log.root={street}", "pipeline=driving", "pipeline.mirror=1.0", "seed=5", f"out={out}"]
    assert main(["run", *words, "limit=2"]) == 0
    return out


def table(out: Path, name: str, change: Callable[[list[dict]], None]) -> None:
    path = out / "v1.0-mini" / f"{name}.json"
    rows = json.loads(path.read_text())
    change(rows)
    path.write_text(json.dumps(rows))


def camera_rows(out: Path, channel: str) -> tuple[set[str], set[str]]:
    """Tokens of the calibration and data records of a channel."""
    folder = out / "v1.0-mini"
    sensors = {r["token"] for r in json.loads((folder / "sensor.json").read_text()) if r["channel"] == channel}
    mounted = {
        r["token"] for r in json.loads((folder / "calibrated_sensor.json").read_text()) if r["sensor_token"] in sensors
    }
    rows = json.loads((folder / "sample_data.json").read_text())
    return mounted, {r["token"] for r in rows if r["calibrated_sensor_token"] in mounted}


def turn_extrinsic(out: Path) -> None:
    """0.2 degrees."""
    mounted, _ = camera_rows(out, "CAM_FRONT")

    def change(rows: list[dict]) -> None:
        for row in rows:
            if row["token"] in mounted:
                R = rotation_from_quaternion(row["rotation"]) @ rotation_about("y", np.radians(0.2))
                row["rotation"] = quaternion_from_rotation(R).tolist()

    table(out, "calibrated_sensor", change)


def shift_centre(out: Path) -> None:
    """cx + 1 px."""
    mounted, _ = camera_rows(out, "CAM_FRONT_LEFT")

    def change(rows: list[dict]) -> None:
        for row in rows:
            if row["token"] in mounted:
                row["camera_intrinsic"][0][2] += 1.0

    table(out, "calibrated_sensor", change)


def unflip_image(out: Path) -> None:
    """The picture was not flipped although the scene was."""
    path = next((out / "samples/CAM_FRONT").iterdir())
    cv2.imwrite(str(path), cv2.imread(str(path))[:, ::-1])


def unscaled_doppler(out: Path) -> None:
    """Velocities of the radar as they were before the scene was scaled."""
    scale = next(
        r["params"][""]["scale"]
        for line in (out / "manifest.jsonl").read_text().splitlines()[1:2]
        for r in json.loads(line)["history"]
        if r["name"] == "fusion_aug.ScaleScene"
    )
    assert abs(scale - 1) > 0.005
    for path in (out / "samples/RADAR_FRONT").iterdir():
        columns = decode_radar(path, path.read_bytes(), {})
        for name in ("velocity", "velocity_comp"):
            columns[name] = columns[name] / scale
        path.write_bytes(encode_radar(columns))


def late_clock(out: Path) -> None:
    """The clock of one camera is 50 ms late."""
    _, data = camera_rows(out, "CAM_FRONT_RIGHT")

    def change(rows: list[dict]) -> None:
        for row in rows:
            if row["token"] in data:
                row["timestamp"] += 50_000

    table(out, "sample_data", change)


FAULTS = {
    "extrinsic rotated by 0.2 degrees": (turn_extrinsic, "calibration"),
    "cx + 1 px": (shift_centre, "calibration"),
    "image not flipped": (unflip_image, "picture"),
    "Doppler not scaled": (unscaled_doppler, "Doppler"),
    "camera clock + 50 ms": (late_clock, "stamps"),
}


def test_a_sound_output_passes(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(written)]) == 0
    text = capsys.readouterr().out
    assert "FAIL" not in text and "Doppler" in text and "calibration" in text


@pytest.fixture(scope="module")
def real(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real frame after ``driving``, mirrored, which a check has found sound."""
    out = tmp_path_factory.mktemp("real") / "out"
    words = ["log=nuscenes", f"log.root={real_data / 'nuscenes'}", "pipeline=driving", "pipeline.mirror=1.0", "seed=2"]
    assert main(["run", *words, f"out={out}"]) == 0 and main(["check", str(out)]) == 0
    return out


@pytest.mark.parametrize("name", [n for n in FAULTS if not n.startswith("Doppler")])
def test_planted_fault_in_the_real_frame(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """All but the radar's, which the real frame has none of."""
    plant, measurement = FAULTS[name]
    out = tmp_path / "out"
    shutil.copytree(real, out)
    plant(out)
    capsys.readouterr()
    assert main(["check", str(out)]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert any(line.startswith(measurement) for line in failed), failed


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_caught(written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    plant, measurement = FAULTS[name]
    out = tmp_path / "out"
    shutil.copytree(written, out)
    plant(out)
    assert main(["check", str(out)]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert failed and any(line.startswith(measurement) for line in failed), failed


def test_kitti_faults(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A calibration rotated by 0.2 degrees, a shifted centre, an image not flipped, on the real frame."""
    root = real_data / "kitti"
    words = ["log=kitti", f"log.root={root}", "pipeline=geometry", "pipeline.mirror=1.0"]
    assert main(["run", *words, f"out={tmp_path / 'sound'}"]) == 0
    assert main(["check", str(tmp_path / "sound")]) == 0
    calib = tmp_path / "sound/training/calib/000008.txt"
    text = calib.read_text()
    rows = dict(line.split(": ") for line in text.splitlines())
    tr = torch.tensor([float(x) for x in rows["Tr_velo_to_cam"].split()], dtype=torch.float64).reshape(3, 4)
    turned = rotation_about("y", np.radians(0.2)) @ tr
    calib.write_text(text.replace(rows["Tr_velo_to_cam"], " ".join(f"{v:.12e}" for v in turned.flatten().tolist())))
    assert main(["check", str(tmp_path / "sound")]) == 1
    shifted = rows["P2"].split()
    shifted[2] = str(float(shifted[2]) + 1.0)
    calib.write_text(text.replace(rows["P2"], " ".join(shifted)))
    assert main(["check", str(tmp_path / "sound")]) == 1
    calib.write_text(text)
    assert main(["check", str(tmp_path / "sound")]) == 0
    picture = tmp_path / "sound/training/image_2/000008.png"
    cv2.imwrite(str(picture), cv2.imread(str(picture))[:, ::-1])
    assert main(["check", str(tmp_path / "sound")]) == 1
    capsys.readouterr()


def test_nothing_to_measure_is_never_a_pass(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One frame has no velocities and no radar."""
    assert main(["check", "log=kitti", f"log.root={real_data / 'kitti'}", "pipeline=geometry"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("box velocity", "Doppler"):
        line = next(x for x in lines if x.startswith(name))
        assert "n/a: " in line and "PASS" not in line


def test_miscalibration_is_reported_as_intended(street: Path) -> None:
    from fusion_aug.check import Pair
    from fusion_aug.check.geometry import projection, reported_mounting

    source = fa.open_log("nuscenes", street)[0]
    out = fa.Miscalibrate(y_deg=0.5, x=0.1, sensors=["CAM_FRONT"])(source, seed=1)
    rows = {(r.measurement, r.sensor): r for r in reported_mounting([Pair(source, out)])}
    assert rows["reported mounting: rotation", "CAM_FRONT"].values[0] == pytest.approx(0.5)
    assert rows["reported mounting: position", "CAM_FRONT"].values[0] == pytest.approx(0.1)
    assert rows["reported mounting: rotation", "CAM_FRONT_LEFT"].values[0] == pytest.approx(0.0, abs=1e-9)
    assert all(r.status == "intended" for r in rows.values())
    # the data obey the true rig, so a projection by the reported rig is off
    assert all(r.status == "PASS" for r in projection([Pair(source, out)]))
    reported, seen = out.project("LIDAR_TOP", "CAM_FRONT")
    true = source.project("LIDAR_TOP", "CAM_FRONT")[0]
    assert float((reported - true).norm(dim=1)[seen].median()) > 1.0


class TestInMemory:
    """Faults in the core itself, caught by ``check log=... pipeline=...``."""

    def failing(self, street: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
        """Measurements that fail on three keyframes, as few as have velocities."""
        words = ["log=nuscenes", f"log.root={street}", "pipeline=geometry", "pipeline.mirror=1.0", "n=3"]
        code = main(["check", *words, "pipeline.scene_scale=1.1"])
        lines = capsys.readouterr().out.splitlines()
        failed = {line.split("  ")[0] for line in lines if "FAIL" in line}
        assert code == (1 if failed else 0)
        return failed

    def test_sound(self, street: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.failing(street, capsys) == set()

    def test_images_not_flipped(self, street, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        from fusion_aug.ops.image_map import ImageMap

        monkeypatch.setattr(
            ImageMap, "flip", staticmethod(lambda size: ImageMap.homography(torch.eye(3).double(), size))
        )
        assert "content dots" in self.failing(street, capsys)

    def test_doppler_not_scaled(self, street, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        from fusion_aug.streams import columns

        monkeypatch.setitem(columns.RULES, "polar", lambda v, m, body, scaled: m.rotate(v))
        failed = self.failing(street, capsys)
        assert {"box velocity"} <= failed

    def test_extrinsics_left_behind(self, street, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        from calib import Rig

        monkeypatch.setattr(Rig, "mapped", lambda self, maps, **options: self)
        assert {"projection"} <= self.failing(street, capsys)

    def test_boxes_left_behind(self, street, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
        from fusion_aug.transforms.scene import rules as scene_rules

        monkeypatch.setattr(scene_rules, "RULES", {**scene_rules.RULES, "pose": lambda v, m, body, scaled: v})
        assert {"points in boxes"} <= self.failing(street, capsys)
