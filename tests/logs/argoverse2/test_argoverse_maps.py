"""Maps of Argoverse 2 under motions of the scene, read with NumPy and JSON by the rules of the format's own reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from written import drawn_motion, is_mirrored, manifest, run

import fusion_aug as fa
from fusion_aug.cli import main

pytest.importorskip("pyarrow.feather")
from argoverse_log import CELL, VECTOR_MAP, height_over_map, in_city, make_log, points, stamps_of

MIRROR_Y = "+pipeline.transforms.m={_target_:fusion_aug.MirrorScene,axis:y}"
MIRROR_X = "+pipeline.transforms.n={_target_:fusion_aug.MirrorScene,axis:x}"
SCALE = "+pipeline.transforms.s={_target_:fusion_aug.ScaleScene,scale:[0.9,1.1]}"
YAW = "+pipeline.transforms.y={_target_:fusion_aug.RotateScene,yaw_deg:[-180,180],pitch_deg:2.0}"
MOTIONS = {
    "y": [MIRROR_Y],
    "x": [MIRROR_X],
    "scale": [SCALE],
    "all": [YAW, SCALE, MIRROR_Y],
    "both": [MIRROR_Y, MIRROR_X],
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_log(tmp_path_factory.mktemp("made") / "val" / "LOG")


def moved(source: Path, out: Path, *words: str) -> Path:
    run(out, "log=argoverse2", f"log.root={source.parents[1]}", "pipeline=identity", *words, "seed=4")
    return out / "val" / "LOG"


def vector_map(folder: Path) -> dict:
    return json.loads(next((folder / "map").glob("log_map_archive_*.json")).read_text())


def array(polyline: list[dict[str, float]]) -> np.ndarray:
    return np.array([[p[c] for c in "xyz"] for p in polyline])


@pytest.mark.quick
@pytest.mark.parametrize("motion", MOTIONS)
def test_the_cloud_stays_on_the_ground_raster(source: Path, tmp_path: Path, motion: str) -> None:
    target = moved(source, tmp_path / "out", *MOTIONS[motion])
    H = drawn_motion(manifest(tmp_path / "out")[0])
    s = float(np.cbrt(abs(np.linalg.det(H[:3, :3]))))
    for stamp in stamps_of(source):
        xyz = points(source, stamp)
        city = in_city(source, stamp, xyz)
        before = height_over_map(source, city)
        # a point whose cell hangs on its last digits says nothing
        clear = np.isfinite(before) & ~near_a_border(source, city)
        after = height_over_map(target, in_city(target, stamp, points(target, stamp)))
        assert clear.sum() > 2900 and np.abs(before[:3000][clear[:3000]]).max() < 0.05
        assert np.nanmax(np.abs(after - s * before)[clear]) < 1e-3
        assert np.array_equal(np.isnan(before)[clear], np.isnan(after)[clear])
    assert main(["check", str(tmp_path / "out")]) == 0


def near_a_border(folder: Path, city: np.ndarray) -> np.ndarray:
    similarity = json.loads(next((folder / "map").glob("*___img_Sim2_city.json")).read_text())
    cell = (city[:, :2] @ np.array(similarity["R"]).reshape(2, 2).T + similarity["t"]) * similarity["s"]
    return (np.abs(cell - np.round(cell)) < 1e-4).any(1)


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_raster_is_not_resampled(source: Path, tmp_path: Path, motion: str) -> None:
    target = moved(source, tmp_path / "out", *MOTIONS[motion])
    old, new = (np.load(next((f / "map").glob("*.npy"))) for f in (source, target))
    H = drawn_motion(manifest(tmp_path / "out")[0])
    s, mirrored = float(np.cbrt(abs(np.linalg.det(H[:3, :3])))), np.linalg.det(H[:3, :3]) < 0
    similarity = json.loads(next((target / "map").glob("*___img_Sim2_city.json")).read_text())
    R = np.array(similarity["R"]).reshape(2, 2)
    assert np.abs(R @ R.T - np.eye(2)).max() < 1e-9 and np.linalg.det(R) > 0
    assert similarity["s"] == pytest.approx(1 / CELL / s, rel=1e-9)
    flipped = (old[::-1] if mirrored else old).astype(float)
    if s == 1:
        assert new.dtype == np.float16 and np.array_equal(new, flipped, equal_nan=True)
    else:
        steps = np.diff(new.astype(float), axis=0), s * np.diff(flipped, axis=0)
        assert new.dtype == np.float32 and np.nanmax(np.abs(steps[0] - steps[1])) < 1e-5


def test_a_rigid_motion_copies_the_maps(source: Path, tmp_path: Path) -> None:
    target = moved(source, tmp_path / "out", YAW)
    for path in (source / "map").iterdir():
        assert (target / "map" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("motion", ["y", "x", "scale", "all"])
def test_lanes_keep_their_sides(source: Path, tmp_path: Path, motion: str) -> None:
    target = moved(source, tmp_path / "out", *MOTIONS[motion])
    mirrored = is_mirrored(manifest(tmp_path / "out")[0])
    new = vector_map(target)
    for number, old in VECTOR_MAP["lane_segments"].items():
        lane = new["lane_segments"][number]
        left, right = array(lane["left_lane_boundary"]), array(lane["right_lane_boundary"])
        ahead, aside = (right[1] - right[0])[:2], (left[0] - right[0])[:2]
        assert ahead[0] * aside[1] - ahead[1] * aside[0] > 0, "what is called left lies left of the lane's way"
        sides = ("right", "left") if mirrored else ("left", "right")
        for now, before in zip(("left", "right"), sides, strict=True):
            assert lane[f"{now}_lane_mark_type"] == old[f"{before}_lane_mark_type"]
            assert lane[f"{now}_neighbor_id"] == old[f"{before}_neighbor_id"]
        assert (lane["successors"], lane["predecessors"]) == (old["successors"], old["predecessors"])
    for name, field in (("drivable_areas", "area_boundary"), ("pedestrian_crossings", "edge1"),
                        ("pedestrian_crossings", "edge2")):  # fmt: skip
        for number, old in VECTOR_MAP[name].items():
            a, b = array(old[field]), array(new[name][number][field])
            heights = height_over_map(source, a), height_over_map(target, b)
            assert np.abs(heights[0]).max() < 0.05 and np.abs(heights[1]).max() < 0.05, "on the ground, as before"
            assert np.abs(a - b).max() > 0.01


def test_vectors_follow_the_vehicle(source: Path, tmp_path: Path) -> None:
    """A point of the map seen from the vehicle is mirrored as a point of the cloud is."""
    target = moved(source, tmp_path / "out", *MOTIONS["all"])
    H = drawn_motion(manifest(tmp_path / "out")[0])
    stamp = stamps_of(source)[1]
    a = array(VECTOR_MAP["drivable_areas"]["5"]["area_boundary"])
    b = array(vector_map(target)["drivable_areas"]["5"]["area_boundary"])
    seen = [from_city(f, stamp, p) for f, p in ((source, a), (target, b))]
    assert np.abs(seen[0] @ H[:3, :3].T + H[:3, 3] - seen[1]).max() < 1e-6


def from_city(folder: Path, stamp: int, city: np.ndarray) -> np.ndarray:
    origin, axes = in_city(folder, stamp, np.zeros((1, 3))), in_city(folder, stamp, np.eye(3))
    return (city - origin) @ (axes - origin).T


def test_maps_that_cannot_follow_stop_at_the_first_sweep(source: Path, tmp_path: Path) -> None:
    folder = make_log(tmp_path / "in" / "LOG")
    words = ["log=argoverse2", f"log.root={tmp_path / 'in'}", "pipeline=identity"]
    next((folder / "map").glob("*___img_Sim2_city.json")).write_text('{"R": [1, 0, 0, -1], "t": [0, 0], "s": 3}')
    with pytest.raises(fa.DataError, match=r"img_Sim2_city\.json: R: is no rotation"):
        run(tmp_path / "a", *words, MIRROR_Y)
    next((folder / "map").glob("*___img_Sim2_city.json")).unlink()
    with pytest.raises(
        fa.DataError, match=r"holds 1 \*_ground_height_surface____\*\.npy and 0 \*___img_Sim2_city\.json"
    ):
        run(tmp_path / "b", *words, MIRROR_Y)
    run(tmp_path / "c", *words, YAW)


def test_every_copy_has_the_map_of_its_own_world(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "log=argoverse2",
        f"log.root={source.parents[1]}",
        "pipeline=identity",
        MIRROR_Y,
        f"out={tmp_path / 'out'}",
    ]
    assert main(["run", *words, "keep_original=true"]) == 0
    assert "maps follow MirrorScene" in capsys.readouterr().out.replace("\n", " ")
    assert vector_map(tmp_path / "out" / "val" / "LOG") == VECTOR_MAP
    assert vector_map(tmp_path / "out" / "val" / "LOG__1") != VECTOR_MAP


def test_one_map_follows_one_motion(source: Path, tmp_path: Path) -> None:
    log = fa.open_log("argoverse2", source.parents[1])
    writer, rows = log.writer(tmp_path), []
    for sample, steps in zip(log, ([], [fa.MirrorScene(axis="y")]), strict=True):
        rows.append(writer.stage(fa.Compose(steps)(sample, seed=0), sample, sample.id, tmp_path))
    with pytest.raises(fa.DataError, match="mirrored or scaled apart"):
        writer.finish(rows, [(i, i) for i in log.ids])
