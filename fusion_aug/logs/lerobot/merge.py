"""The tables of a whole LeRobotDataset, episode by episode: one of them is in memory at a time, however many there are.

Episodes and frames get their numbers here, copies after their source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.logs.core.files import inside
from fusion_aug.logs.core.new_files import new_path, write_new_text
from fusion_aug.logs.core.sidecar import write_ids
from fusion_aug.logs.lerobot.contents import INDEX, sentence_column
from fusion_aug.logs.lerobot.stats import TotalStats, vector_stats
from fusion_aug.logs.lerobot.tables import read_table

Rows = Sequence[dict[str, Any]]
Parts = Callable[[str], Path]
TOGETHER = 500  # episodes in one group of rows of their table


def merge_episodes(log: Any, rows: Rows, ids: Sequence[tuple[str, str]], out: Path, part: Parts) -> None:
    """Write the data files with their numbers, and all of ``meta``.

    Args:
        log: the source. rows: what ``LeRobotWriter.stage`` returned, in log order, one at a time.
        ids: (id of the output, id of its source) of every episode.
        out: root of the output. part: path of a staged data file by its name.
    """
    place = {sample_id: k for k, sample_id in enumerate(log.episodes)}
    order = sorted(range(len(ids)), key=lambda n: place[ids[n][1]])
    totals: dict[str, TotalStats] = {}
    tasks: dict[str, int] = {}
    meta, frames = out / "meta", 0
    with EpisodeTable(meta / "episodes" / "chunk-000" / "file-000.parquet") as table:
        for k, n in enumerate(order):
            row = rows[n]
            starts = [(int(first), tasks.setdefault(str(text), len(tasks))) for first, text in row["tasks"]]
            chunk, file = log.chunk_and_file(k)
            path = inside(out, log.fill_path("data_path", chunk, file), "episode")
            staged, length = read_table(part(row["part"])), row["episode"]["length"]
            if length != staged.num_rows:  # before memory is taken for what the row says
                raise ValueError(f"an episode of length {length!r} has {staged.num_rows} frames in {row['part']}")
            indices = index_columns(staged.num_rows, k, frames, starts, float(log.info["fps"]))
            number_rows(staged, path, {c: indices[c] for c in ("episode_index", "task_index", "index")})
            stats = {f: {name: np.asarray(v) for name, v in s.items()} for f, s in row["stats"].items()}
            stats |= {f: vector_stats(v.astype(float)) for f, v in indices.items()}
            for feature, own in stats.items():
                totals.setdefault(feature, TotalStats()).add(own)
            place_of_data = {"data/chunk_index": chunk, "data/file_index": file}
            table.write(episode_row(row, k, frames, place_of_data, stats))
            frames += length
    write_tasks(tasks, meta / "tasks.parquet", log.path_in("meta/tasks.parquet", "log.root"))
    plain = {f: {name: v.tolist() for name, v in total.value.items()} for f, total in totals.items()}
    write_new_text(meta / "stats.json", json.dumps(plain, indent=4) + "\n")
    counts = {"total_episodes": len(order), "total_frames": frames, "total_tasks": len(tasks)}
    splits = splits_of(log.splits, [place[ids[n][1]] for n in order])
    features = {f: v for f, v in log.info["features"].items() if f in INDEX or f in log.features}
    info = log.info | counts | {"splits": splits, "features": features}
    write_new_text(meta / "info.json", json.dumps(info, indent=4) + "\n")
    write_ids(out, {f"episode_{k:06d}": ids[n][0] for k, n in enumerate(order)})


def index_columns(
    length: int, episode: int, first: int, task_starts: Sequence[tuple[int, int]], fps: float
) -> dict[str, np.ndarray]:
    """Columns (length,) of an episode's frames that say where and when they are.

    Args:
        length: frames. episode: its number. first: number of its first frame in the dataset.
        task_starts: (first frame, number of the task). fps: frames per second.
    """
    starts = [start for start, _ in task_starts]
    tasks = np.array([t for _, t in task_starts])[np.searchsorted(starts, np.arange(length), side="right") - 1]
    return {
        "timestamp": np.arange(length) / fps, "frame_index": np.arange(length),
        "episode_index": np.full(length, episode), "index": first + np.arange(length),
        "task_index": tasks,
    }  # fmt: skip


def episode_row(
    row: Mapping[str, Any], episode: int, first: int, data: Mapping[str, int], stats: Mapping[str, Mapping[str, Any]]
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


class EpisodeTable:
    """The table of episodes, written in groups of rows.

    Args:
        path: of the parquet file.
    """

    def __init__(self, path: Path):
        self.path, self.waiting = path, list[dict[str, Any]]()
        self._file: Any = None

    def __enter__(self) -> EpisodeTable:
        new_path(self.path)
        return self

    def write(self, row: dict[str, Any]) -> None:
        """Append a row; all have the columns of the first."""
        self.waiting.append(row)
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

    def __exit__(self, kind: object, value: object, trace: object) -> None:
        try:
            if kind is None and self.waiting:
                self._write_group()
        finally:
            if self._file is not None:
                self._file.close()


def number_rows(table: Any, path: Path, numbers: Mapping[str, np.ndarray]) -> None:
    """Write the table of a staged data file with its index columns to its final path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, value in numbers.items():
        if name in table.column_names:
            i = table.column_names.index(name)
            table = table.set_column(
                i, table.schema.field(i), pa.array(value.tolist(), type=table.schema.field(i).type)
            )
    pq.write_table(table, new_path(path))


def write_tasks(tasks: Mapping[str, int], path: Path, source: Path) -> None:
    """Write the table of tasks in the layout of the source's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = (
        read_table(source).schema
        if source.is_file()
        else pa.schema([("task_index", pa.int64()), ("task", pa.string())])
    )
    columns = {"task_index": list(tasks.values()), sentence_column(schema.names, source): list(tasks)}
    fields = [schema.field(n) for n in schema.names if n in columns]
    arrays = [pa.array(columns[f.name], type=f.type) for f in fields]
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=schema.metadata)), new_path(path))


def splits_of(spans: Mapping[str, tuple[int, int]], sources: Sequence[int]) -> dict[str, str]:
    """Return the splits of the written episodes; a copy is in the split of its source.

    Args:
        spans: name -> (first episode, last + 1) of the source. sources: number in the source of every written episode.
    """
    out: dict[str, str] = {}
    for name, (start, stop) in spans.items():
        mine = [k for k, number in enumerate(sources) if start <= number < stop]
        out |= {name: f"{mine[0]}:{mine[-1] + 1}"} if mine else {}
    return out or {"train": f"0:{len(sources)}"}
