"""The tables of a whole LeRobotDataset, episode by episode: one of them is in memory at a time, however many there are.

Episodes and frames get their numbers here, copies after their source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.logs.core.episode_facts import write_facts
from fusion_aug.logs.core.files import copy_file, inside
from fusion_aug.logs.core.new_files import new_path, write_new_text
from fusion_aug.logs.core.sidecar import write_ids
from fusion_aug.logs.lerobot.contents import INDEX
from fusion_aug.logs.lerobot.tables import count_rows, read_table
from fusion_aug.streams.source import Source

Rows = Sequence[dict[str, Any]]
Parts = Callable[[str], Path]


def merge_episodes(log: Any, rows: Rows, ids: Sequence[tuple[str, str]], out: Path, part: Parts) -> None:
    """Write the data files with their numbers, and all of ``meta``.

    Args:
        log: the source. rows: what ``LeRobotWriter.stage`` returned, in log order, one at a time.
        ids: (id of the output, id of its source) of every episode.
        out: root of the output. part: path of a staged file by its name.
    """
    place = {sample_id: k for k, sample_id in enumerate(log.episodes)}
    order = sorted(range(len(ids)), key=lambda n: place[ids[n][1]])
    tasks = numbers_of_tasks(log.tasks, rows)
    frames = 0
    with log.layout.new_tables(out) as tables:
        for k, n in enumerate(order):
            row = rows[n] | {"source": ids[n][1]}
            starts = [(int(first), tasks.setdefault(str(text), len(tasks))) for first, text in row["tasks"]]
            name, place_of_data = log.layout.new_data(k)
            staged, length = read_table(part(row["part"])), row["episode"]["length"]
            if length != staged.num_rows:  # before memory is taken for what the row says
                raise ValueError(f"an episode of length {length!r} has {staged.num_rows} frames in {row['part']}")
            indices = index_columns(staged.num_rows, k, frames, starts, float(log.info["fps"]))
            numbered = with_numbers(staged, {c: indices[c] for c in ("episode_index", "task_index", "index")})
            write_data(numbered, inside(out, name, "episode"), log.data_path(log.episodes[ids[n][1]]))
            for key, waiting in row["videos"].items():
                video = inside(out, log.layout.new_video(k, key, 0.0)[0], "episode")
                copy_file(Source(part(waiting), "video"), video, link="hard")
            stats = {f: {name: np.asarray(v) for name, v in s.items()} for f, s in row["stats"].items()}
            stats |= {f: log.layout.own_stats(v, "vector") for f, v in indices.items()}
            tables.add(k, row, frames, place_of_data, stats)
            frames += length
        tables.end(tasks)
    splits = splits_of(log.splits, [place[ids[n][1]] for n in order])
    features = {f: v for f, v in log.info["features"].items() if f in INDEX or f in log.features}
    videos = sum(v["dtype"] == "video" for v in features.values())
    counts = {"total_episodes": len(order), "total_frames": frames, "total_tasks": len(tasks)}
    others = {"total_videos": len(order) * videos, "total_chunks": -(-len(order) // log.layout.chunks_size)}
    counts |= {name: number for name, number in others.items() if name in log.info}
    facts = {"codebase_version": log.layout.written, "splits": splits, "features": features}
    write_new_text(out / "meta" / "info.json", json.dumps(log.info | counts | facts, indent=4) + "\n")
    if log.facts is not None:
        write_facts(log.facts, out)
    write_ids(out, {f"episode_{k:06d}": ids[n][0] for k, n in enumerate(order)})


def numbers_of_tasks(before: Mapping[int, str], rows: Rows) -> dict[str, int]:
    """Sentence -> number: those of the source where its sentences are those of the output, else none yet."""
    used = {str(text) for row in rows for _, text in row["tasks"]}
    known = {text: number for number, text in before.items()}
    return known if used == set(known) and len(known) == len(before) else {}


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


def with_numbers(table: Any, numbers: Mapping[str, np.ndarray]) -> Any:
    """The table of a staged data file with its index columns."""
    import pyarrow as pa

    for name, value in numbers.items():
        if name in table.column_names:
            i = table.column_names.index(name)
            table = table.set_column(
                i, table.schema.field(i), pa.array(value.tolist(), type=table.schema.field(i).type)
            )
    return table


def write_data(table: Any, path: Path, source: Path) -> None:
    """Write the data file of an episode; it is a copy of its source's where that holds the same rows and no others."""
    import pyarrow.parquet as pq

    if count_rows(source) == table.num_rows and _is_same(read_table(source), table):
        copy_file(Source(source, "parquet"), path)
    else:
        pq.write_table(table, new_path(path))


def _is_same(old: Any, new: Any) -> bool:
    """Whether two tables have the same cells, and the new one all metadata: what nobody could read was left out."""
    return bool(old.equals(new)) and set(old.schema.metadata or ()) == set(new.schema.metadata or ())


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
