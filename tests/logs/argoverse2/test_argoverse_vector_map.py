"""The vector map of Argoverse 2 logs as a stream, against the files by JSON, NumPy and SciPy."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import followed, seen
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, DataError

pytest.importorskip("pyarrow.feather")
from argoverse_log import T0, make_log, poses_of, read

STEPS = {
    "turn": fa.RotateScene(yaw_deg=[-90, 90], pitch_deg=1.5),
    "mirror": fa.MirrorScene(axis="y"),
    "front mirror": fa.MirrorScene(axis="x"),
    "scale": fa.ScaleScene(scale=[0.8, 1.2]),
    "crop": fa.ResizeCrop(size=(40, 56), scale=[0.8, 1.2], x=[0, 1], y=[0, 1]),
    "all": fa.Compose(
        [
            fa.ResizeCrop(size=(40, 56), scale=1.1),
            fa.RotateScene(yaw_deg=30, roll_deg=1.0),
            fa.ScaleScene(scale=1.1),
            fa.MirrorScene(),
            fa.FlipImage(p=0.5),
        ]
    ),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_log(tmp_path_factory.mktemp("made") / "val" / "LOG", pictures=True)


@pytest.fixture(scope="module")
def sample(source: Path) -> fa.Sample:
    return fa.open_log("argoverse2", source.parents[1], map_range=60)[1]


def file_of(folder: Path) -> Path:
    return next((folder / "map").glob("log_map_archive_*.json"))


def lines_of(folder: Path) -> dict[tuple[str, str], np.ndarray]:
    """(record, what) -> vertices in the city, from the file."""
    data = json.loads(file_of(folder).read_text())

    def xyz(points: list[dict[str, float]]) -> np.ndarray:
        return np.array([[p[c] for c in "xyz"] for p in points])

    out = {}
    for name, lane in data["lane_segments"].items():
        out |= {(name, side): xyz(lane[f"{side}_lane_boundary"]) for side in ("left", "right")}
    out |= {(n, "drivable_area"): xyz(a["area_boundary"]) for n, a in data["drivable_areas"].items()}
    for name, c in data["pedestrian_crossings"].items():
        out[name, "ped_crossing"] = np.concatenate([xyz(c["edge1"]), xyz(c["edge2"])[::-1]])
    return out


def lines_in_city(folder: Path, sample: fa.Sample) -> dict[tuple[str, str], np.ndarray]:
    """(record, what) -> vertices in the city, of the stream, by the poses in the folder's table."""
    table = read(folder / "city_SE3_egovehicle.feather")
    turn, place = poses_of(table, int(np.flatnonzero(table["timestamp_ns"] == sample.ref.time)[0]))
    return {(e.record, e.side or e.category): turn.apply(e.parts[0]) + place for e in sample["map"].elements()}


@pytest.mark.quick
def test_lines_lie_where_the_file_has_them(source: Path, sample: fa.Sample) -> None:
    found, expected = lines_in_city(source, sample), lines_of(source)
    centres = {k: found.pop(k) for k in list(found) if k[1] == "centerline"}
    assert found.keys() == expected.keys() and len(centres) == 2
    assert max(np.abs(found[k] - expected[k]).max() for k in found) < 1e-8
    for (name, _), line in centres.items():
        middle = (expected[name, "left"] + expected[name, "right"]) / 2  # of straight boundaries of one length
        assert np.abs(line - (middle[0] + np.linspace(0, 1, 10)[:, None] * (middle[1] - middle[0]))).max() < 1e-8
    by_side = {e.side: e for e in sample["map"].elements() if e.record == "1"}
    assert (by_side["left"].mark, by_side["right"].mark) == ("LEFT_OF_1", "RIGHT_OF_1")
    assert {e.category for e in sample["map"].elements() if e.closed} == {"drivable_area", "ped_crossing"}


@pytest.mark.quick
def test_nothing_is_read_unless_asked_for(source: Path, tmp_path: Path) -> None:
    assert "map" not in fa.open_log("argoverse2", source.parents[1])[0].streams
    for wrong in (0, -3, float("nan"), "near", True):
        with pytest.raises(ConfigError, match="map_range: expected metres above 0"):
            fa.open_log("argoverse2", source.parents[1], map_range=wrong)
    bare = shutil.copytree(source.parents[1], tmp_path / "bare")
    file_of(bare / "val" / "LOG").unlink()
    with pytest.raises(DataError, match=r"map_range: .* has no map: expected .*log_map_archive_\*\.json; add it"):
        fa.open_log("argoverse2", bare, map_range=30)[0]


@pytest.mark.quick
@pytest.mark.parametrize("metres", [1.0, 4.0, 9.0, 12.0])
def test_the_range_is_one_of_records(source: Path, metres: float) -> None:
    """A record is read where any of its lines comes so near, or the vehicle is in its area."""
    sample = fa.open_log("argoverse2", source.parents[1], map_range=metres)[0]
    table = read(source / "city_SE3_egovehicle.feather")
    place = poses_of(table, int(np.flatnonzero(table["timestamp_ns"] == T0)[0]))[1][:2]
    near = set()
    for (name, what), line in lines_of(source).items():
        closed = what in ("drivable_area", "ped_crossing")
        corners = np.concatenate([line, line[:1]])[:, :2] if closed else line[:, :2]
        dense = np.concatenate([a + np.linspace(0, 1, 4000)[:, None] * (b - a) for a, b in pairwise(corners)])
        inside = closed and np.abs(np.unwrap(np.angle((dense - place) @ [1, 1j]))[[0, -1]] @ [-1, 1]) > 6
        near |= {name} if inside or np.linalg.norm(dense - place, axis=1).min() <= metres else set()
    found = {e.record for e in sample["map"].elements()} if sample["map"].rows else set()
    assert found == near and {"1", "6"} <= near and ("2" in near) == (metres > 3)


@pytest.mark.quick
@pytest.mark.parametrize("name", STEPS)
def test_lines_stay_on_the_pixels_that_they_were_on(sample: fa.Sample, name: str) -> None:
    """What a camera saw of a line, carried through its picture's maps, is where the moved line is seen; 0.1 px."""
    out = STEPS[name](sample, seed=11)
    before, after = (np.concatenate([fine(e.parts[0]) for e in s["map"].elements()]) for s in (sample, out))
    errors = []
    for camera in sample.of_type(fa.Camera):
        expected, new = followed(sample, out.history, camera, before)
        found = seen(out, new, after)
        errors.append(np.linalg.norm(found - expected, axis=1)[np.isfinite(expected).all(1)])
    errors = np.concatenate(errors)
    assert len(errors) > 200 and errors.max() < 1e-6  # nothing is resampled, and 0.1 px would show a wrong line


def fine(line: np.ndarray) -> np.ndarray:
    """Places along a line."""
    t = np.linspace(0, 1, 40)[:, None]
    return np.concatenate([a + t * (b - a) for a, b in pairwise(line)])


# --- written ----------------------------------------------------------------------------------------------------------
WORDS = {
    "yaw": "{_target_:fusion_aug.RotateScene,yaw_deg:[-180,180],pitch_deg:2.0}",
    "mirror": "{_target_:fusion_aug.MirrorScene,axis:y}",
    "scale": "{_target_:fusion_aug.ScaleScene,scale:[0.9,1.1]}",
    "shift": "{_target_:fusion_aug.TranslateScene,x:[7,8],y:[2,3]}",
}
PLANS = {"yaw": ["yaw"], "mirror": ["mirror"], "all": ["yaw", "scale", "mirror"], "shift": ["shift"]}


@pytest.mark.parametrize("plan", PLANS)
def test_what_is_read_back_is_what_was_made(source: Path, tmp_path: Path, plan: str) -> None:
    out, root = tmp_path / "out", source.parents[1]
    words = [f"+pipeline.transforms.{n}={WORDS[n]}" for n in PLANS[plan]]
    run(out, "log=argoverse2", f"log.root={root}", "log.map_range=6", "pipeline=identity", *words, "seed=4")
    line, before = manifest(out)[0], fa.open_log("argoverse2", root, map_range=6)[0]
    after = fa.open_log("argoverse2", out, map_range=6)[0]
    H = drawn_motion(line)
    expected = before["map"]["xyz"].numpy() @ H[:3, :3].T + H[:3, 3]
    assert np.abs(after["map"]["xyz"].numpy() - expected).max() < 1e-6
    sides = {"left": "right", "right": "left", "": ""} if is_mirrored(line) else {s: s for s in ("left", "right", "")}
    assert [sides[s] for s in before["map"]["side"]] == list(after["map"]["side"])
    # from the files of the log, but where these would be cut otherwise
    stored = list((out / "fusion_aug").rglob("streams/map/stream.json")) if (out / "fusion_aug").is_dir() else []
    assert bool(stored) == (plan == "shift")
    if plan != "shift":
        found, moved = lines_of(out / "val" / "LOG"), lines_in_city(out / "val" / "LOG", after)
        same = [k for k in moved if k in found]
        assert len(same) >= 6 and max(np.abs(found[k] - moved[k]).max() for k in same) < 1e-6
    assert line["account"]["map"]["rows"] == [before["map"].rows] * 2
    assert main(["check", str(out)]) == 0


def test_a_lost_element_fails_the_check(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    run(out, "log=argoverse2", f"log.root={source.parents[1]}", "log.map_range=20", "pipeline=identity")
    path = file_of(out / "val" / "LOG")
    data = json.loads(path.read_text())
    del data["pedestrian_crossings"]["6"]
    path.write_text(json.dumps(data))
    capsys.readouterr()
    assert main(["check", str(out)]) == 1
    assert any(
        "rows missing" in line and "map" in line and "FAIL" in line for line in capsys.readouterr().out.splitlines()
    )


# --- hostile ----------------------------------------------------------------------------------------------------------
POINT = {"x": 1.0, "y": 2.0, "z": 0.0}
DAMAGE: dict[str, tuple[Any, str]] = {
    "list": ([], "expected a mapping of lane_segments"),
    "another file": ({"version": 1}, "expected a mapping of lane_segments"),
    "section": ({"lane_segments": [1]}, "lane_segments: expected a mapping of ids"),
    "row": ({"drivable_areas": {"1": 3}}, r"drivable_areas\.1: expected a mapping of fields"),
    "text": ({"lane_segments": {"1": {"left_lane_boundary": "abc"}}}, r"left_lane_boundary: expected a list of points"),
    "no x": ({"drivable_areas": {"1": {"area_boundary": [{"y": 1.0}] * 3}}}, "with numbers x, y and z"),
    "text x": ({"drivable_areas": {"1": {"area_boundary": [{**POINT, "x": "1"}] * 3}}}, "with numbers x, y and z"),
    "nan": ({"drivable_areas": {"1": {"area_boundary": [{**POINT, "x": float("nan")}] * 3}}}, "with finite x, y and z"),
    "huge": ({"drivable_areas": {"1": {"area_boundary": [{**POINT, "x": 10**400}] * 3}}}, "with numbers x, y and z"),
    "one": ({"lane_segments": {"1": {"right_lane_boundary": [POINT]}}}, "expected 2 points or more"),
    "missing": ({"pedestrian_crossings": {"1": {"edge1": [POINT, POINT]}}}, "edge2: expected a list of points"),
}


@pytest.mark.quick
@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_told(source: Path, tmp_path: Path, name: str) -> None:
    data, message = DAMAGE[name]
    log = shutil.copytree(source.parents[1], tmp_path / "log")
    path = file_of(log / "val" / "LOG")
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match=message) as caught:
        fa.open_log("argoverse2", log, map_range=30)[0]
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.quick
def test_two_maps_are_one_too_many(source: Path, tmp_path: Path) -> None:
    log = shutil.copytree(source.parents[1], tmp_path / "log")
    path = file_of(log / "val" / "LOG")
    shutil.copy(path, path.with_name("log_map_archive_other.json"))
    with pytest.raises(DataError, match=r"holds 2 log_map_archive_\*\.json; keep the one of the log"):
        fa.open_log("argoverse2", log, map_range=30)[0]
    path.write_text("[" * 100_000)
    path.with_name("log_map_archive_other.json").unlink()
    with pytest.raises(DataError, match="not valid JSON"):
        fa.open_log("argoverse2", log, map_range=30)[0]
