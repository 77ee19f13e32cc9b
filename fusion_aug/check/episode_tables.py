"""LeRobotDataset: numbers of frames, totals and statistics of an output, against its own tables.

Training code finds frames by their numbers and normalizes vectors by the statistics, and no stream holds either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.lerobot import INDEX, INFO, table
from fusion_aug.check.measurement import Row
from fusion_aug.errors import DataError

STATS, LINES = "meta/stats.json", "meta/episodes_stats.jsonl"
STATS_LIMIT = 1e-3  # of the range of a number
Columns = Mapping[str, np.ndarray]


def compare_episode_tables(source: Path, out: Path) -> Iterator[Row]:
    """A row for the numbers of frames, one for the totals and one for the statistics; none of another format.

    Args:
        source: root of the log, whose own statistics may be off. out: root of the output.
    """
    if not (out / INFO).is_file():
        return
    try:
        info, columns = tables_of(out)
        wrong = misnumbered(columns)
        yield Row("numbers of frames", "all", "rows", 0, np.array([float(wrong)]))
        told = {"total_frames": len(columns["index"]), "total_episodes": len(set(columns["episode_index"].tolist()))}
        off = [abs(float(info[n]) - count) for n, count in told.items() if n in info]
        yield Row("totals", "all", "rows", 0, np.array(off))
        for feature, error in stats_off(out, info, columns).items():
            own = stats_off(source, *tables_of(source)).get(feature, 0.0) if error > STATS_LIMIT else 0.0
            yield Row("statistics", feature, "of the range", STATS_LIMIT, np.array([max(0.0, error - own)]))
    except (DataError, KeyError, TypeError, ValueError) as error:
        yield Row("unreadable", "tables", "samples", 0, np.ones(1), str(error))


def tables_of(root: Path) -> tuple[Mapping[str, Any], Columns]:
    """``info.json``, and the columns of numbers of all tables; nothing of a log of another format.

    Raises:
        DataError: a file is damaged.
    """
    files = LogFiles(root)
    if not (root / INFO).is_file():
        return {}, {}
    info = files.json(root / INFO)
    numbers = [n for n, f in info["features"].items() if len(f["shape"]) == 1 and f["dtype"] not in ("image", "video")]
    found: dict[str, list[np.ndarray]] = {}
    for path in (p for p in files.below("data") if p.endswith(".parquet")):
        rows = table(files.checked(root / path))
        for name in (n for n in dict.fromkeys((*INDEX, *numbers)) if n in rows.column_names):
            found.setdefault(name, []).append(np.array(rows[name].to_pylist()))
    return info, {n: np.concatenate(parts) for n, parts in found.items()}


def misnumbered(columns: Columns) -> int:
    """Rows whose number in all of the set, or in their episode, is not the one of their place."""
    episode, frame, index = (columns[n].reshape(-1) for n in ("episode_index", "frame_index", "index"))
    order = np.lexsort((frame, episode))
    starts = np.searchsorted(episode[order], episode[order])
    place = np.arange(len(order))
    return int(((frame[order] != place - starts) | (index[order] != place)).sum())


def stats_off(root: Path, info: Mapping[str, Any], columns: Columns) -> dict[str, float]:
    """Feature -> how far the statistics of a set are from its rows, as a share of the range of the number."""
    files, out = LogFiles(root), dict[str, float]()
    told: list[tuple[np.ndarray | slice, Mapping[str, Any]]] = []
    if info and files.is_file(root / STATS):
        told.append((slice(None), files.json(root / STATS)))
    if info and files.is_file(root / LINES):
        lines = [json.loads(line) for line in (root / LINES).read_text().splitlines() if line.strip()]
        told += [(columns["episode_index"].reshape(-1) == int(e["episode_index"]), e["stats"]) for e in lines]
    for rows, stats in told:
        for feature in (f for f in stats if f in columns and f not in INDEX):
            values = columns[feature][rows].reshape(-1, *columns[feature].shape[1:]).astype(np.float64)
            if not len(values) or not np.isfinite(values).all():
                continue
            wanted = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
            span = float((wanted["max"] - wanted["min"]).max()) + 1e-6
            known = [n for n in wanted if n in stats[feature]]
            off = [
                np.abs(np.asarray(stats[feature][n], float).reshape(-1) - wanted[n].reshape(-1)).max() for n in known
            ]
            out[feature] = max(out.get(feature, 0.0), *(float(o) / span for o in off), 0.0)
    return out
