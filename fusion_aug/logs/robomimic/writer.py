"""robomimic HDF5 datasets: writer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.episode_writing import EpisodeWriter
from fusion_aug.logs.core.sidecar import write_ids
from fusion_aug.logs.core.writer import PARTS_FOLDER, Problem
from fusion_aug.logs.robomimic.new_file import new_hdf5
from fusion_aug.safe.hdf5 import get_member, open_hdf5, packing_of, read_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, JointState, Signal, Stream


class RobomimicWriter(EpisodeWriter):
    """Writes one HDF5 file with all demonstrations, at the rate ``log.rate``.

    Copies are demonstrations of their own, numbered after the last one, as robomimic expects.
    """

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """Return what the file cannot hold: besides the effects, every group that is copied unread."""
        found = super().can_express(transform, sample)
        if self.log.unread_groups and any(t.p > 0 for t in leaves(transform)):
            why = "it is copied as it is, and would no longer belong to the observations"
            found += [
                Problem("group", f"data/demo/{n}", why, f"leave it out (log.exclude=[{n}])")
                for n in self.log.unread_groups
            ]
        return found

    @property
    def rate(self) -> float:
        """Frames per second, ``log.rate``."""
        rate: float = self.log.rate
        return rate

    @property
    def streams_by_feature(self) -> Mapping[str, str]:
        """HDF5 dataset -> name of its stream; ``joint_vel`` of a robot is in the stream of its ``joint_pos``."""
        names: Mapping[str, str] = self.log.datasets
        return {d: n.replace("joint_vel", "joint_pos") if d.startswith("obs/robot") else n for d, n in names.items()}

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one demonstration to an HDF5 part of its own, unread groups copied as they are, and its sidecar.

        Returns:
            path of its ``part``, ``id``, and ``count`` of frames.
        """
        path = folder / PARTS_FOLDER / f"{out_id}.hdf5"
        count, sample = len(self.frame_times(sample, source)), self.as_read_back(sample, source)
        with new_hdf5(path) as file, open_hdf5(self.log.path) as original:
            before = get_member(original, f"data/{source.id}", self.log.path)
            demo = file.create_group(out_id)
            demo.attrs.update(dict(before.attrs))
            demo.attrs["num_samples"] = count
            for group in (g for g in self.log.unread_groups if g in before):
                original.copy(before[group], demo, group)
            for name, stream in self.streams_by_feature.items():
                kept = get_member(before, name, self.log.path)
                rows = (
                    read_rows(kept, slice(None), self.log.path)
                    if sample[stream] is source[stream]
                    else self._rows(name, sample[stream], kept)
                )
                chunks = (1, *rows.shape[1:]) if rows.ndim == 4 else None
                demo.create_dataset(name, data=rows, chunks=chunks, **packing_of(kept))
        self.sidecar(sample, source, out_id, folder)
        return {"part": f"{PARTS_FOLDER}/{out_id}.hdf5", "id": out_id, "count": count}

    def _rows(self, name: str, stream: Stream, before: Any) -> np.ndarray:
        if isinstance(stream, ImageStream):
            return np.stack([_stored(stream.image(i), before.dtype, before.ndim) for i in range(len(stream))])
        if isinstance(stream, JointState) and "joint_" in name:
            column = stream["velocity" if name.endswith("joint_vel") else "position"]
        elif isinstance(stream, Signal):
            column = stream["event" if "event" in stream.values else "value"]
        else:
            return self.log.feature_array(stream, name, [], before.shape[1:]).astype(before.dtype)
        return column.numpy().astype(before.dtype)

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Join the demonstrations in one file."""
        part = self.part("joined.hdf5")
        total = 0
        with new_hdf5(part) as file, open_hdf5(self.log.path) as original:
            file.attrs.update(dict(original.attrs))
            group = file.create_group("data")
            group.attrs.update(dict(original["data"].attrs))
            names = demo_names([out for out, _ in ids])
            for row in rows:
                with open_hdf5(self.part(row["part"])) as staged:
                    staged.copy(row["id"], group, names[row["id"]])
                total += int(row["count"])
            group.attrs["total"] = total
            if "mask" in original:
                self._masks(
                    get_member(original, "mask", self.log.path),
                    file.create_group("mask"),
                    [(names[o], s) for o, s in ids],
                )
        write_ids(self.out, {new: old for old, new in names.items()})
        part.replace(self.out / self.log.path.name)

    def _masks(self, before: Any, after: Any, ids: Sequence[tuple[str, str]]) -> None:
        """Write the lists of demonstrations; a copy is in the lists of its source."""
        for name in before:
            kept = get_member(before, name, self.log.path)
            members = {m.decode() if isinstance(m, bytes) else str(m) for m in kept[:]}
            chosen = [out.encode() for out, source in ids if source in members]
            width = max(1, kept.dtype.itemsize, *map(len, chosen))  # names of copies may be longer
            after.create_dataset(name, data=np.array(chosen, dtype=f"S{width}"))


def demo_names(ids: Sequence[str]) -> dict[str, str]:
    """Return id of an output -> name of its demonstration: demo_3 stays, a copy becomes demo_N, N the next free."""
    known = {i: i for i in ids if re.fullmatch(r"demo_\d+", i)}
    free = max((int(i[5:]) for i in known), default=-1) + 1
    others = [i for i in ids if i not in known]
    return known | {i: f"demo_{free + k}" for k, i in enumerate(others)}


def _stored(picture: Tensor, dtype: np.dtype, ndim: int) -> np.ndarray:
    if picture.dtype.is_floating_point and dtype == np.uint8:
        picture = (picture * 255).round().clamp(0, 255)
    out = picture.numpy().astype(dtype)
    return out[..., None] if out.ndim == 2 and ndim == 4 else out
