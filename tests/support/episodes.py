"""Logs of many short episodes, made with the libraries of their formats alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FRAMES, FPS, TASKS = 6, 10, 3
PARTS = {"observation.state": {"position": [0, 4]}, "action": {"other": [0, 4]}}
LEROBOT = "log.parts={observation.state: {position: [0, 4]}, action: {other: [0, 4]}}"
ROBOMIMIC = "log.parts={actions: {other: [0, 7]}}"


def numbers(episode: int, seed: int = 0) -> np.ndarray:
    """Rows (FRAMES, 4) float32 of an episode."""
    return np.random.default_rng([seed, episode]).normal(episode, 1 + episode % 5, (FRAMES, 4)).astype(np.float32)


def lerobot(root: Path, episodes: int, in_file: int = 100) -> Path:
    """A LeRobotDataset v3.0 without pictures."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name in ("meta/episodes/chunk-000", "data/chunk-000"):
        (root / name).mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for file, first in enumerate(range(0, episodes, in_file)):
        own = range(first, min(first + in_file, episodes))
        frame = np.tile(np.arange(FRAMES), len(own))
        columns: dict[str, Any] = {
            name: pa.array(np.concatenate([numbers(e, seed) for e in own]).tolist(), pa.list_(pa.float32(), 4))
            for seed, name in enumerate(("observation.state", "action"))
        }
        columns |= {"timestamp": (frame / FPS).astype(np.float32), "frame_index": frame}
        columns |= {"episode_index": np.repeat(own, FRAMES), "index": first * FRAMES + np.arange(len(frame))}
        columns |= {"task_index": np.repeat(own, FRAMES) % TASKS}
        pq.write_table(pa.table(columns), root / f"data/chunk-000/file-{file:03d}.parquet")
        rows += [{"episode_index": e, "tasks": [f"task {e % TASKS}"], "length": FRAMES, "data/chunk_index": 0,
                  "data/file_index": file} for e in own]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    tasks = {"task_index": list(range(TASKS)), "task": [f"task {k}" for k in range(TASKS)]}
    pq.write_table(pa.table(tasks), root / "meta/tasks.parquet")
    vector = {"dtype": "float32", "shape": [4], "names": ["a", "b", "c", "d"]}
    index = {n: {"dtype": "int64", "shape": [1], "names": None}
             for n in ("frame_index", "episode_index", "index", "task_index")}  # fmt: skip
    info = {
        "codebase_version": "v3.0", "fps": FPS, "chunks_size": 1000, "total_episodes": episodes,
        "total_frames": episodes * FRAMES, "total_tasks": TASKS, "splits": {"train": f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "features": {"observation.state": vector, "action": vector, **index,
                     "timestamp": {"dtype": "float32", "shape": [1], "names": None}},
    }  # fmt: skip
    (root / "meta/info.json").write_text(json.dumps(info))
    return root


def robomimic(root: Path, episodes: int) -> Path:
    """An HDF5 file of demonstrations with actions, and the list of all."""
    import h5py

    root.mkdir(parents=True)
    with h5py.File(root / "demos.hdf5", "w") as file:
        for k in range(episodes):
            group = file.create_group(f"data/demo_{k}")
            group.attrs["num_samples"] = FRAMES
            group["actions"] = np.random.default_rng(k).normal(size=(FRAMES, 7))
        file["mask/train"] = np.array([f"demo_{k}".encode() for k in range(episodes)])
    return root
