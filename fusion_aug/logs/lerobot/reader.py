"""LeRobotDataset: reader, with pyarrow and PyAV alone. What its versions differ in is in ``layout.py``.

A sample is an episode. What the numbers of ``observation.state`` and ``action`` mean is declared with ``log.parts``.
The format holds no calibration, so that comes from ``log.rig``, ``log.urdf`` and ``log.joint_map``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import Fields, Part
from fusion_aug.logs.core.episode_facts import read_start
from fusion_aug.logs.core.episodes import EpisodeLog
from fusion_aug.logs.core.robots import BASE
from fusion_aug.logs.core.sidecar_rig import with_sidecar
from fusion_aug.logs.core.touch import camera_of
from fusion_aug.logs.lerobot.contents import DATA, INDEX, INFO, VIDEOS, columns_of, named
from fusion_aug.logs.lerobot.info import read_info
from fusion_aug.logs.lerobot.layout import Layout
from fusion_aug.logs.lerobot.layout_v2 import FilePerEpisode
from fusion_aug.logs.lerobot.layout_v3 import SharedFiles
from fusion_aug.logs.lerobot.tables import TableSource, column, episode_rows
from fusion_aug.logs.lerobot.video import FrameSource
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Depth, ImageStream, Stream, Text, strings

LAYOUTS: dict[str, type[Layout]] = {"v3.0": SharedFiles, "v2.1": FilePerEpisode, "v2.0": FilePerEpisode}
COMPANION_FEATURES = (
    "depth",
    "height",
)  # last words of features that belong to a picture, as wrist.depth to wrist


class LeRobotLog(EpisodeLog):
    """Reader of LeRobotDataset. ``log.select`` takes ids such as episode_000003, or shell patterns."""

    @cached_property
    def info(self) -> dict[str, Any]:
        """``meta/info.json``."""
        return read_info(self.path_in(INFO, "log.root"))

    @cached_property
    def layout(self) -> Layout:
        """Where the episodes of its version lie.

        Raises:
            DataError: the version is none of those that are known.
        """
        version = self.info.get("codebase_version")
        if not isinstance(version, str) or version not in LAYOUTS:
            known = ", ".join(LAYOUTS)
            raise DataError(
                f"{self.root / INFO}: codebase_version: this reads {known}, got {version!r}; LeRobot's own converters "
                f"(lerobot.datasets) bring other versions to one of these"
            )
        return LAYOUTS[version](self)

    @cached_property
    def splits(self) -> dict[str, tuple[int, int]]:
        """Name -> (first episode, last episode + 1)."""
        spans = {str(name): str(span).split(":") for name, span in (self.info.get("splits") or {}).items()}
        return {name: (int(start), int(stop)) for name, (start, stop) in spans.items()}

    @cached_property
    def videos(self) -> list[str]:
        """Features that are videos, but for excluded ones."""
        return [f for f, v in self.info["features"].items() if v.get("dtype") == "video" and not self.is_excluded(f)]

    @cached_property
    def episodes(self) -> dict[str, dict[str, Any]]:
        """Id -> its row of the table of episodes, without the statistics."""
        return self.layout.episodes()

    @cached_property
    def tasks(self) -> dict[int, str]:
        """Task index -> sentence."""
        return self.layout.tasks()

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
        for sample_id, row in self.episodes.items():
            paths = [(self.data_path(row), DATA), *((self.video_path(row, f), VIDEOS) for f in self.videos)]
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
        out: dict[str, Fields] = {INFO: list(self.info), **self.layout.fields()}
        for name in (n for n, (part, _) in self.files.items() if part == DATA):
            out[name] = partial(self._named_columns, name)
        return out

    def _named_columns(self, name: str) -> Collection[str]:
        return named(columns_of(self.root / name), self.info["features"], self.features)

    def data_path(self, episode: dict[str, Any]) -> Path:
        """Parquet file of an episode."""
        return self.path_in(self.layout.data_name(episode), str(self.root / INFO))

    def video_path(self, episode: dict[str, Any], key: str) -> Path:
        """Video file of an episode's camera."""
        return self.path_in(self.layout.video_name(episode, key), str(self.root / INFO))

    def stream_name(self, feature: str) -> str:
        """Return the name of a feature's stream."""
        return stream_name(feature, self.info["features"])

    @cached_property
    def features(self) -> dict[str, str]:
        """Feature of ``info.json`` -> name of its stream, for all features that are read."""
        chosen = [f for f in self.info["features"] if f not in INDEX and not self.is_excluded(f)]
        self.check_parts(self.info["features"])
        return {f: self.stream_name(f) for f in chosen}

    def numbers_of(self, feature: str) -> list[str]:
        """Names of a vector's numbers."""
        names = self.info["features"][feature].get("names")
        while isinstance(names, dict) and names:
            places = list(names.values())
            if sorted(map(str, places)) == sorted(map(str, range(len(places)))):  # name -> place in the vector
                return [str(n) for n in sorted(names, key=lambda n: int(names[n]))]
            names = places[0]
        return [str(n) for n in names] if isinstance(names, list) else []

    def frame_times(self, sample_id: str) -> Tensor:
        """Times (n,) of an episode's frames, int64 ns, by the table of episodes alone."""
        frames = np.arange(int(self.episodes[sample_id]["length"]))
        return frame_stamps(frames, float(self.info["fps"])) + read_start(self.tree, sample_id)

    def rows(self, sample_id: str) -> Any:
        """Return the episode's rows of its data file, as a table."""
        episode = self.episodes[sample_id]
        path = self.data_path(episode)
        mine = episode_rows(path, int(episode["episode_index"]))
        if len(mine) != int(episode["length"]):
            raise DataError(
                f"{path}: episode {sample_id}: {len(mine)} rows, but its table of episodes says {episode['length']}"
            )
        return mine

    def read(self, sample_id: str) -> Sample:
        """Read one episode."""
        if sample_id not in self.episodes:
            raise DataError(f"{self.root}: there is no episode {sample_id!r}")
        episode, table = self.episodes[sample_id], self.rows(sample_id)
        path, fps = self.data_path(episode), float(self.info["fps"])
        seconds = column(table, "timestamp", path).reshape(-1).astype(np.float64)
        frames = frames_of_stamps(seconds, fps, path)
        times = frame_stamps(frames, fps) + read_start(self.tree, sample_id)
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
            streams |= self.streams_of(name, feature, values, stream_fields, self.numbers_of(feature), joints)
        if self.tasks:
            index = column(table, "task_index", path).reshape(-1)
            new = np.flatnonzero(np.diff(index, prepend=index[0] - 1))  # frames at which another task begins
            texts = strings([self._sentence(int(k), episode, path) for k in index[new]])
            streams["task"] = Text(frame=BASE, capture_times=times[torch.from_numpy(new)], values={"text": texts})
        sample = self.make_sample(sample_id, self.with_capture_times(streams, sample_id), int(times[0]))
        return with_sidecar(sample, self.tree)

    def _sentence(self, task: int, episode: dict[str, Any], path: Path) -> str:
        """The sentence of a task by its number; of one that the table of tasks lacks, the only one of the episode.

        Raises:
            DataError: nothing says it.
        """
        if task in self.tasks:
            return self.tasks[task]
        own = [str(text) for text in episode.get("tasks", ())]
        if len(own) != 1:
            raise DataError(
                f"{path}: task_index: is {task}, and the table of tasks has {', '.join(map(str, self.tasks))}; add its "
                f"sentence there, or give the episode one in the table of episodes"
            )
        return own[0]

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
        path, start = self.video_path(episode, feature), self.layout.video_start(episode, feature)
        items = tuple(
            FrameSource(path, "video", options={"seconds": start + t * 1e-9, "feature": feature})
            for t in (times - times[0]).tolist()
        )
        return Camera(frame=name, camera=name, capture_times=times, items=items, records=records)


def frames_of_stamps(seconds: np.ndarray, fps: float, path: Path) -> np.ndarray:
    """Numbers (n,) of frames by their stamps (n,), seconds.

    Raises:
        DataError: they are not one frame after the other; with the frame that is furthest from its place.
    """
    frames = np.round(np.nan_to_num(seconds) * fps)
    off = np.abs(frames / fps - seconds).max(initial=0.0)
    if off <= 1e-3 and not bool((np.diff(frames) != 1).any()):
        return frames
    away = np.nan_to_num(np.abs(seconds - seconds[0] - np.arange(len(seconds)) / fps), nan=np.inf)
    worst = int(away.round(4).argmax())  # the first of those that are alike but for their rounding
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.0
    shown = f"; the stamps show {1 / step:.4g} fps" if step > 0 else ""
    raise DataError(
        f"{path}: timestamp: is not one frame after the other at {fps:g} fps: row {worst} is {seconds[worst]:.6g} s, "
        f"{away[worst]:.3g} s from its place after the first{shown}; correct fps in info.json, or the stamps"
    )


def frame_stamps(frames: np.ndarray, fps: float) -> Tensor:
    """Times (n,) int64 ns of frames (n,) by their numbers."""
    return torch.from_numpy(np.round(frames / fps * 1e9).astype(np.int64))


def stream_name(feature: str, features: Collection[str]) -> str:
    """Name of a feature's stream: without the prefix that all features share, if that is unambiguous among them."""
    for prefix in ("observation.images.", "observation."):
        name = feature.removeprefix(prefix)
        clash = any(f != feature and f.endswith(f".{name}") for f in features)
        if name != feature and not clash and name not in features:
            return companion_name(name)
    return companion_name(feature)


def companion_name(name: str) -> str:
    """Return the stream's name of a feature that belongs to a picture: wrist/depth for wrist.depth."""
    head, _, tail = name.rpartition(".")
    return f"{head}/{tail}" if head and tail in COMPANION_FEATURES else name
