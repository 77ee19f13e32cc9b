"""LeRobotDataset v3.0: writer.

Every episode becomes a data file and a video per camera of its own; untouched videos are cut without decoding them.
Statistics are made anew. The format has one rate: every stream gives the item that is handed over nearest to each
frame, and where that was captured at another time, the sidecar keeps when.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import rig_to_dict
from fusion_aug.errors import DataError
from fusion_aug.logs.base import PARTS, Problem, Writer
from fusion_aug.logs.episodes import nearest_items
from fusion_aug.logs.files import inside, write_json
from fusion_aug.logs.lerobot import INDEX, PICTURES, column, read_table
from fusion_aug.logs.lerobot_stats import picture_samples, picture_stats, pooled, vector_stats
from fusion_aug.logs.mcap_writer import robot_problems
from fusion_aug.logs.sidecar import FOLDER, write_sidecar
from fusion_aug.logs.video import FrameSource, cut_video, write_video
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Stream
from fusion_aug.transforms.base import Transform

MIN_FRAMES = 1


class LeRobotWriter(Writer):
    """Writes data, videos, episodes, tasks and statistics; the rig and what the format does not hold to the sidecar."""

    cannot: ClassVar[dict[str, tuple[str, str]]] = {}

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """See ``Writer``."""
        return super().can_express(transform, sample) + robot_problems(transform)

    def number(self, out_id: str, source_id: str) -> int:
        """Place of an episode in the output: the copies follow one another."""
        ids = list(self.log.episodes)
        copy = int(out_id.rpartition("__")[2]) if out_id != source_id else 0
        return copy * len(ids) + ids.index(source_id)

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """See ``Writer``."""
        chunk, file = divmod(self.number(out_id, source.id), int(self.log.info.get("chunks_size", 1000)))
        ticks = self._ticks(sample, source)
        episode: dict[str, Any] = {"data/chunk_index": chunk, "data/file_index": file, "length": len(ticks)}
        columns: dict[str, np.ndarray] = {}
        stats: dict[str, Any] = {}
        captured: dict[str, list[int]] = {}
        for feature, name in self.log.features.items():
            if name not in sample.streams:
                raise DataError(f"{out_id}: stream {name!r} is gone, and LeRobot has no place for an absent feature")
            stream = sample[name]
            index = nearest_items(stream, ticks)
            if self.log.window_of(feature) is None and not torch.equal(stream.times[index], ticks):
                captured[name] = stream.times[index].tolist()
            if self.log.info["features"][feature]["dtype"] in PICTURES:
                target = folder / self.log._named("video_path", chunk, file, video_key=feature)
                first = self._video(stream, index, source, feature, target)
                episode |= {f"videos/{feature}/{k}": v for k, v in
                            {"chunk_index": chunk, "file_index": file, "from_timestamp": 0.0,
                             "to_timestamp": len(ticks) / float(self.log.info["fps"])}.items()}  # fmt: skip
                stats[feature] = first
            else:
                columns[feature] = self._vector(stream, ticks, source, feature)
                stats[feature] = vector_stats(columns[feature])
        columns["timestamp"] = (ticks - ticks[0]).numpy() * 1e-9
        columns["frame_index"] = np.arange(len(ticks))
        self._table(columns, source).write(inside(folder, f"{PARTS}/{out_id}.parquet", "sample id"))
        self._sidecar(sample, source, captured, out_id, folder)
        task = str(sample["task"]["text"][0]) if "task" in sample.streams else ""
        plain = {f: {k: np.asarray(v).tolist() for k, v in s.items()} for f, s in stats.items()}
        return {"episode": episode, "stats": plain, "task": task, "part": f"{PARTS}/{out_id}.parquet"}

    def _ticks(self, sample: Sample, source: Sample) -> Tensor:
        """Stamps of the frames: those of the source, more or fewer where the episode became longer or shorter."""
        held = [sample[n] for n in self.log.features.values() if n in sample.streams and len(sample[n])]
        old = source[next(iter(self.log.features.values()))].times
        fps = float(self.log.info["fps"])
        end = max(int(s.handed_over[-1]) for s in held if not (s.sampled and len(s) > 4 * len(old)))
        count = max(MIN_FRAMES, round((end - int(old[0])) * 1e-9 * fps) + 1)
        return old[0] + torch.from_numpy(np.round(np.arange(count) / fps * 1e9).astype(np.int64))

    def _video(self, stream: Stream, index: Tensor, source: Sample, feature: str, target: Path) -> dict[str, Any]:
        """Write a camera's video; returns the statistics of its pictures."""
        assert isinstance(stream, Camera)
        chosen = [stream.items[i] if stream.pending[i] is None else None for i in index.tolist()]
        stats = picture_stats([_levels(stream.image(int(index[i]))) for i in picture_samples(len(index))])
        original = source[self.log.features[feature]].items  # type: ignore[attr-defined]
        if len(chosen) == len(original) and all(a is b for a, b in zip(chosen, original, strict=True)):
            first = original[0]
            assert isinstance(first, FrameSource)
            if cut_video(first.path, target, float(first.options["seconds"]), len(original)):
                return stats
        told = self.log.info["features"][feature].get("info") or {}
        codec = str(told.get("video.codec", "av1"))
        frames = (_levels(stream.image(i)) for i in index.tolist())
        write_video(frames, target, Fraction(float(self.log.info["fps"])).limit_denominator(1001), codec, gop=2)
        return stats

    def _vector(self, stream: Stream, ticks: Tensor, source: Sample, feature: str) -> np.ndarray:
        told = self.log.info["features"][feature]
        original = column(self.log.rows(source.id), feature)
        if stream is source[self.log.features[feature]] and len(ticks) == len(original):
            return original
        shape = tuple(int(s) for s in told["shape"])
        rows = self.log.vector_at(stream, feature, self.log.names_of(feature), shape, ticks)
        return rows.astype(original.dtype).reshape(len(rows), *original.shape[1:])

    def _table(self, columns: dict[str, np.ndarray], source: Sample) -> Table:
        schema = self.log.rows(source.id).schema
        columns["task_index"] = np.zeros(len(columns["timestamp"]), dtype=np.int64)
        columns["episode_index"] = columns["index"] = columns["task_index"]
        return Table({n: columns[n] for n in schema.names if n in columns}, schema)

    def _sidecar(
        self, sample: Sample, source: Sample, captured: dict[str, list[int]], out_id: str, folder: Path
    ) -> None:
        held = dict.fromkeys([*self.log.features.values(), "task"])
        write_sidecar(sample, held, out_id, folder, self.link)
        target = folder / FOLDER / "samples" / out_id
        if sample.rig is not source.rig or sample.truth is not sample.rig:
            write_json(rig_to_dict(sample.rig, exact=True), target / "rig.json")
        if captured:
            write_json(captured, target / "capture_times.json")

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Number episodes and frames, and write the tables of ``meta``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        episodes: list[dict[str, Any]] = []
        stats: list[dict[str, Any]] = []
        tasks: dict[str, int] = {}
        frames = 0
        for k, row in enumerate(rows):
            task = tasks.setdefault(row["task"], len(tasks))
            path = inside(self.out, self.log._named(
                "data_path", row["episode"]["data/chunk_index"], row["episode"]["data/file_index"]), "episode"
            )  # fmt: skip
            length = int(row["episode"]["length"])
            own = self._numbers(row, k, frames, task)
            numbers = {n: own[n] for n in ("episode_index", "task_index", "index")}
            number_rows(inside(self.out, row["part"], "part"), path, numbers)
            numbered = {f: vector_stats(v.astype(float)) for f, v in own.items()}
            told = {f: {n: np.asarray(v) for n, v in s.items()} for f, s in row["stats"].items()} | numbered
            stats.append(told)
            flat = {f"stats/{f}/{n}": np.asarray(v).tolist() for f, s in told.items() for n, v in s.items()}
            head = {"episode_index": k, "tasks": [row["task"]], **row["episode"],
                    "dataset_from_index": frames, "dataset_to_index": frames + length}  # fmt: skip
            episodes.append(head | flat | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0})
            frames += length
        if (self.out / PARTS).is_dir():
            (self.out / PARTS).rmdir()
        meta = self.out / "meta"
        (meta / "episodes" / "chunk-000").mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(episodes), meta / "episodes" / "chunk-000" / "file-000.parquet")
        write_tasks(tasks, meta / "tasks.parquet", self.log.root / "meta" / "tasks.parquet")
        whole = {f: pooled([s[f] for s in stats]) for f in stats[0]}
        plain = {f: {n: np.asarray(v).tolist() for n, v in s.items()} for f, s in whole.items()}
        (meta / "stats.json").write_text(json.dumps(plain, indent=4) + "\n", encoding="utf-8")
        features = {f: v for f, v in self.log.info["features"].items() if f in INDEX or f in self.log.features}
        info = self.log.info | {"total_episodes": len(episodes), "total_frames": frames, "total_tasks": len(tasks),
                                "splits": {"train": f"0:{len(episodes)}"}, "features": features}  # fmt: skip
        (meta / "info.json").write_text(json.dumps(info, indent=4) + "\n", encoding="utf-8")

    def _numbers(self, row: dict[str, Any], k: int, first: int, task: int) -> dict[str, np.ndarray]:
        length, fps = int(row["episode"]["length"]), float(self.log.info["fps"])
        return {
            "timestamp": np.arange(length) / fps, "frame_index": np.arange(length),
            "episode_index": np.full(length, k), "index": first + np.arange(length),
            "task_index": np.full(length, task),
        }  # fmt: skip


class Table:
    """Columns to be written with the types of the source's schema."""

    def __init__(self, columns: dict[str, np.ndarray], schema: Any):
        self.columns, self.schema = columns, schema

    def write(self, path: Path) -> None:
        """Write a parquet file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path.parent.mkdir(parents=True, exist_ok=True)
        fields = [self.schema.field(n) for n in self.columns]
        arrays = [pa.array(list(v) if v.ndim == 1 else v.tolist(), type=f.type)
                  for f, v in zip(fields, self.columns.values(), strict=True)]  # fmt: skip
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=_kept(self.schema))), path)


def _kept(schema: Any) -> dict[bytes, bytes] | None:
    """Metadata of a table without the fingerprint, which is of the old rows."""
    told = dict(schema.metadata or {})
    if b"huggingface" in told:
        facts = json.loads(told[b"huggingface"])
        facts.pop("fingerprint", None)
        told[b"huggingface"] = json.dumps(facts).encode()
    return told or None


def number_rows(staged: Path, path: Path, numbers: dict[str, np.ndarray]) -> None:
    """A staged data file with its index columns, in its place."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = read_table(staged)
    for name, value in numbers.items():
        if name in table.column_names:
            i = table.column_names.index(name)
            table = table.set_column(
                i, table.schema.field(i), pa.array(value.tolist(), type=table.schema.field(i).type)
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    staged.unlink()


def write_tasks(tasks: dict[str, int], path: Path, source: Path) -> None:
    """The table of tasks, laid out as the source's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = (
        read_table(source).schema
        if source.is_file()
        else pa.schema([("task_index", pa.int64()), ("task", pa.string())])
    )
    text = next(n for n in schema.names if n != "task_index")
    columns = {"task_index": list(tasks.values()), text: list(tasks)}
    arrays = [pa.array(columns[n], type=schema.field(n).type) for n in schema.names]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)


def _levels(picture: Tensor) -> np.ndarray:
    return (picture if picture.dtype == torch.uint8 else (picture * 255).round().clamp(0, 255).to(torch.uint8)).numpy()
