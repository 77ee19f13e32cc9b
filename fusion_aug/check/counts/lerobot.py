"""LeRobotDataset v3.0, v2.1 and v2.0: rows of the tables, and frames of the videos, of every episode."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import check_regular, open_regular
from fusion_aug.check.counts.core import Counted, Counts, counter, is_excluded, samples_per_frame, streams_of
from fusion_aug.check.counts.files import LogFiles, is_whole, once_per_file
from fusion_aug.errors import DataError
from fusion_aug.safe.arrow import check_parquet

INFO = "meta/info.json"
INDEX = ("timestamp", "frame_index", "episode_index", "index", "task_index")
PREFIXES = ("observation.images.", "observation.")  # that names of streams do without
COMPANIONS = ("depth", "height")  # last words of features that belong to a picture, as wrist.depth to wrist
SHARED = "v3.0"  # version of files that episodes share; before it each has its own
Episode = dict[str, Any]


@counter("lerobot")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Frames of every vector, pictures of every camera, and sentences of the task."""
    files = LogFiles(root, options)
    info = files.json(root / INFO)
    features = {f: v for f, v in info["features"].items() if f not in INDEX and not is_excluded(f, options)}
    return {
        f"episode_{int(e['episode_index']):06d}": partial(count_episode, files, info, features, e, options)
        for e in (episodes(files) if info["codebase_version"] == SHARED else lines(files))
    }


def episodes(files: LogFiles) -> Iterator[Episode]:
    """Rows of ``meta/episodes`` without the statistics."""
    for path in (p for p in files.below("meta/episodes") if p.endswith(".parquet")):
        found = table(files.checked(files.root / path))
        yield from found.select([n for n in found.column_names if not n.startswith("stats/")]).to_pylist()


def lines(files: LogFiles) -> Iterator[Episode]:
    """Rows of ``meta/episodes.jsonl``."""
    with open_regular(files.checked(files.root / "meta" / "episodes.jsonl")) as file:
        yield from (json.loads(line) for line in file if line.strip())


def count_episode(
    files: LogFiles, info: dict[str, Any], features: Mapping[str, Any], episode: Episode, options: Mapping[str, Any]
) -> Counts:
    """One episode."""
    import pyarrow.compute as pc

    named = filled(info["data_path"], place_of(info, episode, "data"))
    whole = table(files.checked(files.named(named, f"{files.root / INFO}: data_path")))
    mine = whole.filter(pc.equal(whole["episode_index"], episode["episode_index"]))
    out: dict[str, dict[str, int]] = {}
    for feature, facts in features.items():
        name = name_of(feature, info["features"])
        if facts["dtype"] == "video":
            out[name] = {"pictures": min(mine.num_rows, count_frames(files, info, feature, episode))}
        elif facts["dtype"] == "image":
            out[name] = {"pictures": sum(is_encoded(cell) for cell in mine[feature].to_pylist())}
        else:
            there = mine.num_rows - mine[feature].null_count
            frames = {"frames": there * samples_per_frame(feature, facts["shape"], options)}
            out |= dict.fromkeys(streams_of(name, feature, options), frames)
    if any(files.is_file(files.root / "meta" / f"tasks.{ending}") for ending in ("parquet", "jsonl")):
        tasks = np.asarray(mine["task_index"].to_numpy(), dtype=np.int64).reshape(-1)
        out["task"] = {"sentences": int(len(tasks) > 0) + int((np.diff(tasks) != 0).sum())}
    return out


def is_encoded(cell: Any) -> bool:
    """Whether a cell holds a whole picture."""
    raw = (cell or {}).get("bytes") or b""
    return is_whole(raw[:8], raw[-64:])


def name_of(feature: str, features: Mapping[str, Any]) -> str:
    """What the stream of a feature is called: without the common prefix, where no other has the same name then."""
    short = feature
    for prefix in PREFIXES:
        name = feature.removeprefix(prefix)
        others = [f for f in features if f != feature]
        if name != feature and name not in features and not any(f.endswith(f".{name}") for f in others):
            short = name
            break
    head, _, tail = short.rpartition(".")
    return f"{head}/{tail}" if head and tail in COMPANIONS else short


def place_of(info: dict[str, Any], episode: Episode, prefix: str) -> dict[str, int]:
    """Field of a path of ``info.json`` -> number; ``prefix`` is ``data``, or ``videos/`` and the feature."""
    if info["codebase_version"] != SHARED:
        number = int(episode["episode_index"])
        return {"episode_chunk:03d": number // int(info.get("chunks_size", 1000)), "episode_index:06d": number}
    return {f"{k}:03d": int(episode[f"{prefix}/{k}"]) for k in ("chunk_index", "file_index")}


def filled(template: str, place: Mapping[str, int], **words: str) -> str:
    """A path of ``info.json`` with its fields."""
    numbers = {word: f"{value:0{word[-2]}d}" for word, value in place.items()}
    for word, value in {**numbers, **words}.items():
        template = template.replace(f"{{{word}}}", value)
    return template


def count_frames(files: LogFiles, info: dict[str, Any], feature: str, episode: Episode) -> int:
    """Frames of an episode in its video, without decoding them: those from its start to its end, in seconds."""
    named = filled(info["video_path"], place_of(info, episode, f"videos/{feature}"), video_key=feature)
    path = files.checked(files.named(named, f"{files.root / INFO}: video_path"))
    start = float(episode[f"videos/{feature}/from_timestamp"]) if info["codebase_version"] == SHARED else 0.0
    half = 0.5 / float(info["fps"])
    end = start + episode["length"] / float(info["fps"])
    times = frame_times(path)
    return int(((times >= start - half) & (times < end - half)).sum())


@once_per_file
def frame_times(path: Path) -> np.ndarray:
    """Seconds at which the frames of a video are shown, (n,) float64.

    Raises:
        DataError: it is missing or damaged.
    """
    import av

    try:
        check_regular(path)
        with av.open(f"file:{path}", format="mp4") as container:  # whatever it looks like: no list of other files
            video = container.streams.video[0]
            base = float(video.time_base or 0)
            times = [p.pts * base for p in container.demux(video) if p.pts is not None and p.size]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise DataError(f"{path}: is not a readable video ({error})") from None
    return np.array(times)


@once_per_file
def table(path: Path) -> Any:
    """A parquet file as a table of pyarrow.

    Raises:
        DataError: it is missing or damaged.
    """
    from pyarrow import ArrowException, parquet

    try:
        check_regular(path)
        check_parquet(path)
        return parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise DataError(f"{path}: is not a readable parquet file ({str(error).splitlines()[0]})") from None
