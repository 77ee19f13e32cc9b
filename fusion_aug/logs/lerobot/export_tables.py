"""A LeRobotDataset that is made anew: its facts, its layout, and its tables from the rows of its episodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.episode_facts import EpisodeFacts, write_facts
from fusion_aug.logs.core.files import copy_file, inside
from fusion_aug.logs.core.new_files import new_path, write_new_text
from fusion_aug.logs.core.sidecar import write_ids
from fusion_aug.logs.lerobot.contents import INDEX
from fusion_aug.logs.lerobot.export_features import DEPTH, HEIGHT, IMAGE, VIDEO
from fusion_aug.logs.lerobot.export_options import ExportOptions
from fusion_aug.logs.lerobot.export_splits import episode_order, splits_in_order
from fusion_aug.logs.lerobot.layout import Layout
from fusion_aug.logs.lerobot.layout_v2 import FilePerEpisode
from fusion_aug.logs.lerobot.layout_v3 import SharedFiles
from fusion_aug.logs.lerobot.merge import index_columns, with_numbers
from fusion_aug.logs.lerobot.reader import frame_stamps
from fusion_aug.logs.lerobot.schema import table_of
from fusion_aug.logs.lerobot.tables import read_table
from fusion_aug.streams.source import Source

CHUNK = 1000  # files of a folder
FILES = "chunk-{chunk_index:03d}/file-{file_index:03d}"
OF_EPISODES = "chunk-{episode_chunk:03d}"
EPISODE = "episode_{episode_index:06d}"
PATHS = {
    "v3.0": (f"data/{FILES}.parquet", f"videos/{{video_key}}/{FILES}.mp4"),
    "v2.1": (f"data/{OF_EPISODES}/{EPISODE}.parquet", f"videos/{OF_EPISODES}/{{video_key}}/{EPISODE}.mp4"),
}
INDEX_FEATURES: dict[str, dict[str, Any]] = {
    name: {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None} for name in INDEX
}


class _AnyEpisode(Mapping[str, dict[str, Any]]):
    """Rows of episodes of a set that has no source: nothing is known of any of them."""

    def __getitem__(self, name: str) -> dict[str, Any]:
        return {"tasks": []}

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


class NewSet:
    """A dataset in the making, in place of the log that a layout is of.

    Args:
        choice: options. fps: frames per second.
    """

    def __init__(self, choice: ExportOptions, fps: float, root: Path = Path()):
        self.root, self.fps = root, fps
        self.episodes = _AnyEpisode()
        data, video = PATHS[choice.version]
        self.info: dict[str, Any] = {
            "codebase_version": choice.version, "robot_type": choice.robot_type, "chunks_size": CHUNK,
            "fps": int(fps) if fps == int(fps) else fps, "data_path": data, "video_path": video,
        }  # fmt: skip
        self.layout: Layout = SharedFiles(self) if choice.version == "v3.0" else FilePerEpisode(self)

    def path_in(self, relative: str, where: str) -> Path:
        """Path of a file of the source, of which there is none."""
        return self.root / ".work" / "no source" / relative

    def times(self, count: int) -> Tensor:
        """Times (count,) ns of frames, from 0."""
        return frame_stamps(np.arange(count), self.fps)


def feature_facts(
    kind: str, shape: Sequence[int], fps: float = 0.0, codec: str = "", names: Sequence[str] = ()
) -> dict[str, Any]:
    """What info.json says of a feature.

    Args:
        kind: video, image, depth, height, or the dtype of a vector. shape: of a picture (height, width, channels), of a
            height map the same, or of a row. fps, codec: of a video. names: of numbers.
    """
    if kind == HEIGHT:
        return {"dtype": "float32", "shape": [int(n) for n in shape[:2]], "names": None}
    if kind not in (VIDEO, IMAGE, DEPTH):
        return {"dtype": kind, "shape": [int(n) for n in shape], "names": list(names) or None}
    facts: dict[str, Any] = {
        "dtype": VIDEO if kind == VIDEO else IMAGE, "shape": [int(n) for n in shape],
        "names": ["height", "width", "channels"],
    }  # fmt: skip
    if kind == VIDEO:
        facts["info"] = {
            "video.height": int(shape[0]), "video.width": int(shape[1]), "video.codec": codec,
            "video.pix_fmt": "yuv420p", "video.is_depth_map": False, "video.fps": fps, "video.channels": 3,
            "has_audio": False,
        }  # fmt: skip
    return facts


def write_rows(columns: Mapping[str, Any], features: Mapping[str, Any], count: int, path: Path) -> None:
    """Write the staged table of an episode of ``count`` frames; its numbers are filled in at the end."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    filled = {**columns, **{name: np.zeros(count, dtype=np.int64) for name in INDEX}}
    facts = {f: v for f, v in features.items() if v["dtype"] != VIDEO} | INDEX_FEATURES
    pq.write_table(table_of(filled, facts), path)


def write_set(
    rows: Sequence[dict[str, Any]],
    ids: Sequence[tuple[str, str]],
    out: Path,
    part: Callable[[str], Path],
    choice: ExportOptions,
    lists: Mapping[str, frozenset[str]],
) -> None:
    """Write data files, videos and all of ``meta``, with the sidecar's facts of all episodes.

    Args:
        rows: what ``LeRobotExporter.stage`` returned, in log order, one at a time.
        ids: (id of the output, id of its source) of every episode.
        out: root of the output. part: path of a staged file by its name. choice: options.
        lists: of samples of the source, whose episodes become splits.

    Raises:
        DataError: the pipeline made pictures of other sizes in some episodes.
    """
    import pyarrow.parquet as pq

    first = rows[0]
    features = first["features"]
    _refuse_differences(rows, ids)
    sources = [source for _, source in ids]
    order = episode_order(sources, lists)
    new = NewSet(choice, float(first["fps"]), out)
    layout, tasks, frames = new.layout, dict[str, int](), 0
    with layout.new_tables(out) as tables:
        for k, n in enumerate(order):
            row = rows[n]
            starts = [(int(at), tasks.setdefault(str(text), len(tasks))) for at, text in row["tasks"]]
            name, place = layout.new_data(k)
            staged, length = read_table(part(row["part"])), row["episode"]["length"]
            if length != staged.num_rows:  # before memory is taken for what the row says
                raise DataError(f"{row['part']}: an episode of length {length!r} has {staged.num_rows} frames")
            indices = index_columns(length, k, frames, starts, new.fps)
            pq.write_table(with_numbers(staged, indices), new_path(inside(out, name, "episode")))
            for key, waiting in row["videos"].items():
                target, facts = layout.new_video(k, key, length / new.fps)
                row["episode"] |= facts
                copy_file(Source(part(waiting), "video"), inside(out, target, "feature"), link="hard")
            stats = {f: {n: np.asarray(v) for n, v in own.items()} for f, own in row["stats"].items()}
            stats |= {f: layout.own_stats(v, "vector") for f, v in indices.items()}
            tables.add(k, {**row, "source": sources[n]}, frames, place, stats)
            frames += length
        tables.end(tasks)
    info = new.info | {
        "total_episodes": len(rows), "total_frames": frames, "total_tasks": len(tasks),
        "splits": splits_in_order(sources, order, lists), "features": {**features, **INDEX_FEATURES},
    }  # fmt: skip
    videos = sum(v["dtype"] == VIDEO for v in features.values())
    info |= (
        {"total_videos": len(rows) * videos, "total_chunks": -(-len(rows) // CHUNK)}
        if choice.version == "v2.1"
        else {"data_files_size_in_mb": 100, "video_files_size_in_mb": 200}
    )
    write_new_text(out / "meta" / "info.json", json.dumps(info, indent=4) + "\n")
    write_facts(EpisodeFacts(**first["facts"]), out)
    write_ids(out, {f"episode_{k:06d}": ids[n][0] for k, n in enumerate(order)})


def _refuse_differences(rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
    """Raise where the features of some episodes differ, with a list of them."""
    first = {f: v["shape"] for f, v in rows[0]["features"].items()}
    differ = []
    for (out_id, _), row in zip(ids, rows, strict=True):
        mine = {f: v["shape"] for f, v in row["features"].items()}
        wrong = [f"{f} {mine.get(f)}, not {first.get(f)}" for f in {**first, **mine} if mine.get(f) != first.get(f)]
        differ += [f"{out_id}: {', '.join(wrong)}"] if wrong else []
    if differ:
        more = f"; and {len(differ) - 20} more" if len(differ) > 20 else ""
        raise DataError(
            f"all episodes of a dataset have features of the same sizes, and these have others than {ids[0][0]!r}: "
            f"{'; '.join(differ[:20])}{more}; give the transforms that change them one size for all"
        )
