"""Counters open nothing but regular files of the log, and unpack nothing that is far larger than its file."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_logs
from places import ARM, REPOSITORY

from fusion_aug import DataError
from fusion_aug.check.counts import COUNTERS
from fusion_aug.check.counts.labels import LABELLERS
from fusion_aug.check.counts.stored import count_sidecar
from fusion_aug.logs.core.npz import read_npz
from fusion_aug.safe import npz

Change = Callable[[Path], None]


def stored(folder: Path, arrays: dict[str, np.ndarray], kind: str = "Lidar") -> None:
    """A stream of the folder format, written with NumPy alone."""
    folder.mkdir(parents=True)
    (folder / "stream.json").write_text(json.dumps({"class": kind, "fields": {}, "pictures": []}))
    np.savez_compressed(folder / "arrays.npz", **arrays)


CLOUD = {"fields/capture_times": np.zeros(1, np.int64), "values/xyz": np.zeros((7, 3), np.float32)}


def folder_log(root: Path, ids: tuple[str, ...] = ("a",)) -> Path:
    stored(root / "samples" / "a" / "streams" / "top", CLOUD)
    (root / "log.json").write_text(json.dumps({"version": 2, "samples": list(ids)}))
    return root


def shard(root: Path, *names: str) -> Path:
    """A shard of one cloud, and further members of a name each."""
    stored(root.parent / "parts", CLOUD)
    root.mkdir()
    files = {f"a.top.{p.name}": p.read_bytes() for p in sorted((root.parent / "parts").iterdir())}
    with tarfile.open(root / "shard-000000.tar", "w") as out:
        for name, raw in [*files.items(), *((n, b"evil") for n in names)]:
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            out.addfile(info, io.BytesIO(raw))
    return root


def all_counts(kind: str, root: Path) -> dict[str, Any]:
    return {name: count() for name, count in COUNTERS[kind](root, {}).items()}


# --- shards ----------------------------------------------------------------------------------------------------------
@pytest.mark.quick
def test_nothing_of_a_shard_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = shard(tmp_path / "log", "a.%2E%2E.evil.txt", "a./etc/x.evil.txt", "../b.x.y.txt")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    before = sorted(tmp_path.rglob("*"))
    assert all_counts("webdataset", root)["a"] == {"top": {"sweeps": 1, "points": 7}}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.quick
def test_shards_that_are_packed_or_no_files(tmp_path: Path) -> None:
    root = shard(tmp_path / "log")
    path = root / "shard-000000.tar"
    raw = path.read_bytes()
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(DataError, match=r"shard-000000\.tar: the shard is damaged"):
        all_counts("webdataset", root)
    path.write_bytes(raw)
    os.mkfifo(root / "shard-000001.tar")
    with pytest.raises(DataError, match=r"shard-000001\.tar: cannot be read \(it is a pipe"):
        all_counts("webdataset", root)


# --- arrays ----------------------------------------------------------------------------------------------------------
@pytest.mark.quick
def test_arrays_that_are_far_more_than_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In folders, shards and sidecars, by the limit of the readers."""
    monkeypatch.setattr(npz, "SMALL_BYTES", 2**16)
    bomb = {**CLOUD, "fields/present": np.zeros(2**25, bool)}
    root = folder_log(tmp_path / "log")
    for at in (root / "samples/a/streams/b", root / "fusion_aug/samples/a/streams/b", tmp_path / "parts"):
        if at != tmp_path / "parts":
            stored(at, bomb)
    size = (root / "samples/a/streams/b/arrays.npz").stat().st_size
    told = rf"arrays\.npz: \d+ bytes of arrays are more than the {2**16 + 200 * size} of a file of its size"
    with pytest.raises(DataError, match=told):
        read_npz(root / "samples/a/streams/b/arrays.npz")
    with pytest.raises(DataError, match=told):
        all_counts("folder", root)
    with pytest.raises(DataError, match=told):
        count_sidecar(root, "a")
    shards = shard(tmp_path / "shards")
    with tarfile.open(shards / "shard-000000.tar", "a") as out:
        for name in ("stream.json", "arrays.npz"):
            out.add(root / "samples/a/streams/b" / name, f"a.b.{name}")
    with pytest.raises(DataError, match=told):
        all_counts("webdataset", shards)


@pytest.mark.quick
def test_arrays_that_declare_more_than_they_hold(tmp_path: Path) -> None:
    root = folder_log(tmp_path / "log")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|b1", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(root / "samples/a/streams/top/arrays.npz", "a") as archive:
        archive.writestr("fields/present.npy", head.getvalue() + b"\1")
    with pytest.raises(DataError, match=r"arrays\.npz: fields/present: declares \(1099511627776,\) numbers"):
        all_counts("folder", root)


# --- names and links -------------------------------------------------------------------------------------------------
def nuscenes(root: Path, street: Path, name: str) -> Path:
    shutil.copytree(street, root)
    (path,) = root.glob("v1.0-*/sample_data.json")
    rows = json.loads(path.read_text())
    for row in rows:
        row["filename"] = name
    path.write_text(json.dumps(rows))
    return root


def lerobot(root: Path, street: Path, name: str) -> Path:
    shutil.copytree(ARM / "lerobot", root)
    path = root / "meta" / "info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data_path": name}))
    return root


NAMED: dict[str, Callable[[Path, Path, str], Path]] = {
    "nuscenes": nuscenes,
    "lerobot": lerobot,
    "folder": lambda root, street, name: folder_log(root, (name,)),
}


@pytest.mark.parametrize("name", ["/etc/hostname", "../secret", "samples/../../secret", "a\\..\\secret"])
@pytest.mark.parametrize("kind", NAMED)
def test_names_in_files_do_not_lead_out(kind: str, name: str, tmp_path: Path, street: Path) -> None:
    if kind == "folder" and name.startswith("/"):
        name = "../../../../etc"  # an id is the end of a path
    root = NAMED[kind](tmp_path / "log", street, name)
    with pytest.raises(DataError, match="leaves the log's folder"):
        all_counts(kind, root)
    if kind in LABELLERS:
        with pytest.raises(DataError, match="leaves the log's folder"):
            [label() for label in LABELLERS[kind](root, {}).values()]
    with pytest.raises(DataError, match="leaves the log's folder"):
        count_sidecar(root, "../../x")


def small(kind: str, root: Path, street: Path) -> Path:
    if kind == "nuscenes":
        return Path(shutil.copytree(street, root))
    if kind in ("mcap", "lerobot"):
        return Path(shutil.copytree(ARM / kind, root))
    if kind == "mmdet3d":
        return small_logs.mmdet3d(root, street)
    if kind == "folder":
        return folder_log(root)
    if kind == "webdataset":
        return shard(root)
    return Path(getattr(small_logs, kind)(root))


FILES = {
    "argoverse2": ["**/lidar/*.feather", "**/annotations.feather", "**/cameras/*/*.jpg"],
    "folder": ["samples/*/streams/*/arrays.npz", "samples/*/streams/*/stream.json", "log.json"],
    "kitti": ["training/velodyne/*.bin", "training/image_2/*.png", "training/label_2/*.txt"],
    "lerobot": ["data/**/*.parquet", "videos/**/*.mp4", "meta/info.json", "meta/episodes/**/*.parquet"],
    "mcap": ["*.mcap"],
    "mmdet3d": ["samples/LIDAR_TOP/*.bin", "samples/CAM_BACK/*.jpg", "*.pkl"],
    "nuscenes": [
        "samples/LIDAR_TOP/*.bin", "samples/CAM_BACK/*.jpg", "samples/RADAR_FRONT/*.pcd", "v1.0-*/sensor.json",
    ],
    "robomimic": ["*.hdf5"],
    "aloha": ["*.hdf5"],
    "rosbag": ["run/*.db3", "*.bag"],
    "rlds": ["*.tfrecord-*", "features.json"],
    "zarr": ["**/episode_ends/.zarray", "**/img/.zarray"],
    "webdataset": ["*.tar"],
}  # fmt: skip


def total(counts: Any) -> int:
    return sum(map(total, counts.values())) if isinstance(counts, dict) else int(counts)


@pytest.mark.parametrize(("kind", "pattern"), [(k, p) for k, patterns in FILES.items() for p in patterns])
def test_links_do_not_lead_out(kind: str, pattern: str, tmp_path: Path, street: Path) -> None:
    """What a link out of the log holds is refused, or not counted; ``log.follow_links`` counts it again."""
    root = small(kind, tmp_path / "log", street)
    before = all_counts(kind, root)
    path = sorted(root.glob(pattern))[0]
    (tmp_path / "shelf").mkdir()
    path.symlink_to(path.rename(tmp_path / "shelf" / path.name))
    try:
        assert total(all_counts(kind, root)) < total(before)
    except DataError as error:
        assert str(root) in str(error)
    options = {"follow_links": str(tmp_path / "shelf")}
    assert {name: count() for name, count in COUNTERS[kind](root, options).items()} == before


# --- the source ------------------------------------------------------------------------------------------------------
UNGUARDED = {
    "glob", "rglob", "iterdir", "scandir", "walk", "open", "is_file", "read_bytes", "read_text", "load", "fromfile",
    "memmap", "TemporaryDirectory", "extract", "extractall",
}  # fmt: skip
GUARDED = {"files", "archive", "av"}  # LogFiles; a zip file of bytes; PyAV, behind check_regular
ELSEWHERE = {("webdataset.py", "tarfile"), ("files.py", "self"), ("files.py", "os")}


def test_counters_open_files_through_one_door() -> None:
    """Lists of folders and opening: by ``LogFiles`` alone."""
    found = []
    for path in sorted((REPOSITORY / "fusion_aug" / "check" / "counts").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in UNGUARDED:
                owner = ast.unparse(node.value)
                if owner not in GUARDED and (path.name, owner) not in ELSEWHERE:
                    found.append(f"{path.name}:{node.lineno}: {owner}.{node.attr}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "open":
                found.append(f"{path.name}:{node.lineno}: open")
    assert found == []
