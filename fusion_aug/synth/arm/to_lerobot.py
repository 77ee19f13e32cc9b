"""The arm's recording as LeRobotDataset v3.0: one episode, videos of the cameras; depth and touch in the table."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fusion_aug.logs.core.files import millimetres
from fusion_aug.logs.lerobot.schema import table_of
from fusion_aug.logs.lerobot.stats import depth_stats, picture_samples, picture_stats, vector_stats
from fusion_aug.logs.lerobot.video import write_video
from fusion_aug.synth.arm.gels import picture
from fusion_aug.synth.arm.recording import RATES, ArmLog
from fusion_aug.synth.arm.scene import JOINTS

FPS = RATES["gels"]
TASK = "Pick up the parcel on the left and put it down on the right"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
WRENCH = ["fx", "fy", "fz", "tx", "ty", "tz"]
PARTS = {
    "observation.state": {"position": [0, 8], "velocity": [8, 16], "effort": [16, 24]},
    "action": {"joint_position": [0, 8]},
}  # meaning of the vectors, for the rig file


def vectors(log: ArmLog, steps: np.ndarray) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Feature -> (rows (n, k), names)."""
    v, rigs = log.arm.values, list(JOINTS)
    state = np.concatenate([v["position"], v["velocity"], v["effort"]], 1)[steps]
    names = rigs + [f"{j}.velocity" for j in rigs] + [f"{j}.effort" for j in rigs]
    # target of each finger: half the opening
    goal = np.concatenate([v["target"], v["opening"][:, None], v["opening"][:, None]], 1)[steps]
    out = {
        "observation.state": (state, names),
        "observation.wrench": (np.concatenate([v["force"], v["torque"]], 1)[steps], WRENCH),
        "action": (goal, rigs),
    }
    for side in ("left", "right"):
        name = f"observation.taxel_{side}"
        out[name] = (v[f"taxel_{side}"][steps], [f"taxel_{k}" for k in range(16)])
    return out


def write_lerobot(log: ArmLog, root: Path) -> Path:
    """Write the dataset; the same bytes every time."""
    steps = log.sample_steps("gels")
    count, looked = len(steps), np.searchsorted(log.sample_steps("cameras"), steps)
    features: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    for name, views in log.views.items():
        feature, pictures = f"observation.images.{name}", [views[k].picture for k in looked]
        target = root / VIDEO.format(video_key=feature, chunk_index=0, file_index=0)
        write_video(iter(pictures), target, Fraction(FPS), "h264", gop=2)
        stats[feature] = picture_stats([pictures[i] for i in picture_samples(count)])
        features[feature] = video_info(pictures[0].shape)
        depth = [millimetres(views[k].depth) for k in looked]
        _picture(f"{feature}.depth", depth, features, columns, stats)
    for name, surfaces in log.surfaces.items():
        feature = f"observation.{name}"
        shown = [picture(name, h, k).numpy() for k, h in enumerate(surfaces)]
        _picture(feature, shown, features, columns, stats)
        features[f"{feature}.height"] = {"dtype": "float32", "shape": list(surfaces.shape[1:]), "names": None}
        columns[f"{feature}.height"] = [h.tolist() for h in surfaces]
        stats[f"{feature}.height"] = depth_stats(surfaces)
    for feature, (rows, names) in vectors(log, steps).items():
        features[feature] = {"dtype": "float32", "shape": [rows.shape[1]], "names": names}
        columns[feature] = rows.astype(np.float32).tolist()
        stats[feature] = vector_stats(rows.astype(np.float32))
    numbers: dict[str, np.ndarray] = {
        "timestamp": np.arange(count) / FPS, "frame_index": np.arange(count), "index": np.arange(count),
        "episode_index": np.zeros(count, dtype=int), "task_index": np.zeros(count, dtype=int),
    }  # fmt: skip
    for name, value in numbers.items():
        features[name] = {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
        columns[name], stats[name] = value.tolist(), vector_stats(value.astype(float))
    write_table(columns, features, root / DATA.format(chunk_index=0, file_index=0))
    write_meta(root / "meta", features, [stats], stats, [count], fps=FPS, task=TASK)
    return root


def _picture(name: str, pictures: list[Any], features: Any, columns: Any, stats: Any) -> None:
    """A feature of pictures in the table: colour, or 16 bits of depth in millimetres."""
    height, width = pictures[0].shape[:2]
    colour = pictures[0].ndim == 3
    features[name] = {
        "dtype": "image", "shape": [height, width, 3 if colour else 1], "names": ["height", "width", "channels"],
    }  # fmt: skip
    codes = [cv2.imencode(".png", cv2.cvtColor(p, cv2.COLOR_RGB2BGR) if colour else p)[1] for p in pictures]
    columns[name] = [{"bytes": c.tobytes(), "path": f"frame-{k:06d}.png"} for k, c in enumerate(codes)]
    stats[name] = picture_stats(pictures) if colour else depth_stats(np.stack(pictures) / 1000)


def video_info(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the entry of a camera in ``info.json``."""
    info = {"video.height": shape[0], "video.width": shape[1], "video.codec": "h264", "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False, "video.fps": FPS, "video.channels": 3, "has_audio": False}  # fmt: skip
    return {"dtype": "video", "shape": list(shape), "names": ["height", "width", "channels"], "info": info}


def write_table(columns: dict[str, Any], features: dict[str, Any], path: Path) -> None:
    """Write the rows of all episodes, feature -> values."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    in_table = {f: features[f] for f in columns}
    pq.write_table(table_of(columns, in_table), path, compression="zstd", use_dictionary=False)


def write_meta(
    meta: Path,
    features: dict[str, Any],
    episode_stats: list[dict[str, Any]],
    stats: dict[str, Any],
    lengths: list[int],
    *,
    fps: int,
    task: str,
) -> None:
    """Write the tables about the episodes, of one task and in one file, and about the set.

    Args:
        meta: folder. features: as in ``info.json``. episode_stats: of each episode, feature -> figures; stats: of all.
        lengths: frames of each episode. fps: frames in a second. task: what is done.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for number, (length, own) in enumerate(zip(lengths, episode_stats, strict=True)):
        begin = sum(lengths[:number])
        row: dict[str, Any] = {"episode_index": number, "tasks": [task], "length": length, "data/chunk_index": 0,
                               "data/file_index": 0, "dataset_from_index": begin,
                               "dataset_to_index": begin + length}  # fmt: skip
        for feature in (f for f, v in features.items() if v["dtype"] == "video"):
            place = {"chunk_index": 0, "file_index": 0, "from_timestamp": begin / fps,
                     "to_timestamp": (begin + length) / fps}  # fmt: skip
            row |= {f"videos/{feature}/{k}": v for k, v in place.items()}
        row |= {f"stats/{f}/{n}": np.asarray(v).tolist() for f, s in own.items() for n, v in s.items()}
        rows.append(row | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
    (meta / "episodes" / "chunk-000").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), meta / "episodes" / "chunk-000" / "file-000.parquet")
    pq.write_table(pa.table({"task_index": [0], "task": [task]}), meta / "tasks.parquet")
    plain = {f: {n: np.asarray(v).tolist() for n, v in s.items()} for f, s in stats.items()}
    (meta / "stats.json").write_text(json.dumps(plain) + "\n", encoding="utf-8")
    info = {
        "codebase_version": "v3.0", "robot_type": "fusion_aug_arm", "total_episodes": len(lengths),
        "total_frames": sum(lengths), "total_tasks": 1, "chunks_size": 1000, "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200, "fps": fps, "splits": {"train": f"0:{len(lengths)}"}, "data_path": DATA,
        "video_path": VIDEO if any(v["dtype"] == "video" for v in features.values()) else None, "features": features,
    }  # fmt: skip
    (meta / "info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
