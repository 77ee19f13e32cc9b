"""LeRobotDataset v3.0: episodes share parquet files and videos, and tables of ``meta`` are parquet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import Fields
from fusion_aug.logs.core.new_files import new_path, write_new_text
from fusion_aug.logs.lerobot.contents import TASKS, columns_of, sentence_column
from fusion_aug.logs.lerobot.layout import Layout, Stats
from fusion_aug.logs.lerobot.stats import TotalStats, depth_stats, picture_stats, plain, vector_stats
from fusion_aug.logs.lerobot.tables import read_table

TOGETHER = 500  # episodes in one group of rows of their table
# of the table of tasks, for the package pandas, with which LeRobot reads it: sentences are the names of its rows
PANDAS: dict[str, Any] = {
    "index_columns": ["task"], "column_indexes": [], "creator": {"library": "fusion_aug", "version": "1"},
    "pandas_version": "2.0.0",
    "columns": [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": form, "metadata": None}
        for name, kind, form in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ],
}  # fmt: skip
STATS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "vector": vector_stats,
    "picture": picture_stats,
    "depth": lambda pictures: depth_stats(np.stack(pictures)),
}


class SharedFiles(Layout):
    """The layout of v3.0. What is written has a data file, and a video for every camera, of its own per episode."""

    written = "v3.0"
    file_per_episode = False

    def episodes(self) -> dict[str, dict[str, Any]]:
        """Rows of ``meta/episodes``."""
        rows: list[dict[str, Any]] = []
        for path in self.log.tree.glob("meta/episodes/**/*.parquet"):
            table = read_table(path)
            names = [n for n in table.column_names if not n.startswith("stats/")]
            rows += table.select(names).to_pylist()
        where = self.log.root / "meta" / "episodes"
        if not rows:
            raise DataError(f"{where}: holds no episode")
        videos = self.log.videos
        whole = ["episode_index", "length", "data/chunk_index", "data/file_index"]
        whole += [f"videos/{f}/{k}" for f in videos for k in ("chunk_index", "file_index")]
        for row in rows:
            for name in whole:
                if type(row.get(name)) is not int or row[name] < 0:
                    raise DataError(f"{where}: {name}: expected whole numbers, got {row.get(name)!r}")
            for name in (f"videos/{f}/from_timestamp" for f in videos):
                if not isinstance(row.get(name), int | float):
                    raise DataError(f"{where}: {name}: expected seconds, got {row.get(name)!r}")
        return {f"episode_{int(r['episode_index']):06d}": r for r in rows}

    def tasks(self) -> dict[int, str]:
        """Rows of ``meta/tasks.parquet``."""
        path = self.log.path_in(TASKS, "log.root")
        if not is_there(path):
            return {}
        table = read_table(path)
        text = sentence_column(table.column_names, path)
        return {int(r["task_index"]): str(r[text]) for r in table.to_pylist()}

    def stats_of(self, episode: int) -> Stats:
        """None are kept."""
        return {}

    def fields(self) -> dict[str, Fields]:
        """Columns of the tables."""
        found = (*self.log.tree.glob("meta/episodes/**/*.parquet"), *self.log.tree.glob(TASKS))
        return {path.relative_to(self.log.root).as_posix(): partial(columns_of, path) for path in found}

    def data_name(self, episode: Mapping[str, Any]) -> str:
        """See ``Layout``."""
        return self._name("data_path", episode["data/chunk_index"], episode["data/file_index"])

    def video_name(self, episode: Mapping[str, Any], key: str) -> str:
        """See ``Layout``."""
        chunk, file = episode[f"videos/{key}/chunk_index"], episode[f"videos/{key}/file_index"]
        return self._name("video_path", chunk, file, video_key=key)

    def video_start(self, episode: Mapping[str, Any], key: str) -> float:
        """See ``Layout``."""
        return float(episode[f"videos/{key}/from_timestamp"])

    def new_data(self, number: int) -> tuple[str, dict[str, int]]:
        """See ``Layout``."""
        chunk, file = divmod(number, self.chunks_size)
        return self._name("data_path", chunk, file), {"data/chunk_index": chunk, "data/file_index": file}

    def new_video(self, number: int, key: str, seconds: float) -> tuple[str, dict[str, Any]]:
        """See ``Layout``."""
        chunk, file = divmod(number, self.chunks_size)
        place = {"chunk_index": chunk, "file_index": file, "from_timestamp": 0.0, "to_timestamp": seconds}
        return self._name("video_path", chunk, file, video_key=key), {f"videos/{key}/{k}": v for k, v in place.items()}

    def _name(self, key: str, chunk: int, file: int, **words: str) -> str:
        return self.filled(key, {"chunk_index": int(chunk), "file_index": int(file)}, **words)

    def own_stats(self, values: Any, kind: str) -> dict[str, Any]:
        """Statistics with quantiles."""
        return STATS[kind](values)

    def new_tables(self, out: Path) -> ParquetTables:
        """See ``Layout``."""
        return ParquetTables(out / "meta", self.log.path_in(TASKS, "log.root"))


class ParquetTables:
    """The tables of a dataset of version 3.0; that of the episodes is written in groups of rows.

    Args:
        meta: folder of the tables. source: path of the source's table of tasks, whose layout is kept.
    """

    def __init__(self, meta: Path, source: Path):
        self.meta, self.source = meta, source
        self.path, self.waiting = meta / "episodes" / "chunk-000" / "file-000.parquet", list[dict[str, Any]]()
        self.totals: dict[str, TotalStats] = {}
        self._file: Any = None

    def __enter__(self) -> ParquetTables:
        new_path(self.path)
        return self

    def add(self, episode: int, row: Mapping[str, Any], first: int, place: Mapping[str, int], stats: Stats) -> None:
        """See ``Tables``; all episodes have the columns of the first."""
        add_to_totals(self.totals, stats)
        self.waiting.append(episode_row(row, episode, first, place, stats))
        if len(self.waiting) == TOGETHER:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        group = pa.Table.from_pylist(self.waiting, None if self._file is None else self._file.schema)
        if self._file is None:
            self._file = pq.ParquetWriter(self.path, group.schema)
        self._file.write_table(group)
        self.waiting.clear()

    def end(self, tasks: Mapping[str, int]) -> None:
        """See ``Tables``; with the statistics of all episodes."""
        write_tasks(tasks, self.meta / "tasks.parquet", self.source)
        write_new_text(self.meta / "stats.json", json.dumps(plain_totals(self.totals), indent=4) + "\n")

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        try:
            if kind is None and self.waiting:
                self._write_group()
        finally:
            if self._file is not None:
                self._file.close()


def add_to_totals(totals: dict[str, TotalStats], stats: Stats) -> None:
    """Add the statistics of an episode to those of all, feature by feature."""
    for feature, own in stats.items():
        totals.setdefault(feature, TotalStats()).add(own)


def plain_totals(totals: Mapping[str, TotalStats]) -> dict[str, dict[str, Any]]:
    """Statistics of all episodes as JSON holds them."""
    return {f: plain(total.value) for f, total in totals.items()}


def episode_row(
    row: Mapping[str, Any], episode: int, first: int, data: Mapping[str, int], stats: Stats
) -> dict[str, Any]:
    """Return the row of ``meta/episodes`` of a staged episode.

    Args:
        row: what ``stage`` returned. episode: its number. first: number of its first frame.
        data: place of its data file. stats: by feature.
    """
    sentences = list(dict.fromkeys(str(text) for _, text in row["tasks"]))
    span = {"dataset_from_index": first, "dataset_to_index": first + int(row["episode"]["length"])}
    flat = {f"stats/{f}/{n}": np.asarray(v).tolist() for f, s in stats.items() for n, v in s.items()}
    where = {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
    return {"episode_index": episode, "tasks": sentences, **data, **row["episode"], **span, **flat, **where}


def write_tasks(tasks: Mapping[str, int], path: Path, source: Path) -> None:
    """Write the table of tasks in the layout of the source's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = (
        read_table(source).schema
        if source.is_file()
        else pa.schema([("task_index", pa.int64()), ("task", pa.string())], metadata={"pandas": json.dumps(PANDAS)})
    )
    columns = {"task_index": list(tasks.values()), sentence_column(schema.names, source): list(tasks)}
    fields = [schema.field(n) for n in schema.names if n in columns]
    arrays = [pa.array(columns[f.name], type=f.type) for f in fields]
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=schema.metadata)), new_path(path))
