"""Every format reads all that it reads through files that are fetched when they are opened."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_logs
from labelled_nuscenes import add_labels
from places import ARM, DRIVE
from results import differences, results
from stores import Bucket

from fusion_aug import open_log, write_log

pytestmark = pytest.mark.cluster


def nuscenes(root: Path) -> Path:
    """Tables, and what belongs to the first keyframe."""
    first = open_log("nuscenes", DRIVE)[0]
    named = {s.path for stream in first.streams.values() for s in getattr(stream, "sources", ()) if s}
    own = {p for p in named if p.is_relative_to(DRIVE / "fusion_aug")}
    beside = {q for p in own for q in (DRIVE / Path(*p.relative_to(DRIVE).parts[:3])).rglob("*") if q.is_file()}
    for path in {*named, *beside, *DRIVE.glob("v1.0-*/*"), *DRIVE.glob("maps/*.*")}:
        target = root / path.relative_to(DRIVE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return root


def with_labels(root: Path) -> Path:
    """The same with labels of its points."""
    add_labels(nuscenes(root))
    return root


def folder(root: Path) -> Path:
    """The format that holds everything."""
    write_log(open_log("nuscenes", DRIVE)[0], root)
    return root


MAKERS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "kitti": (small_logs.kitti, {}),
    "semantickitti": (small_logs.semantickitti, {}),
    "nuscenes": (with_labels, {}),
    "argoverse2": (small_logs.argoverse2, {}),
    "mmdet3d": (lambda root: small_logs.mmdet3d(root, nuscenes(root.with_name("street"))), {}),
    "mcap": (lambda root: small_logs.arm(root, "mcap"), {"rig": str(ARM / "mcap_rig.yaml"), "window": 1.0}),
    "lerobot": (lambda root: small_logs.arm(root, "lerobot"), {"rig": str(ARM / "lerobot_rig.yaml")}),
    "robomimic": (small_logs.robomimic, {}),
    "aloha": (small_logs.aloha, {}),
    "rosbag": (small_logs.rosbag, {}),
    "rlds": (small_logs.rlds, {}),
    "zarr": (small_logs.zarr, {}),
    "folder": (folder, {}),
}


@pytest.mark.parametrize("format", MAKERS)
def test_a_sample_is_the_same_as_from_disk(bucket: Bucket, tmp_path: Path, format: str) -> None:
    make, options = MAKERS[format]
    root = make(tmp_path / "log")
    here = open_log(format, root, **options)
    there = open_log(format, bucket.put(root, "log"), cache=tmp_path / "cache", **options)
    assert list(here.ids) == list(there.ids)
    assert differences(results(here[0]), results(there[0])) == []
