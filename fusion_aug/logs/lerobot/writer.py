"""LeRobotDataset: writer, in the version of the source (v2.0 as v2.1).

Every episode has its own data file and one video per camera; untouched videos are copied, or cut without decoding them,
and so are untouched data files that hold one episode. Statistics are recomputed where features change.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.episode_writing import EpisodeWriter
from fusion_aug.logs.core.files import copy_file, inside
from fusion_aug.logs.core.joint_readings import streams_within
from fusion_aug.logs.core.writer import PARTS_FOLDER
from fusion_aug.logs.lerobot.contents import INFO, LINES
from fusion_aug.logs.lerobot.export_options import OUTPUT_OPTIONS
from fusion_aug.logs.lerobot.layout_v2 import video_part
from fusion_aug.logs.lerobot.merge import merge_episodes
from fusion_aug.logs.lerobot.stats import picture_samples
from fusion_aug.logs.lerobot.tables import TableSource, cell_of, column
from fusion_aug.logs.lerobot.video import FrameSource, cut_video, write_video
from fusion_aug.ops.color import levels_of
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, ImageStream, Stream
from fusion_aug.streams.source import Source


class LeRobotWriter(EpisodeWriter):
    """Writes data, videos, episodes, tasks and statistics, at the rate of the dataset."""

    copied_whole: ClassVar[tuple[str, ...]] = (INFO, LINES)

    def __init__(self, log: Any, out: Path, **kwargs: Any):
        super().__init__(log, out, **kwargs)
        for name, option in OUTPUT_OPTIONS.items():
            if self.options.get(name, option.default) != option.default:
                raise ConfigError(
                    f"output.{name}: says how another log becomes a LeRobotDataset, and this one is written as it is; "
                    f"leave it out"
                )

    @property
    def rate(self) -> float:
        """Frames per second, ``fps`` of ``info.json``."""
        return float(self.log.info["fps"])

    @property
    def streams_by_feature(self) -> Mapping[str, str]:
        """Feature of ``info.json`` -> name of its stream, for all features that are read."""
        features: Mapping[str, str] = self.log.features
        return features

    def number(self, out_id: str, source_id: str) -> int:
        """Return the index of an episode in the output: all episodes of copy 0, then those of copy 1, ..."""
        copy = int(out_id.rpartition("__")[2]) if out_id != source_id else 0
        return copy * len(self._places) + self._places[source_id]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Id of an episode of the source -> its place there."""
        return {sample_id: k for k, sample_id in enumerate(self.log.episodes)}

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample at the frames of the episode; a change of task is moved to the next frame."""
        sample = super().as_read_back(sample, source, standalone=standalone)
        if "task" not in sample.streams:
            return sample
        frame_times, task = self.frame_times(sample, source), sample["task"]
        frames = torch.tensor([first for first, _ in tasks_of(sample, frame_times)])
        task = replace(task, capture_times=frame_times[frames.clamp(max=len(frame_times) - 1)])
        return sample.with_streams({**sample.streams, "task": task})

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one episode: a parquet part, a video per camera, and its sidecar.

        Returns:
            ``episode`` (its row of the table of episodes), ``stats`` by feature, ``tasks`` as (frame, sentence), the
            path of its ``part``, and those of ``videos`` that wait for the number of the episode.

        Raises:
            DataError: a stream of a feature is missing, or the video codec is unknown.
        """
        number, layout = self.number(out_id, source.id), self.log.layout
        frame_times, sample = self.frame_times(sample, source), self.as_read_back(sample, source)
        episode: dict[str, Any] = {"length": len(frame_times)}
        columns: dict[str, Any] = {}
        kept = layout.stats_of(int(self.log.episodes[source.id]["episode_index"]))
        stats = {
            f: own
            for f, own in kept.items()
            if f not in self.log.features or self.is_kept(sample, source, self.log.features[f])
        }
        videos: dict[str, str] = {}
        for feature, name in self.streams_by_feature.items():
            stream = sample[streams_within(name, sample.streams)[0]]
            if self.log.info["features"][feature]["dtype"] == "video":
                assert isinstance(stream, Camera)
                target, facts = layout.new_video(number, feature, len(frame_times) / self.rate)
                if layout.file_per_episode:  # whose name is the number that the episode will have
                    target = videos[feature] = video_part(out_id, feature)
                self._video(stream, source[name], feature, inside(folder, target, "video_path"), stats)
                episode |= facts
            elif self.log.is_picture(feature):
                assert isinstance(stream, ImageStream)
                columns[feature] = self._cells(stream, source, feature, stats)
            else:
                columns[feature] = self._rows(sample, source, feature)
                if feature not in stats:
                    stats[feature] = layout.own_stats(columns[feature], "vector")
        columns |= self._frames(frame_times, source)
        self._table(columns, source).write(inside(folder, f"{PARTS_FOLDER}/{out_id}.parquet", "sample id"))
        self.sidecar(sample, source, out_id, folder)
        plain = {f: {k: np.asarray(v).tolist() for k, v in stats[f].items()} for f in self.streams_by_feature}
        return {
            "episode": episode,
            "stats": plain,
            "tasks": tasks_of(sample, frame_times),
            "part": f"{PARTS_FOLDER}/{out_id}.parquet",
            "videos": videos,
        }

    def _video(self, stream: Camera, source: Stream, feature: str, target: Path, stats: dict[str, Any]) -> None:
        """Write the video of a camera, and add the statistics of its pictures where they are not there."""
        sampled, seen = set(picture_samples(len(stream))), list[np.ndarray]()

        def frames() -> Iterator[np.ndarray]:
            for i in range(len(stream)):
                picture = levels_of(stream.image(i), stream.title(i)).numpy()
                if i in sampled:
                    seen.append(picture)
                yield picture

        first = source.items[0]  # type: ignore[attr-defined]
        if stream is source and self._copied(first, target, len(stream)):
            deque(frames() if feature not in stats else (), maxlen=0)
        else:
            facts = self.log.info["features"][feature]
            codec = str((facts.get("info") or facts.get("video_info") or {}).get("video.codec", "av1"))
            write_video(frames(), target, Fraction(self.rate).limit_denominator(1001), codec, gop=2)
        if feature not in stats:
            stats[feature] = self.log.layout.own_stats(seen, "picture")

    def _copied(self, first: FrameSource, target: Path, count: int) -> bool:
        """Copy a video without decoding it, whole where it is of one episode; False where that cannot be."""
        if not self.log.layout.file_per_episode:
            return cut_video(first.path, target, float(first.options["seconds"]), count)
        copy_file(Source(first.path, "video"), target, self.link)
        return True

    def _cells(self, stream: ImageStream, source: Sample, feature: str, stats: dict[str, Any]) -> list[Any]:
        """Return the cells of pictures in the table, untouched ones as they are, and add their statistics."""
        old = self.log.rows(source.id)[feature].to_pylist()
        cells = []
        for i, item in enumerate(stream.sources):
            like = old[min(i, len(old) - 1)]
            cells.append(item.cell() if isinstance(item, TableSource) else cell_of(stream.image(i), like))
        if feature not in stats:
            pictures = [stream.image(i).numpy() for i in picture_samples(len(stream))]
            stats[feature] = self.log.layout.own_stats(pictures, "picture" if pictures[0].ndim == 3 else "depth")
        return cells

    def _frames(self, frame_times: Tensor, source: Sample) -> dict[str, np.ndarray]:
        """Columns of the frames' times and numbers; those of the file where they begin at 0 and did not change."""
        rows, path = self.log.rows(source.id), self.log.data_path(self.log.episodes[source.id])
        if torch.equal(frame_times, self.frame_times(source, source)) and len(frame_times) == rows.num_rows:
            kept = {n: column(rows, n, path) for n in ("timestamp", "frame_index") if n in rows.column_names}
            if float(kept["timestamp"].reshape(-1)[0]) == 0:
                return kept
        return {
            "timestamp": (frame_times - frame_times[0]).numpy() * 1e-9,
            "frame_index": np.arange(len(frame_times)),
        }

    def _rows(self, sample: Sample, source: Sample, feature: str) -> np.ndarray:
        """Return the rows (n, ...) of a feature; those of the file where nothing changed."""
        original = column(self.log.rows(source.id), feature, self.log.data_path(self.log.episodes[source.id]))
        name = self.streams_by_feature[feature]
        if self.is_kept(sample, source, name):
            return original
        shape = tuple(int(s) for s in self.log.info["features"][feature]["shape"])
        rows = self.log.feature_array(sample, name, feature, self.log.numbers_of(feature), shape)
        return rows.astype(original.dtype).reshape(len(rows), *original.shape[1:])

    def _table(self, columns: dict[str, Any], source: Sample) -> Table:
        schema = self.log.rows(source.id).schema
        columns["task_index"] = np.zeros(len(columns["timestamp"]), dtype=np.int64)
        columns["episode_index"] = columns["index"] = columns["task_index"]
        return Table({n: columns[n] for n in schema.names if n in columns}, schema)

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Number episodes and frames, copies after their source, and write the tables of ``meta``."""
        merge_episodes(self.log, rows, ids, self.out, self.part)


def tasks_of(sample: Sample, frame_times: Tensor) -> list[tuple[int, str]]:
    """Return (first frame, sentence) of every task; ``frame_times`` (n,) ns."""
    if "task" not in sample.streams:
        return [(0, "")]
    stream = sample["task"]
    frames = torch.searchsorted(frame_times, stream.capture_times).tolist()
    return [(0 if i == 0 else f, str(t)) for i, (f, t) in enumerate(zip(frames, stream["text"], strict=True))]


class Table:
    """Columns to be written with the types of the source's schema."""

    def __init__(self, columns: dict[str, Any], schema: Any):
        self.columns, self.schema = columns, schema

    def write(self, path: Path) -> None:
        """Write a parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        fields = [self.schema.field(n) for n in self.columns]
        arrays = [pa.array(v if isinstance(v, list) else v.tolist(), type=f.type)
                  for f, v in zip(fields, self.columns.values(), strict=True)]  # fmt: skip
        pq.write_table(
            pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=_schema_metadata(self.schema))), path
        )


def _schema_metadata(schema: Any) -> dict[bytes, bytes] | None:
    """Return the metadata of a table without the fingerprint of its old rows."""
    metadata = dict(schema.metadata or {})
    if b"huggingface" in metadata:
        try:
            facts = dict(json.loads(metadata.pop(b"huggingface")))
        except (ValueError, TypeError):  # not JSON, so of no use to a reader
            return metadata or None
        facts.pop("fingerprint", None)
        metadata[b"huggingface"] = json.dumps(facts).encode()
    return metadata or None
