"""Counters read raw files with libraries that everybody has, and find what the readers find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs
from imports import graph
from places import ARM, DRIVE, REPOSITORY

import fusion_aug as fa
from fusion_aug.check.counts import COUNTERS
from fusion_aug.check.counts.core import ROW_WORDS
from fusion_aug.check.counts.labels import LABELLERS, points_inside, rotation_of
from fusion_aug.check.counts.stored import count_sidecar, renamed
from fusion_aug.logs import FORMATS, Log
from fusion_aug.run.config import build_log
from fusion_aug.streams import Ragged

OWN = "fusion_aug.check.counts"
# what keeps files from doing harm is shared: it decides whether a file is read, not what it holds
GUARDS = ("pickles", "hdf5", "arrow", "chunks", "npz", "tfrecord", "zarr", "picture_sizes", "sqlite", "ros1_bags")
SAFE = ("fusion_aug.safe", *(f"fusion_aug.safe.{n}" for n in GUARDS))
FILES = ("calib", "calib.regular_files", "calib.yaml_text")
ALLOWED = ("fusion_aug", "fusion_aug.errors", "fusion_aug.names", "fusion_aug.check", *SAFE, *FILES)


@pytest.mark.quick
def test_counters_share_no_code_with_readers_and_writers() -> None:
    edges = graph(REPOSITORY, ("fusion_aug", "calib"))
    mine = {name: found for name, found in edges.items() if name.startswith(OWN)}
    beyond = {n: [m for m in f if not m.startswith(OWN) and m not in ALLOWED] for n, f in mine.items()}
    assert len(mine) > 8 and {n: f for n, f in beyond.items() if f} == {}


@pytest.mark.quick
def test_every_format_has_a_counter() -> None:
    own = {name: f.reader for name, f in FORMATS.items() if f.reader.__module__.startswith("fusion_aug.")}
    ours = {name for name, reader in own.items() if not reader.written_only}
    assert ours == set(COUNTERS) and set(LABELLERS) <= ours


def open_small(kind: str, root: Path, street: Path) -> Log:
    """A small log of a format."""
    if kind == "nuscenes":
        return fa.open_log(kind, DRIVE)  # with a sidecar
    if kind in ("mcap", "lerobot"):
        return fa.open_log(kind, ARM / kind, rig=str(ARM / f"{kind}_rig.yaml"))
    if kind == "mmdet3d":
        return fa.open_log(kind, small_logs.mmdet3d(root, street))
    if kind in ("folder", "webdataset"):
        from written import run

        small_logs.kitti(root / "source")
        run(root / "out", "log=kitti", f"log.root={root / 'source'}", "pipeline=identity", f"output={kind}")
        return fa.open_log(kind, root / "out")
    return fa.open_log(kind, getattr(small_logs, kind)(root))


@pytest.mark.parametrize("kind", sorted(COUNTERS))
def test_what_is_counted_is_what_is_read(kind: str, tmp_path: Path, street: Path) -> None:
    log = open_small(kind, tmp_path / "log", street)
    counted = COUNTERS[kind](log.root, vars(log.options))
    assert set(counted) == set(log.all_ids)
    for sample in (log.read(i) for i in log.ids[:2]):
        beside = count_sidecar(log.root, renamed(log.root).get(sample.id, sample.id))
        counts = {**counted[sample.id](), **(beside if kind not in ("folder", "webdataset") else {})}
        of_rig = {n for n in counts if n == "tf_static" or n.endswith("camera_info")}  # of recordings
        assert set(counts) - of_rig == set(sample.streams) and bool(of_rig) == (kind in ("mcap", "rosbag"))
        for name, stream in sample.streams.items():
            items = [n for word, n in counts[name].items() if word not in ROW_WORDS]
            rows = [n for word, n in counts[name].items() if word in ROW_WORDS]
            assert items in ([], [len(stream)]), name
            assert rows == ([stream.rows] if isinstance(stream, Ragged) else []), name


def test_windows_and_excluded_topics() -> None:
    root, whole = ARM / "mcap", {}
    options: dict[str, Any] = {"rig": str(ARM / "mcap_rig.yaml"), "window": 0.5, "exclude": ["/imu"]}
    log = fa.open_log("mcap", root, **options)
    counted = COUNTERS["mcap"](root, options)
    assert list(counted) == list(log.ids) and len(counted) > 2
    for sample_id, count in counted.items():
        sample, found = log.read(sample_id), dict(count())
        rig = {n: found.pop(n) for n in ("tf_static", "front/camera_info", "wrist/camera_info")}
        assert rig["tf_static"] == {"calibrations": 1} and rig["front/camera_info"] == {"calibrations": 1}
        assert {n: len(s) for n, s in sample.streams.items()} == {n: next(iter(c.values())) for n, c in found.items()}
        for name, words in found.items():
            whole[name] = whole.get(name, 0) + next(iter(words.values()))
    total = COUNTERS["mcap"](root, {})["arm"]()
    assert whole == {n: next(iter(c.values())) for n, c in total.items() if n in whole} and len(whole) == len(total) - 4


def test_declared_columns_change_the_points_of_a_file(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log", frames=1)
    np.zeros((50, 7), "<f4").tofile(root / "training" / "velodyne" / "000000.bin")
    columns = ["x", "y", "z", "rcs", "v_r", "v_r_comp", "time"]
    assert COUNTERS["kitti"](root, {"columns": columns})["training/000000"]()["velodyne"] == {"sweeps": 1, "points": 50}


def test_unset_labels_are_no_boxes_in_space(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log", frames=1)
    labels = root / "training" / "label_2" / "000000.txt"
    before = COUNTERS["kitti"](root, {})["training/000000"]()
    labels.write_text("\ufeff" + labels.read_text() + "Car -1 -1 -10 1 2 3 4 -1 -1 -1 -1000 -1000 -1000 -10\n")
    after = COUNTERS["kitti"](root, {})["training/000000"]()
    assert before["boxes"] == after["boxes"] == {"boxes": small_logs.BOXES}
    assert after["boxes_2d"]["boxes"] == before["boxes_2d"]["boxes"] + 1 == small_logs.BOXES + 2


@pytest.mark.quick
def test_broken_pictures_do_not_count(tmp_path: Path) -> None:
    root = small_logs.kitti(tmp_path / "log", frames=1)
    path = root / "training" / "image_2" / "000000.png"
    path.write_bytes(path.read_bytes()[:-200])
    found = COUNTERS["kitti"](root, {})["training/000000"]()
    assert found["image_2"] == {"pictures": 0} and found["image_3"] == {"pictures": 1}


@pytest.mark.quick
def test_points_at_a_face_are_within_the_range() -> None:
    """Boxes of any heading against a count by hand."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-4, 4, (4000, 3))
    R, centre, size = rotation_of([0.9, 0.1, -0.2, 0.4]), np.array([0.5, -0.3, 0.2]), np.array([3.0, 2.0, 1.5])
    local = np.abs((points - centre) @ R)
    least, most = points_inside(points, centre[None], R[None], size[None])[0]
    assert least <= int((local <= size / 2).all(1).sum()) <= most and 0 <= most - least < 20 and least > 50
    on_face = centre + R @ np.array([1.5, 0.0, 0.0])
    assert points_inside(on_face[None], centre[None], R[None], size[None]) == [(0, 1)]
    assert points_inside(np.zeros((0, 3)), centre[None], R[None], size[None]) == [(0, 0)]


def test_options_of_a_run_reach_the_counters(tmp_path: Path) -> None:
    """``log.classes`` and other options are those of the opened log."""
    log = build_log({"format": "mcap", "root": str(ARM / "mcap"), "window": 1.0, "rig": str(ARM / "mcap_rig.yaml")})
    assert vars(log.options)["window"] == 1.0


def test_links_are_followed_where_a_log_follows_them(tmp_path: Path) -> None:
    """Below the root and below ``log.follow_links``, and never round in a circle."""
    shelf, root = tmp_path / "shelf" / "day", tmp_path / "log"
    shelf.mkdir(parents=True)
    root.mkdir()
    (shelf / "arm.mcap").symlink_to(ARM / "mcap" / "arm.mcap")
    (root / "day").symlink_to(shelf)
    (root / "again").symlink_to(root)
    assert list(COUNTERS["mcap"](root, {})) == []
    folders = [str(tmp_path / "shelf"), str(ARM / "mcap")]
    assert list(COUNTERS["mcap"](root, {"follow_links": folders[:1]})) == []
    assert list(COUNTERS["mcap"](root, {"follow_links": folders})) == ["day/arm"]
