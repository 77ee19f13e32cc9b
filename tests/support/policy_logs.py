"""Small sets of robots whose states and commands are poses of a hand, made with pyarrow and h5py alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

FPS = 10


def hand(frames: int, seed: int = 0) -> tuple[np.ndarray, Rotation]:
    """Places (n, 3) and rotations of a hand that points down, as grippers do, and turns about the vertical."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, frames)[:, None]
    place = np.array([0.4, 0.1, 0.2]) + 0.2 * np.sin(t * rng.uniform(1, 4, 3) + rng.uniform(0, 6, 3))
    tilt = np.concatenate([np.pi - 0.2 + 0.4 * t, 0.2 * np.sin(5 * t), 2.5 * t], 1)
    return place, Rotation.from_euler("xyz", tilt)


def lerobot(root: Path, features: Mapping[str, tuple[Sequence[str] | None, Sequence[np.ndarray]]]) -> Path:
    """A LeRobotDataset v3.0 without pictures.

    Args:
        root: new folder. features: name -> names of the numbers, and an array (n, k) for every episode.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("meta/episodes/chunk-000", "data/chunk-000"):
        (root / name).mkdir(parents=True)
    lengths = [len(rows) for rows in next(iter(features.values()))[1]]
    columns: dict[str, Any] = {}
    info: dict[str, Any] = {}
    for name, (names, rows) in features.items():
        whole = np.concatenate(rows).astype(np.float32)
        columns[name] = pa.array(list(whole), pa.list_(pa.float32(), whole.shape[1]))
        info[name] = {"dtype": "float32", "shape": [whole.shape[1]], "names": list(names) if names else None}
    frame = np.concatenate([np.arange(n) for n in lengths])
    episode = np.repeat(np.arange(len(lengths)), lengths)
    columns |= {"timestamp": (frame / FPS).astype(np.float32), "frame_index": frame, "episode_index": episode,
                "index": np.arange(len(frame)), "task_index": np.zeros(len(frame), np.int64)}  # fmt: skip
    pq.write_table(pa.table(columns), root / "data/chunk-000/file-000.parquet")
    rows_of = [{"episode_index": e, "tasks": ["go"], "length": n, "data/chunk_index": 0, "data/file_index": 0}
               for e, n in enumerate(lengths)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows_of), root / "meta/episodes/chunk-000/file-000.parquet")
    pq.write_table(pa.table({"task_index": [0], "task": ["go"]}), root / "meta/tasks.parquet")
    index = {n: {"dtype": "int64", "shape": [1], "names": None}
             for n in ("frame_index", "episode_index", "index", "task_index")}  # fmt: skip
    facts = {
        "codebase_version": "v3.0", "fps": FPS, "chunks_size": 1000, "total_episodes": len(lengths),
        "total_frames": len(frame), "total_tasks": 1, "splits": {"train": f"0:{len(lengths)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "features": {**info, **index, "timestamp": {"dtype": "float32", "shape": [1], "names": None}},
    }  # fmt: skip
    (root / "meta/info.json").write_text(json.dumps(facts))
    return root


def rows(root: Path, feature: str) -> np.ndarray:
    """All rows (n, k) of a feature, as pyarrow reads them, in order of the episodes."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(p) for p in sorted(root.glob("data/**/*.parquet"))]
    order = np.concatenate([t["index"].to_numpy() for t in tables]).argsort()
    return np.concatenate([np.stack(t[feature].to_numpy()) for t in tables])[order]


def robomimic(root: Path, frames: int = 12) -> Path:
    """A robomimic file with poses of robosuite: places, quaternions x y z w, two fingers, actions of OSC."""
    import h5py

    root.mkdir(parents=True)
    place, turn = hand(frames)
    rng = np.random.default_rng(3)
    with h5py.File(root / "demos.hdf5", "w") as file:
        group = file.create_group("data/demo_0")
        group.attrs["num_samples"] = frames
        group["actions"] = rng.uniform(-1, 1, (frames, 7))
        group["obs/robot0_eef_pos"] = place
        group["obs/robot0_eef_quat"] = turn.as_quat()
        group["obs/robot0_gripper_qpos"] = rng.uniform(0, 0.04, (frames, 2))
        group["obs/robot0_gripper_qvel"] = rng.normal(size=(frames, 2))
    return root
