"""Cases of ``fuzz.py`` that are made by hand: hostile pickles, bombs, and odd things as every kind of file."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import fuzz_bombs
import fuzz_bombs_binary
import fuzz_bombs_outputs
from fuzz_hand import Hand, first
from hostile_pickles import COLLIDING_KEYS, DOUBLED_KEY, HEAD, HOSTILE, MARK, within
from mutations import ODD_FILES

PICKLES = {**HOSTILE, "doubled_key": DOUBLED_KEY, "colliding_keys": COLLIDING_KEYS}
FILES = {
    "kitti": ("calib/*.txt", "velodyne/*.bin", "image_2/*.png", "label_2/*.txt"),
    "semantickitti": ("calib.txt", "poses.txt", "times.txt", "velodyne/*.bin", "labels/*.label", "image_2/*.png"),
    "argoverse2": (
        "lidar/*.feather",
        "*.jpg",
        "annotations.feather",
        "city_SE3_egovehicle.feather",
        "egovehicle_SE3_sensor.feather",
        "intrinsics.feather",
        "log_map_archive*.json",
    ),
    "robomimic": ("*.hdf5",),
    "mmdet3d": ("*.pkl", "*.bin", "*.png"),
    "nuscenes": ("*.pcd.bin", "*.pcd", "CAM_FRONT/*.jpg", "sample.json", "sensor.json", "stream.json", "arrays.npz"),
    "mcap": ("*.mcap", "mcap_rig.yaml", "arm.urdf", "tactile_left.png"),
    "lerobot": (
        "data/*/*.parquet",
        "tasks.parquet",
        "info.json",
        "stats.json",
        "*.mp4",
        "lerobot_rig.yaml",
        "arm.urdf",
    ),
    "lerobot_v21": ("data/*/*.parquet", "episodes.jsonl", "episodes_stats.jsonl", "tasks.jsonl", "info.json", "*.mp4"),
    "aloha": ("*.hdf5",),
    "rosbag": ("*.db3", "*.bag", "metadata.yaml"),
    "rlds": ("*.tfrecord-*", "features.json", "dataset_info.json"),
    "zarr": (".zgroup", "img/.zarray", "img/0.0.0.0", "state/0.0", "episode_ends/.zarray", "episode_ends/0"),
    "umi": ("*.zarr.zip",),
    "folder": ("stream.json", "arrays.npz", "*.png", "sample.json", "log.json"),
    "rig": ("rig.yaml",),
}  # kinds of files of every log
OPTION_FILES = (".yaml", ".urdf")  # which options name
SPARSE_BYTES = 2**40


@cache
def by_hand() -> dict[str, Hand]:
    """Name of every case -> the case."""
    found = dict(_pickles())
    for module in (fuzz_bombs, fuzz_bombs_binary, fuzz_bombs_outputs):
        found |= module.CASES
    return found


@cache
def odd_files() -> dict[str, Hand]:
    """An odd thing in place of the first file of every kind of every log."""
    found = {}
    for base, patterns in FILES.items():
        for pattern in patterns:
            for odd, put in {**ODD_FILES, "much of nothing": _sparse}.items():
                change = partial(_replaced, pattern=pattern, put=put)
                named = odd == "link outside" and pattern.endswith(OPTION_FILES)
                found[f"{odd} as {base}/{pattern}"] = Hand(base, change, may_be_read=True, may_follow=named)
    return found


def _replaced(root: Path, outside: Path, pattern: str, put: Callable[[Path, Path], None]) -> None:
    path = first(root, pattern)
    path.unlink()
    put(path, outside)


def _sparse(path: Path, outside: Path) -> None:
    """A file of a terabyte that takes no room."""
    with path.open("wb") as file:
        file.truncate(SPARSE_BYTES)


# --- pickles ----------------------------------------------------------------------------------------------------------
def _pickles() -> Iterator[tuple[str, Hand]]:
    """Every hostile pickle as an info file, within one, and as an array of objects."""
    for name, body in PICKLES.items():
        yield f"pickle {name}: info file", Hand("mmdet3d", partial(_whole_file, body=body))
        yield f"pickle {name}: within an info file", Hand("old", partial(_within_file, body=body))
        yield f"pickle {name}: array of objects", Hand("folder", partial(_object_array, body=body))


def _whole_file(root: Path, outside: Path, body: bytes) -> None:
    first(root, "*.pkl").write_bytes(HEAD + body)


def _within_file(root: Path, outside: Path, body: bytes) -> None:
    path = first(root, "*.pkl")
    content = pickle.loads(path.read_bytes())
    content["infos"][0]["gt_names"] = MARK  # a column of objects in some files
    path.write_bytes(within(content, body))


def _object_array(root: Path, outside: Path, body: bytes) -> None:
    path = first(root, "arrays.npz")
    fuzz_bombs_binary.npz(path, {"values/xyz": fuzz_bombs_binary.npy((3,), "|O", HEAD + body)})
