"""robomimic HDF5 datasets: writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.logs.core.hdf5_writing import Hdf5Writer, copy_with, numbered_names
from fusion_aug.logs.core.new_hdf5 import new_hdf5
from fusion_aug.logs.core.sidecar import write_ids
from fusion_aug.logs.core.writer import PARTS_FOLDER
from fusion_aug.logs.robomimic.reader import listed
from fusion_aug.safe.hdf5 import get_member, open_hdf5
from fusion_aug.sample import Sample


class RobomimicWriter(Hdf5Writer):
    """Writes one HDF5 file with all demonstrations, at the rate ``log.rate``.

    Copies are demonstrations of their own, numbered after the last one, as robomimic expects.
    """

    group = "data/demo/"

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
            copy_with(before, demo, self.changed_rows(sample, source, before), self._is_left_out, self.log.path)
            if demo.attrs.get("num_samples") != count:
                demo.attrs["num_samples"] = count
        self.sidecar(sample, source, out_id, folder)
        return {"part": f"{PARTS_FOLDER}/{out_id}.hdf5", "id": out_id, "count": count}

    def _is_left_out(self, name: str) -> bool:
        """Whether a dataset or group is neither read nor copied unread."""
        return name not in ("obs", *self.log.datasets) and name.partition("/")[0] not in self.log.unread

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Join the demonstrations in one file."""
        part = self.part("joined.hdf5")
        total = 0
        with new_hdf5(part) as file, open_hdf5(self.log.path) as original:
            file.attrs.update(dict(original.attrs))
            group = file.create_group("data")
            group.attrs.update(dict(original["data"].attrs))
            names = numbered_names([out for out, _ in ids], "demo")
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
            members = set(listed(kept))
            chosen = [out.encode() for out, source in ids if source in members]
            width = max(1, kept.dtype.itemsize, *map(len, chosen))  # names of copies may be longer
            after.create_dataset(name, data=np.array(chosen, dtype=f"S{width}"))
