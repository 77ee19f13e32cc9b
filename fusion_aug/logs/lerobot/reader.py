"""LeRobotDataset v3.0: reader, with pyarrow and PyAV alone.

A sample is an episode. What the numbers of ``observation.state`` and ``action`` mean is declared with ``log.parts``.
The format holds no calibration, so that comes from ``log.rig``, ``log.urdf`` and ``log.joint_map``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.regular_files import is_there
from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import Fields, Part
from fusion_aug.logs.core.episodes import EpisodeLog
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.robots import BASE
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.core.touch import camera_of, with_touch_sensors_of_rig
from fusion_aug.logs.lerobot.contents import DATA, INDEX, INFO, TASKS, VIDEOS, columns_of, named, sentence_column
from fusion_aug.logs.lerobot.tables import TableSource, column, episode_rows, read_table
from fusion_aug.logs.lerobot.video import FrameSource
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Depth, ImageStream, Stream, Text, strings

VERSION = "v3.0"
COMPANION_FEATURES = (
    "depth",
    "height",
)  # last words of features that belong to a picture, as wrist.depth to wrist


class LeRobotLog(EpisodeLog):
    """Reader of LeRobotDataset v3.0. ``log.select`` takes ids such as episode_000003, or shell patterns."""

    @cached_property
    def info(self) -> dict[str, Any]:
        """``meta/info.json``."""
        path = self.path_in("meta/info.json", "log.root")
        info = read_json(path)
        if not isinstance(info, dict) or info.get("codebase_version") != VERSION:
            version = info.get("codebase_version") if isinstance(info, dict) else None
            raise DataError(f"{path}: codebase_version: this reads {VERSION}, got {version!r}")
        fps, features = info.get("fps"), info.get("features")
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not fps > 0:
            raise DataError(f"{path}: fps: expected frames per second, got {fps!r}")
        if not isinstance(features, dict):
            raise DataError(f"{path}: features: expected a mapping, got {features!r}")
        if type(info.get("chunks_size", 1000)) is not int or info.get("chunks_size", 1000) < 1:
            raise DataError(f"{path}: chunks_size: expected a whole number above 0, got {info['chunks_size']!r}")
        if not isinstance(info.get("splits") or {}, dict):
            raise DataError(f"{path}: splits: expected a mapping, got {info['splits']!r}")
        for name, span in (info.get("splits") or {}).items():
            if re.fullmatch(r"\d{1,18}:\d{1,18}", str(span)) is None:
                raise DataError(f"{path}: splits.{name}: expected START:STOP, got {span!r}")
        for name, feature in features.items():
            if (
                not isinstance(feature, dict)
                or not isinstance(feature.get("dtype"), str)
                or not isinstance(feature.get("shape"), list)
                or not all(type(n) is int and n > 0 for n in feature["shape"])
            ):
                raise DataError(f"{path}: features.{name}: expected a mapping with dtype and shape, whole numbers")
        return info

    @cached_property
    def splits(self) -> dict[str, tuple[int, int]]:
        """Name -> (first episode, last episode + 1)."""
        spans = {str(name): str(span).split(":") for name, span in (self.info.get("splits") or {}).items()}
        return {name: (int(start), int(stop)) for name, (start, stop) in spans.items()}

    def chunk_and_file(self, number: int) -> tuple[int, int]:
        """Chunk and file index of an episode's own files."""
        return divmod(number, self.info.get("chunks_size", 1000))

    @cached_property
    def episodes(self) -> dict[str, dict[str, Any]]:
        """Id -> its row of ``meta/episodes``, without the statistics."""
        rows: list[dict[str, Any]] = []
        for path in self.tree.glob("meta/episodes/**/*.parquet"):
            table = read_table(path)
            names = [n for n in table.column_names if not n.startswith("stats/")]
            rows += table.select(names).to_pylist()
        where = self.root / "meta" / "episodes"
        if not rows:
            raise DataError(f"{where}: holds no episode")
        videos = [f for f, v in self.info["features"].items() if v.get("dtype") == "video" and not self.is_excluded(f)]
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

    @cached_property
    def tasks(self) -> dict[int, str]:
        """Task index -> sentence."""
        path = self.path_in("meta/tasks.parquet", "log.root")
        if not is_there(path):
            return {}
        table = read_table(path)
        text = sentence_column(table.column_names, path)
        return {int(r["task_index"]): str(r[text]) for r in table.to_pylist()}

    @property
    def excludable(self) -> Collection[str]:
        """All features."""
        return self.info["features"].keys()

    @property
    def all_ids(self) -> Sequence[str]:
        """Ids of all episodes."""
        return list(self.episodes)

    @cached_property
    def files(self) -> dict[str, tuple[Part, set[str]]]:
        """Data file or video, from the root -> its part of the format, and the episodes that it holds."""
        out: dict[str, tuple[Part, set[str]]] = {}
        videos = [f for f, v in self.info["features"].items() if v.get("dtype") == "video" and not self.is_excluded(f)]
        for sample_id, row in self.episodes.items():
            paths = [(self.data_path(row), DATA), *((self.video_path(row, f), VIDEOS) for f in videos)]
            for path, part in paths:
                out.setdefault(path.relative_to(self.root).as_posix(), (part, set()))[1].add(sample_id)
        return out

    def part_of(self, path: str) -> Part | None:
        """The part of the format that a file is; data and videos are those that an episode names."""
        part = self.files[path][0] if path in self.files else super().part_of(path)
        return None if part in (DATA, VIDEOS) and path not in self.files else part

    def is_selected_file(self, path: str) -> bool:
        """Whether a file holds a selected episode, or belongs to all."""
        return path not in self.files or not self.files[path][1].isdisjoint(self._selected)

    @cached_property
    def _selected(self) -> frozenset[str]:
        return frozenset(self.ids)

    def fields(self) -> Mapping[str, Fields]:
        """Facts of ``info.json``, and columns of the tables."""
        out: dict[str, Fields] = {INFO: list(self.info)}
        for path in (*self.tree.glob("meta/episodes/**/*.parquet"), *self.tree.glob(TASKS)):
            out[path.relative_to(self.root).as_posix()] = partial(columns_of, path)
        for name in (n for n, (part, _) in self.files.items() if part == DATA):
            out[name] = partial(self._named_columns, name)
        return out

    def _named_columns(self, name: str) -> Collection[str]:
        return named(columns_of(self.root / name), self.info["features"], self.features)

    def data_path(self, episode: dict[str, Any]) -> Path:
        """Parquet file of an episode."""
        name = self.fill_path("data_path", episode["data/chunk_index"], episode["data/file_index"])
        return self.path_in(name, str(self.root / "meta" / "info.json"))

    def video_path(self, episode: dict[str, Any], key: str) -> Path:
        """Video file of an episode's camera."""
        chunk, file = episode[f"videos/{key}/chunk_index"], episode[f"videos/{key}/file_index"]
        name = self.fill_path("video_path", chunk, file, video_key=key)
        return self.path_in(name, str(self.root / "meta" / "info.json"))

    def fill_path(self, key: str, chunk: int, file: int, **more: str) -> str:
        """Return a path template of ``info.json`` with its indices filled in."""
        where = f"{self.root / 'meta' / 'info.json'}: {key}"
        template = self.info.get(key)
        if not isinstance(template, str):
            raise DataError(f"{where}: expected a path with its indices in braces, got {template!r}")
        for word, value in (("chunk_index", int(chunk)), ("file_index", int(file))):
            template = template.replace(f"{{{word}:03d}}", f"{value:03d}")
        for word, text in more.items():
            template = template.replace(f"{{{word}}}", text)
        if "{" in template:
            raise DataError(f"{where}: {template!r} holds an unknown field in braces")
        return template

    def stream_name(self, feature: str) -> str:
        """Return the name of a feature's stream: without the prefix that all features share, if that is unambiguous."""
        for prefix in ("observation.images.", "observation."):
            name = feature.removeprefix(prefix)
            clash = any(f != feature and f.endswith(f".{name}") for f in self.info["features"])
            if name != feature and not clash and name not in self.info["features"]:
                return companion_name(name)
        return companion_name(feature)

    @cached_property
    def features(self) -> dict[str, str]:
        """Feature of ``info.json`` -> name of its stream, for all features that are read."""
        chosen = [f for f in self.info["features"] if f not in INDEX and not self.is_excluded(f)]
        self.check_parts(self.info["features"])
        return {f: self.stream_name(f) for f in chosen}

    def names_of(self, feature: str) -> list[str]:
        """Names of a vector's numbers."""
        names = self.info["features"][feature].get("names")
        while isinstance(names, dict) and names:
            names = next(iter(names.values()))
        return [str(n) for n in names] if isinstance(names, list) else []

    def rows(self, sample_id: str) -> Any:
        """Return the episode's rows of its data file, as a table."""
        episode = self.episodes[sample_id]
        path = self.data_path(episode)
        mine = episode_rows(path, int(episode["episode_index"]))
        if len(mine) != int(episode["length"]):
            raise DataError(
                f"{path}: episode {sample_id}: {len(mine)} rows, but meta/episodes says {episode['length']}"
            )
        return mine

    def read(self, sample_id: str) -> Sample:
        """Read one episode."""
        if sample_id not in self.episodes:
            raise DataError(f"{self.root}: there is no episode {sample_id!r}")
        episode, table = self.episodes[sample_id], self.rows(sample_id)
        path, fps = self.data_path(episode), float(self.info["fps"])
        seconds = column(table, "timestamp", path).reshape(-1).astype(np.float64)
        frames = np.round(np.nan_to_num(seconds) * fps)
        off = np.abs(frames / fps - seconds).max(initial=0.0)
        if not off <= 1e-3 or bool((np.diff(frames) != 1).any()):
            raise DataError(f"{path}: timestamp: is not one frame after the other at {fps:g} fps ({off:.3g} s beside)")
        times = torch.from_numpy(np.round(frames / fps * 1e9).astype(np.int64))
        joints = tuple(self.robot.joints) if self.robot is not None else ()
        streams: dict[str, Stream] = {}
        records = tuple(str(i) for i in range(len(times)))
        for feature, name in self.features.items():
            stream_fields = {"frame": BASE, "capture_times": times, "records": records}
            if self.info["features"][feature].get("dtype") == "video":
                streams[name] = self._video(episode, feature, name, times, records)
                continue
            if self.is_picture(feature):
                streams[name] = self._pictures(sample_id, feature, name, times, records)
                continue
            values, shape = column(table, feature, path), self.info["features"][feature]["shape"]
            if list(values.shape[1:]) not in (shape, [] if shape == [1] else shape):
                raise DataError(f"{path}: {feature}: rows of {list(values.shape[1:])}, but info.json says {shape}")
            streams[name] = self.stream_of(feature, values, stream_fields, self.names_of(feature), joints)
        if self.tasks:
            index = column(table, "task_index", path).reshape(-1)
            new = np.flatnonzero(np.diff(index, prepend=index[0] - 1))  # frames at which another task begins
            texts = strings([self.tasks.get(int(k), "") for k in index[new]])
            streams["task"] = Text(frame=BASE, capture_times=times[torch.from_numpy(new)], values={"text": texts})
        sample = self.make_sample(sample_id, self.with_capture_times(streams, sample_id), int(times[0]))
        return with_touch_sensors_of_rig(merge_sidecar(sample, self.tree, rig_first=True))

    def is_picture(self, feature: str) -> bool:
        """Whether a feature's rows are pictures in the table: encoded ones, or arrays (H, W) of heights or depth."""
        info = self.info["features"][feature]
        return info.get("dtype") == "image" or (
            len(info["shape"]) == 2 and feature.rpartition(".")[2] in COMPANION_FEATURES
        )

    def picture_shape(self, feature: str) -> list[int]:
        """Return [height, width] or [height, width, channels]; ``info.json`` may list the channels first."""
        shape, names = self.info["features"][feature]["shape"], self.info["features"][feature].get("names")
        first = isinstance(names, list) and len(names) == 3 and str(names[0]).startswith("channel")
        return [int(n) for n in ([*shape[1:], shape[0]] if first else shape)]

    def _pictures(
        self, sample_id: str, feature: str, name: str, times: Tensor, records: tuple[str, ...]
    ) -> ImageStream:
        """Make the stream of pictures in the table: colour, or one channel, which is depth."""
        path = self.data_path(self.episodes[sample_id])
        options = {"feature": feature, "episode": int(self.episodes[sample_id]["episode_index"]),
                   "shape": self.picture_shape(feature)}  # fmt: skip
        items = tuple(TableSource(path, "parquet", options={**options, "row": k}) for k in range(len(times)))
        kind: type[ImageStream] = Depth if self.picture_shape(feature)[2:] in ([], [1]) else Camera
        camera = camera_of(name, self.features.values())
        return kind(frame=camera, camera=camera, capture_times=times, items=items, records=records)

    def _video(
        self, episode: dict[str, Any], feature: str, name: str, times: Tensor, records: tuple[str, ...]
    ) -> Camera:
        path, start = self.video_path(episode, feature), float(episode[f"videos/{feature}/from_timestamp"])
        items = tuple(
            FrameSource(path, "video", options={"seconds": start + t * 1e-9, "feature": feature})
            for t in (times - times[0]).tolist()
        )
        return Camera(frame=name, camera=name, capture_times=times, items=items, records=records)


def companion_name(name: str) -> str:
    """Return the stream's name of a feature that belongs to a picture: wrist/depth for wrist.depth."""
    head, _, tail = name.rpartition(".")
    return f"{head}/{tail}" if head and tail in COMPANION_FEATURES else name
