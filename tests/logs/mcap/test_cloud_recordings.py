"""Clouds in recordings, from the command line: run, check, what the user says of fields, and what stops a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mcap")
from bags import T0, Messages, messages, recording, ros, run
from cloud_messages import KIND, message, table

from fusion_aug.logs.mcap.cloud_layout import packed_rows

MIRROR = "{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
TOPIC = "/lidar/points"


def clouds(path: Path, topic: str = TOPIC) -> list[np.ndarray]:
    return [packed_rows(m, "test") for _, m in messages(path / "a.mcap", topic)]


def bag(folder: Path, *made: Any, topic: str = TOPIC, frame: str = "hand") -> Path:
    """A recording of the arm with clouds at 10 Hz."""
    extra: Messages = []
    for k, m in enumerate(made):
        m.header.frame_id = frame
        m.header.stamp = ros("builtin_interfaces/Time")(sec=T0 // 10**9, nanosec=k * 10**8)
        extra.append((topic, KIND, m, T0 + k * 10**8))
    return recording(folder / "log" / "a.mcap", extra, seconds=0.2)


def walked(n: int = 48) -> np.ndarray:
    rows = table(n, normal_x=("<f4", 0.6), normal_y=("<f4", 0.8), normal_z=("<f4", 0), vx=("<f4", 1), vy=("<f4", 2),
                 doppler=("<f4", 3), range=("<u4", 0), azimuth=("<f4", 0), intensity=("u1", 30),
                 t=("<u4", np.arange(n) * 10**6), vel_x=("<i2", 3), vel_y=("<i2", -5))  # fmt: skip
    x, y, z = (rows[a].astype(float) for a in "xyz")
    rows["range"], rows["azimuth"] = 1000 * np.sqrt(x * x + y * y + z * z), np.degrees(np.arctan2(x, y)) % 360
    return rows


def test_a_run_and_its_check(tmp_path: Path) -> None:
    rows = walked()
    folder = bag(tmp_path, message(rows, 6, 16), message(rows, 6, 16))
    assert run(folder, tmp_path / "fast", "{_target_: fusion_aug.SpeedWarp, speed: 2.5}") == 0
    found = clouds(tmp_path / "fast")[1]
    assert np.allclose(found["vx"], 2.5) and np.allclose(found["doppler"], 7.5) and found["t"][-1] == 18_800_000
    assert (found["vel_x"] == 8).all() and (found["vel_y"] == -12).all()  # rounded as the field holds them
    assert all(np.array_equal(found[n], rows[n]) for n in ("x", "normal_y", "range", "azimuth", "intensity"))
    assert (
        run(folder, tmp_path / "same", "{_target_: fusion_aug.IntensityGain, gain: 1.0}", "log.intensity_scale=255")
        == 0
    )
    before, after = (messages(p / "a.mcap", TOPIC)[0][1] for p in (folder, tmp_path / "same"))
    assert bytes(before.data) == bytes(after.data) and before.row_step == after.row_step


def test_fields_that_the_user_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(20, foo=("<f4", 2), bar=("u1", 3))
    folder = bag(tmp_path, message(rows), frame="map")
    fast = "{_target_: fusion_aug.SpeedWarp, speed: 2.0}"
    assert run(folder, tmp_path / "no", fast) == 2 and not (tmp_path / "no").exists()
    said = capsys.readouterr().err
    assert "/lidar/points" in said and "'foo'" in said and "log.fields" in said and "SpeedWarp" in said
    assert run(folder, tmp_path / "noise", "{_target_: fusion_aug.PointDropout, share: 0.4}") == 0
    assert run(folder, tmp_path / "out", fast, "log.fields={/lidar/points: {foo: speed}}") == 0
    found = clouds(tmp_path / "out")[0]
    assert (found["foo"] == 4).all() and (found["bar"] == 3).all()
    assert run(folder, tmp_path / "wrong", fast, "log.fields={*: {foo: fast}}") == 2
    assert "'fast' is no meaning" in capsys.readouterr().err
    assert run(folder, tmp_path / "other", fast, "log.fields={/lidar/point: {foo: speed}}") == 2
    assert "log.fields: 'lidar/point' matches nothing" in capsys.readouterr().err


def test_clouds_that_are_no_points_are_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole numbers for x, y, z: nothing is refused but what would have to change them."""
    folder = bag(tmp_path, message(table(20, "<i4")))
    assert run(folder, tmp_path / "out", "{_target_: fusion_aug.Brightness, factor: 0.8}") == 0
    before, after = (messages(p / "a.mcap", TOPIC)[0][1] for p in (folder, tmp_path / "out"))
    assert bytes(before.data) == bytes(after.data)
    capsys.readouterr()
    assert run(folder, tmp_path / "no", "{_target_: fusion_aug.PointDropout, share: 0.4}") == 2
    said = capsys.readouterr().err
    assert "/lidar/points" in said and "their unit is not known" in said and "log.exclude" in said
