"""LeRobotDataset v2.1 and v2.0: a parquet file and a video of every camera per episode, and tables of JSON lines.

Both are written as v2.1, which is v2.0 with statistics of every episode: LeRobot's own converter changes nothing else,
and loaders of v2.0 ignore the file that is new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.new_files import new_file, write_new_text
from fusion_aug.logs.core.writer import PARTS_FOLDER
from fusion_aug.logs.lerobot.contents import LINES, LINES_OF_STATS, LINES_OF_TASKS, TOTALS
from fusion_aug.logs.lerobot.info import read_line, read_lines
from fusion_aug.logs.lerobot.layout import Layout, Stats
from fusion_aug.logs.lerobot.layout_v3 import add_to_totals, plain_totals
from fusion_aug.logs.lerobot.stats import QUANTILES, TotalStats, depth_stats, picture_stats, plain, vector_stats


class FilePerEpisode(Layout):
    """The layout of v2.1 and v2.0."""

    written = "v2.1"
    file_per_episode = True

    def episodes(self) -> dict[str, dict[str, Any]]:
        """Rows of ``meta/episodes.jsonl``."""
        path = self.log.path_in(LINES, "log.root")
        rows = {}
        for _, row in read_lines(path):
            for name in ("episode_index", "length"):
                if type(row.get(name)) is not int or row[name] < 0:
                    raise DataError(f"{path}: {name}: expected whole numbers, got {row.get(name)!r}")
            rows[row["episode_index"]] = row
        if not rows:
            raise DataError(f"{path}: holds no episode")
        return {f"episode_{k:06d}": rows[k] for k in sorted(rows)}

    def tasks(self) -> dict[int, str]:
        """Rows of ``meta/tasks.jsonl``."""
        path = self.log.path_in(LINES_OF_TASKS, "log.root")
        if not is_there(path):
            return {}
        out = {}
        for _, row in read_lines(path):
            if type(row.get("task_index")) is not int or not isinstance(row.get("task"), str):
                raise DataError(f"{path}: expected task_index, a whole number, and task, a sentence, got {row!r:.100}")
            out[row["task_index"]] = row["task"]
        return out

    @cached_property
    def _places_of_stats(self) -> dict[int, int]:
        """Number of an episode -> place of its line in the table of their statistics."""
        path = self.log.path_in(LINES_OF_STATS, "log.root")
        if not is_there(path):
            return {}
        return {row["episode_index"]: at for at, row in read_lines(path) if type(row.get("episode_index")) is int}

    def stats_of(self, episode: int) -> Stats:
        """Those of the source: of a video they are of the pictures that it was made of."""
        if episode not in self._places_of_stats:
            return {}
        path = self.log.path_in(LINES_OF_STATS, "log.root")
        stats = read_line(path, self._places_of_stats[episode]).get("stats")
        if not isinstance(stats, dict):
            raise DataError(f"{path}: episode {episode}: stats: expected a mapping, got {stats!r:.100}")
        return {str(f): own for f, own in stats.items() if is_whole(own)}

    def fields(self) -> dict[str, Fields]:
        """Keys of the objects of the tables."""
        found = (self.log.path_in(n, "log.root") for n in (LINES, LINES_OF_STATS, LINES_OF_TASKS))
        return {path.relative_to(self.log.root).as_posix(): partial(keys_of, path) for path in found if is_there(path)}

    def data_name(self, episode: Mapping[str, Any]) -> str:
        """See ``Layout``."""
        return self._name("data_path", episode["episode_index"])

    def video_name(self, episode: Mapping[str, Any], key: str) -> str:
        """See ``Layout``."""
        return self._name("video_path", episode["episode_index"], video_key=key)

    def video_start(self, episode: Mapping[str, Any], key: str) -> float:
        """The beginning of the file."""
        return 0.0

    def new_data(self, number: int) -> tuple[str, dict[str, int]]:
        """See ``Layout``; the number says it all."""
        return self._name("data_path", number), {}

    def new_video(self, number: int, key: str, seconds: float) -> tuple[str, dict[str, Any]]:
        """See ``Layout``; the number says it all."""
        return self._name("video_path", number, video_key=key), {}

    def _name(self, key: str, number: int, **words: str) -> str:
        numbers = {"episode_chunk": number // self.chunks_size, "episode_index": number}
        return self.filled(key, numbers, **words)

    def own_stats(self, values: Any, kind: str) -> dict[str, Any]:
        """Statistics over the frames alone, without quantiles; of pictures of one channel as of three equal ones."""
        if kind == "vector":
            rows, shape = values.reshape(len(values), -1), values.shape[1:] or (1,)
            whole = {"min": rows.min(0), "max": rows.max(0)} if rows.dtype.kind != "f" else {}
            stats = vector_stats(rows) | whole
            stats = {k: v.reshape(shape) for k, v in stats.items() if k != "count"}
        elif kind == "picture":
            stats = picture_stats(values)
        else:
            stats = {k: np.broadcast_to(v, (3, 1, 1)) for k, v in depth_stats(np.stack(values)).items() if k != "count"}
        return {k: v for k, v in stats.items() if k not in QUANTILES} | {"count": np.array([len(values)])}

    def new_tables(self, out: Path) -> LineTables:
        """See ``Layout``."""
        return LineTables(self, out / "meta")


class LineTables:
    """The tables of a dataset of version 2.1.

    Args:
        layout: of the source, whose rows keep what is not of their numbers. meta: folder of the tables.
    """

    def __init__(self, layout: FilePerEpisode, meta: Path):
        self.layout, self.meta = layout, meta
        self.totals: dict[str, TotalStats] = {}
        self._files: list[TextIO] = []

    def __enter__(self) -> LineTables:
        self._files = [new_file(self.meta / name) for name in (Path(LINES).name, Path(LINES_OF_STATS).name)]
        return self

    def add(self, episode: int, row: Mapping[str, Any], first: int, place: Mapping[str, int], stats: Stats) -> None:
        """See ``Tables``."""
        add_to_totals(self.totals, stats)
        kept = self.layout.log.episodes[row["source"]]
        sentences = list(dict.fromkeys(str(text) for _, text in row["tasks"]))
        tasks = {"tasks": sentences} if sentences != [""] or "tasks" in kept else {}
        _write(self._files[0], {**kept, "episode_index": episode, **tasks, "length": row["episode"]["length"]})
        _write(self._files[1], {"episode_index": episode, "stats": {f: plain(own) for f, own in stats.items()}})

    def end(self, tasks: Mapping[str, int]) -> None:
        """See ``Tables``; with the statistics of all episodes where the source has them, as v2.0 must."""
        with new_file(self.meta / Path(LINES_OF_TASKS).name) as file:
            for text, number in tasks.items():
                _write(file, {"task_index": number, "task": text})
        if is_there(self.layout.log.path_in(TOTALS, "log.root")):
            write_new_text(self.meta / Path(TOTALS).name, json.dumps(plain_totals(self.totals), indent=4) + "\n")

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()


def is_whole(stats: Any) -> bool:
    """Whether statistics of a feature are all there, and numbers."""
    try:
        shapes = {np.asarray(stats[name], dtype=np.float64).shape for name in ("min", "max", "mean", "std")}
        return len(shapes) == 1 and int(np.asarray(stats["count"]).reshape(-1)[0]) > 0
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return False


def keys_of(path: Path) -> list[str]:
    """Keys that occur in the objects of a table."""
    return list(dict.fromkeys(key for _, row in read_lines(path) for key in row))


def video_part(out_id: str, key: str) -> str:
    """Where a video waits for the number of its episode."""
    return f"{PARTS_FOLDER}/{out_id}/{key}.mp4"


def _write(file: TextIO, row: Mapping[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
