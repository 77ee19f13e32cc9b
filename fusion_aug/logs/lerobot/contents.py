"""What a LeRobotDataset holds, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from calib.regular_files import check_regular
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Part

INFO, TASKS, EPISODES = "meta/info.json", "meta/tasks.parquet", "meta/episodes/**.parquet"
TOTALS = "meta/stats.json"
LINES, LINES_OF_STATS, LINES_OF_TASKS = (f"meta/{n}.jsonl" for n in ("episodes", "episodes_stats", "tasks"))  # v2.x
INDEX = ("timestamp", "frame_index", "episode_index", "index", "task_index")
SENTENCES = ("task", "__index_level_0__")  # names of the column; the second where pandas wrote it as its index
HUB = "of the hub that the set was loaded from"
CONTENTS = (
    Part(INFO, CHANGED, "facts of the set, with its counts and splits"),
    Part(TOTALS, CHANGED, "statistics, worked out again; NaN is left out"),
    Part(TASKS, CHANGED, "sentences of the tasks, numbered again"),
    Part(EPISODES, CHANGED, "rows of the episodes, with their statistics worked out again"),
    Part(LINES, CHANGED, "v2.x: rows of the episodes"),
    Part(LINES_OF_STATS, CHANGED, "v2.1: statistics of the episodes; of what changes worked out again, NaN left out"),
    Part(LINES_OF_TASKS, CHANGED, "v2.x: sentences of the tasks"),
    Part("images/**", LEFT_OUT, "pictures that a recording leaves behind when its videos are made"),
    Part(".cache/**", LEFT_OUT, HUB),
    Part(".gitattributes", LEFT_OUT, HUB),
    Part("data/**.parquet", CHANGED, "rows of the features; info.json says where they lie (data_path)"),
    Part("videos/**.mp4", CHANGED, "pictures of the cameras; info.json says where they lie (video_path)"),
    *(Part(f"{INFO}:{n}", KEPT, "of the set") for n in (
        "robot_type", "fps", "chunks_size", "data_files_size_in_mb", "video_files_size_in_mb", "data_path",
        "video_path",
    )),
    *(Part(f"{INFO}:{n}", CHANGED, "counted again") for n in (
        "total_episodes", "total_frames", "total_tasks", "total_chunks", "total_videos", "splits", "features",
    )),
    Part(f"{INFO}:codebase_version", CHANGED, "version of the format: v3.0 and v2.1 stay, v2.0 becomes v2.1"),
    *(Part(f"{LINES}:{n}", CHANGED, "of the episode") for n in ("episode_index", "length", "tasks")),
    *(Part(f"{LINES_OF_STATS}:{n}", CHANGED, "of the episode") for n in ("episode_index", "stats")),
    *(Part(f"{LINES_OF_TASKS}:{n}", KEPT, "of a task") for n in ("task_index", "task")),
    Part("**.parquet:feature **", CHANGED, "features that are read"),
    Part("**.parquet:excluded **", LEFT_OUT, "features that log.exclude names"),
    *(Part(f"**.parquet:{n}", CHANGED, "numbers of frames and episodes") for n in INDEX),
    *(Part(f"{TASKS}:{n}", KEPT, "sentence of a task") for n in SENTENCES),
    *(Part(f"{EPISODES}:{n}", CHANGED, "of the episode") for n in (
        "length", "tasks", "data/*", "videos/*", "stats/*", "dataset_*_index", "meta/episodes/*",
    )),
)  # fmt: skip
DATA, VIDEOS = (next(p for p in CONTENTS if p.pattern == name) for name in ("data/**.parquet", "videos/**.mp4"))


def columns_of(path: Path) -> list[str]:
    """Names of the columns of a parquet file, without reading its rows; of statistics and videos those of the features.

    Raises:
        DataError: it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        check_regular(path)
        names = list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from None
    return list(dict.fromkeys(n.rpartition("/")[0] if n.startswith(("stats/", "videos/")) else n for n in names))


def named(columns: Collection[str], features: Mapping[str, Any], read: Collection[str]) -> list[str]:
    """Columns of a data file, as the account calls them.

    Args:
        columns: of the file. features: of ``info.json``. read: features that are read; the others are excluded.
    """
    words = {f: "feature" if f in read else "excluded" for f in features if f not in INDEX}
    return [f"{words[c]} {c}" if c in words else c for c in columns]


def sentence_column(columns: Collection[str], where: Path) -> str:
    """Name of the column of ``meta/tasks.parquet`` that holds the sentences; ``where`` is its path.

    Raises:
        DataError: there is none.
    """
    for name in SENTENCES:
        if name in columns:
            return name
    raise DataError(f"{where}: expected a column {SENTENCES[0]!r} with the sentences, got {', '.join(columns)}")
