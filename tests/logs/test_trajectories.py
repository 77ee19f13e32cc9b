"""Waypoints of ``with_waypoints`` and ``log.past``, ``log.future``, against the tables read by JSON and NumPy alone."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import argoverse_log
import numpy as np
import pytest
import torch
from places import DRIVE
from scipy.spatial.transform import Rotation
from small_logs import kitti

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs import Log
from fusion_aug.logs.core.inputs import input_lines


def drive(**options: object) -> Log:
    return fa.open_log("nuscenes", DRIVE, intensity_scale=255, **options)  # or clouds are read for it


@pytest.fixture(scope="module")
def log() -> Log:
    return drive()


@pytest.fixture(scope="module")
def tables() -> dict[str, dict[str, dict]]:
    """Rows of the drive's tables by token."""
    out = {}
    for path in (DRIVE / "v1.0-mini").glob("*.json"):
        rows = json.loads(path.read_text())
        out[path.stem] = {r["token"]: r for r in rows} if rows and "token" in rows[0] else {}
    return out


def ego_of(tables: dict, sample: str) -> tuple[Rotation, np.ndarray, int]:
    """Attitude, place and time (ns) of the vehicle at the LiDAR's keyframe of a sample."""
    for row in tables["sample_data"].values():
        if row["sample_token"] == sample and row["is_key_frame"] and "/LIDAR_TOP/" in row["filename"]:
            pose = tables["ego_pose"][row["ego_pose_token"]]
            w, x, y, z = pose["rotation"]
            return Rotation.from_quat([x, y, z, w]), np.array(pose["translation"]), row["timestamp"] * 1000
    raise AssertionError(sample)


def chain_of(tables: dict, sample: str) -> list[str]:
    scene = tables["scene"][tables["sample"][sample]["scene_token"]]
    out, token = [], scene["first_sample_token"]
    while token:
        out.append(token)
        token = tables["sample"][token]["next"]
    return out


@pytest.mark.parametrize("index", [0, 7, 20])
def test_nuscenes_by_its_tables(log: Log, tables: dict, index: int) -> None:
    token = log.ids[index]
    stream = fa.with_waypoints(log, index, past=1.0, future=2.0)["waypoints"]
    turn, place, time = ego_of(tables, token)
    mine = {r["instance_token"] for r in tables["sample_annotation"].values() if r["sample_token"] == token}
    expected = {}
    for other in chain_of(tables, token):
        R, t, then = ego_of(tables, other)
        if not -1_000_000_000 <= then - time <= 2_000_000_000:
            continue
        expected["ego", then - time] = (turn.inv().apply(t - place), turn.inv() * R)
        for row in tables["sample_annotation"].values():
            if row["sample_token"] == other and row["instance_token"] in mine:
                w, x, y, z = row["rotation"]
                there = turn.inv().apply(np.array(row["translation"]) - place)
                expected[row["instance_token"], then - time] = (there, turn.inv() * Rotation.from_quat([x, y, z, w]))
    keys = list(zip(stream["instance"].tolist(), (stream["time_offset"] * 1e9).round().long().tolist(), strict=True))
    assert sorted(keys) == sorted(expected)
    for k, key in enumerate(keys):
        pose = stream["pose"][k].numpy()
        assert np.allclose(pose[:3, 3], expected[key][0], atol=1e-8)
        assert np.allclose(pose[:3, :3], expected[key][1].as_matrix(), atol=1e-8)
    assert keys[0][0] == "ego" and stream.frame == "ref" and int(stream.capture_times[0]) == time
    assert (stream["time_offset"].min() < 0) == (index > 0), "nothing before the first sample of a scene"


def test_nuscenes_velocities_and_ties(log: Log) -> None:
    sample, later = fa.with_waypoints(log, 3, past=0.0, future=1.0), log[4]
    stream = sample["waypoints"]
    T = torch.linalg.inv(sample.rig.T("world", "ego", sample.ref.time)) @ later.rig.T("world", "ego", later.ref.time)
    boxes = later.boxes()
    number = {n: k for k, n in enumerate(boxes["instance"].tolist())}
    rows = (stream["time_offset"] - 0.5).abs() < 0.1
    seen = 0
    for k in rows.nonzero()[:, 0].tolist():
        name = str(stream["instance"][k])
        if name in number:
            j, seen = number[name], seen + 1
            assert torch.allclose(stream["pose"][k], T @ boxes["pose"][j], atol=1e-8)
            assert torch.allclose(stream["velocity"][k], T[:3, :3] @ boxes["velocity"][j], atol=1e-8, equal_nan=True)
    assert seen > 10
    ego = stream.of("ego")
    assert torch.allclose(stream["velocity"][ego[0]], sample["ego"]["velocity"][0], atol=0.3)
    assert set(stream["instance"].tolist()) == {"ego", *sample.boxes()["instance"].tolist()}


def test_steps_take_the_nearest_samples(log: Log) -> None:
    offsets = fa.with_waypoints(log, 5, past=1.0, future=3.0, step=1.0)["waypoints"]
    ego = offsets["time_offset"][offsets.of("ego")]
    assert torch.allclose(ego, torch.tensor([-1.0, 0, 1, 2, 3]).double(), atol=0.06)


def test_options_do_the_same_and_selection_hides_nothing(log: Log) -> None:
    whole = log
    token = whole.ids[6]
    wanted = fa.with_waypoints(whole, 6, past=1.0, future=2.0)["waypoints"]
    chosen = drive(select=[token], past=1.0, future=2)
    found = chosen[0]["waypoints"]
    assert found["instance"].tolist() == wanted["instance"].tolist()
    assert all(torch.equal(found[c], wanted[c]) for c in ("pose", "time_offset"))
    assert not chosen.reads_neighbours  # tables alone, which belong to every sample
    assert "waypoints" not in whole[6].streams


def test_classes_choose_waypoints_too() -> None:
    log = drive(future=1.0, classes=["vehicle.car"])
    sample = log[2]
    names = set(sample["waypoints"]["instance"].tolist())
    assert names == {"ego", *sample.boxes()["instance"].tolist()} and len(names) > 2


def test_a_moved_log_moves_its_trajectories(log: Log) -> None:
    """Waypoints of augmented samples are those that the augmented boxes of the samples around have."""
    move = fa.Compose([fa.RotateScene(yaw_deg=25, scope="scene"), fa.MirrorScene(axis="y", scope="scene")])
    now, later = move(fa.with_waypoints(log, 2, future=0.6), seed=1), move(log[3], seed=1)
    T_ref_world = torch.linalg.inv(now.rig.T("world", "ego", now.ref.time))
    T = T_ref_world @ later.rig.T("world", "ego", later.ref.time)
    stream, boxes = now["waypoints"], later.boxes()
    number = {n: k for k, n in enumerate(boxes["instance"].tolist())}
    rows = [k for k, o in enumerate(stream["time_offset"].tolist()) if o > 0.3 and stream["instance"][k] in number]
    assert len(rows) > 10
    for k in rows:
        assert torch.allclose(stream["pose"][k], T @ boxes["pose"][number[str(stream["instance"][k])]], atol=1e-7)


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight sweeps, in the fourth of which the car has no cuboid."""
    folder = argoverse_log.make_log(tmp_path_factory.mktemp("av2") / "log", 8)
    path = folder / "annotations.feather"
    table = argoverse_log.read(path)
    there = np.arange(8) != 3
    argoverse_log.write(path, {n: c[there] for n, c in table.items()})
    return folder


def test_argoverse_by_its_tables(street: Path) -> None:
    log = fa.open_log("argoverse2", street, past=0.2, future=0.4)
    stream, stamps = log[2]["waypoints"], argoverse_log.stamps_of(street)
    poses, cuboids = (argoverse_log.read(street / f"{n}.feather") for n in ("city_SE3_egovehicle", "annotations"))

    def ego(stamp: int) -> tuple[Rotation, np.ndarray]:
        return argoverse_log.poses_of(poses, int(np.flatnonzero(poses["timestamp_ns"] == stamp)[0]))

    turn, place = ego(stamps[2])
    around = [i for i in range(8) if -200_000_000 <= stamps[i] - stamps[2] <= 400_000_000]
    assert around == [0, 1, 2, 3, 4, 5, 6]
    tenths = {n: (stream["time_offset"][stream.of(n)] * 10).round().int().tolist() for n in ("ego", "car")}
    assert tenths == {"ego": [-2, -1, 0, 1, 2, 3, 4], "car": [-2, -1, 0, 2, 3, 4]}
    for name in ("ego", "car"):
        for k in stream.of(name).tolist():
            stamp = stamps[2] + round(float(stream["time_offset"][k]) * 1e9)
            R, t = ego(stamp)
            if name == "car":
                inner, at = argoverse_log.poses_of(cuboids, int(np.flatnonzero(cuboids["timestamp_ns"] == stamp)[0]))
                R, t = R * inner, R.apply(at) + t
            pose = stream["pose"][k].numpy()
            assert np.allclose(pose[:3, 3], turn.inv().apply(t - place), atol=1e-8)
            assert np.allclose(pose[:3, :3], (turn.inv() * R).as_matrix(), atol=1e-8)
    ego_rows = stream.of("ego")
    places = stream["pose"][ego_rows][:, :3, 3]
    slope = (places[2:] - places[:-2]) / 0.2
    assert torch.allclose(slope, stream["velocity"][ego_rows][1:-1], atol=0.02)


def test_the_ends_of_a_scene(street: Path) -> None:
    log = fa.open_log("argoverse2", street)
    first, last = (fa.with_waypoints(log, k, 30, 30)["waypoints"] for k in (0, 7))
    assert float(first["time_offset"].min()) == 0 and float(first["time_offset"].max()) == pytest.approx(0.7)
    assert float(last["time_offset"].max()) == 0 and float(last["time_offset"].min()) == pytest.approx(-0.7)
    alone = fa.with_waypoints(log, 3, 0, 0)["waypoints"]  # where the car has no cuboid
    assert alone["instance"].tolist() == ["ego"] and float(alone["time_offset"][0]) == 0


def test_folder_logs_read_their_own_neighbours(street: Path, tmp_path: Path) -> None:
    source = fa.open_log("argoverse2", street)
    fa.write_log(list(source), tmp_path / "out", format="folder")
    log = fa.open_log("folder", tmp_path / "out", past=0.2, future=0.3, select=[source.ids[4]])
    wanted, found = fa.with_waypoints(source, 4, 0.2, 0.3)["waypoints"], log[0]["waypoints"]
    assert found["instance"].tolist() == wanted["instance"].tolist()
    for column in ("pose", "velocity", "time_offset"):
        assert torch.allclose(found[column], wanted[column], atol=1e-9, equal_nan=True), column
    # a run notes every file of the samples around
    assert log.reads_neighbours
    lines = "\n".join(input_lines(log))
    assert f"samples/{source.ids[3]}/sample.json" in lines
    without = "\n".join(input_lines(fa.open_log("folder", log.root, select=[log.ids[0]])))
    assert f"samples/{source.ids[3]}/sample.json" not in without


def test_workers_get_the_log_without_what_it_knows(street: Path) -> None:
    log = fa.open_log("argoverse2", street, past=0.2, future=0.2)
    wanted = log[2]["waypoints"]
    assert len(log.known_tracks._moments) == 5 + 1  # and the first one beyond
    sent = pickle.loads(pickle.dumps(log))
    assert not sent.known_tracks._moments
    assert torch.equal(sent[2]["waypoints"]["pose"], wanted["pose"])


def test_what_cannot_be_joined_is_refused(street: Path, tmp_path: Path) -> None:
    for options, words in (
        ({"past": -1}, "log.past: expected seconds from 0 to 120, got -1"),
        ({"future": "far"}, "log.future: expected seconds"),
        ({"future": float("nan")}, "log.future: expected seconds"),
        ({"past": True}, "log.past: expected seconds"),
    ):
        with pytest.raises(fa.ConfigError, match=words):
            fa.open_log("argoverse2", street, **options)
    log = fa.open_log("argoverse2", street)
    with pytest.raises(fa.ConfigError, match=r"step: expected seconds from 0\.01"):
        fa.with_waypoints(log, 0, step=0)
    single = fa.open_log("kitti", kitti(tmp_path / "kitti"), future=1)
    with pytest.raises(fa.DataError, match=r"no poses of the vehicle|scene of its own"):
        single[0]
    twice = argoverse_log.read(street / "annotations.feather")
    folder = argoverse_log.make_log(tmp_path / "log", 3)
    rows = np.array([0, 1, 1, 2])
    argoverse_log.write(folder / "annotations.feather", {n: c[rows] for n, c in twice.items()})
    with pytest.raises(fa.DataError, match=r"the instance 'car' occurs twice at one time"):
        fa.open_log("argoverse2", folder, future=1)[0]


def test_copies_are_no_neighbours(street: Path, tmp_path: Path) -> None:
    samples = list(fa.open_log("argoverse2", street))[:2]
    copies = [s.with_meta(0, id=f"{s.id}__1") for s in samples]
    fa.write_log([*samples, *copies], tmp_path / "out", format="folder")
    with pytest.raises(fa.DataError, match="not in the order of time, as copies are not"):
        fa.open_log("folder", tmp_path / "out", future=1)[0]


TURN = "+pipeline.transforms.t={_target_:fusion_aug.RotateScene,yaw_deg:20,scope:scene}"


def tied(sample: fa.Sample) -> None:
    """Every waypoint of now lies where the box of its name is, and every box has one."""
    stream, boxes = sample["waypoints"], sample.boxes()
    now = {str(stream["instance"][k]): stream["pose"][k] for k in (stream["time_offset"].abs() < 2e-6).nonzero()[:, 0]}
    assert set(now) == {"ego", *boxes["instance"].tolist()}
    for name, pose in zip(boxes["instance"].tolist(), boxes["pose"], strict=True):
        assert torch.allclose(now[name], pose, atol=1e-5)


def test_tracks_of_copies_and_of_other_formats_keep_their_ties(street: Path, tmp_path: Path) -> None:
    words = ["log=argoverse2", f"log.root={street}", "pipeline=identity", TURN, "log.future=0.2"]
    for output, copies in (("argoverse2", 2), ("nuscenes", 2), ("folder", 1)):
        out = tmp_path / output
        assert main(["run", *words, f"out={out}", f"output={output}", f"copies={copies}"]) == 0
        found = list(fa.open_log(output, out))
        assert len(found) == 8 * copies
        for k, sample in enumerate(found):
            if k % 8 != 3:  # where the car has no cuboid
                tied(sample)
        assert main(["check", str(out)]) == 0
    copy = next(s for s in fa.open_log("nuscenes", tmp_path / "nuscenes") if s.id.endswith("__1"))
    assert copy.boxes()["instance"][0].endswith("__1")


def test_copies_of_nuscenes_keep_their_ties(tmp_path: Path) -> None:
    words = ["log=nuscenes", f"log.root={DRIVE}", "pipeline=identity", TURN, "log.future=0.6", "limit=1"]
    assert main(["run", *words, f"out={tmp_path / 'out'}", "copies=2", "log.intensity_scale=255"]) == 0
    for sample in fa.open_log("nuscenes", tmp_path / "out", intensity_scale=255):
        tied(sample)
