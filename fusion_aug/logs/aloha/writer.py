"""ALOHA HDF5 episodes: writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from fusion_aug.logs.aloha.contents import LENGTHS
from fusion_aug.logs.aloha.reader import END, IMAGES, PaddedSource, members
from fusion_aug.logs.core.arrays import PICTURE_AXES
from fusion_aug.logs.core.files import JPEG_QUALITY, copy_file, inside
from fusion_aug.logs.core.hdf5_writing import Hdf5Writer, copy_with, numbered_names
from fusion_aug.logs.core.new_hdf5 import new_hdf5
from fusion_aug.logs.core.sidecar import write_ids
from fusion_aug.logs.core.writer import PARTS_FOLDER
from fusion_aug.ops.color import levels_of
from fusion_aug.safe.hdf5 import get_member, open_hdf5, read_rows
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream
from fusion_aug.streams.source import Source


class AlohaWriter(Hdf5Writer):
    """Writes a file for every episode, at the rate ``log.rate``; that of an untouched one is copied.

    Copies get the next free numbers, since loaders count the episodes. Changed JPEGs are encoded again.
    """

    group = ""

    @property
    def streams_by_feature(self) -> Mapping[str, str]:
        """Dataset -> name of its stream."""
        names: Mapping[str, str] = self.log.datasets
        return names

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one episode as a part, since its number is known at the end, and its sidecar.

        Returns:
            path of its ``part``, and ``id``.
        """
        name, path = f"{PARTS_FOLDER}/{out_id}.hdf5", self.log.path_of(source.id)
        target, sample = inside(folder, name, "sample id"), self.as_read_back(sample, source)
        with open_hdf5(path) as original:
            changed = self.changed_rows(sample, source, original)
            left_out = {n for n, _ in members(original)} - {*self.log.datasets, *self.log.unread, LENGTHS}
            if LENGTHS in original and any(n.startswith(IMAGES) for n in (*changed, *left_out)):
                changed[LENGTHS] = self._lengths(original, changed, path)
            if changed or left_out:
                with new_hdf5(target) as file:
                    copy_with(original, file, changed, left_out.__contains__, path)
            else:
                copy_file(Source(path, "hdf5"), target, self.link)
        self.sidecar(sample, source, out_id, folder)
        return {"part": name, "id": out_id}

    def rows(self, name: str, sample: Sample, stream_name: str, before: Any) -> np.ndarray:
        """Rows of a dataset; of compressed pictures bytes, padded with zeros to the width that they had, or more."""
        stream = sample.streams.get(stream_name)
        if not isinstance(stream, ImageStream) or before.ndim == PICTURE_AXES:
            return super().rows(name, sample, stream_name, before)
        coded = [
            item.bytes() if isinstance(item, PaddedSource) else encoded(stream.image(k), self.log.swapped)
            for k, item in enumerate(stream.sources)
        ]
        width = max(before.shape[1], *map(len, coded))
        return np.stack([np.frombuffer(c.ljust(width, b"\0"), np.uint8) for c in coded])

    def _lengths(self, original: Any, changed: Mapping[str, np.ndarray], path: Path) -> np.ndarray:
        """Bytes of every compressed picture (cameras, frames), cameras in the order of the file, as loaders have it."""
        cameras = [n for n in self.log.datasets if n.startswith(IMAGES)]
        held = (
            changed[n] if n in changed else read_rows(get_member(original, n, path), slice(None), path) for n in cameras
        )
        rows = [[row.tobytes().rfind(END) + len(END) for row in data] for data in held if data.ndim < PICTURE_AXES]
        return np.array(rows, dtype=get_member(original, LENGTHS, path).dtype)

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Give the episodes their numbers."""
        names = numbered_names([out for out, _ in ids], "episode")
        for row in rows:
            target = self.target(f"{names[row['id']]}.hdf5", rows, "id")
            copy_file(Source(self.part(row["part"]), "hdf5"), target, "hard")
        write_ids(self.out, {new: old for old, new in names.items()})


def encoded(picture: Tensor, swapped: bool) -> bytes:
    """A picture (H, W, 3) as JPEG, with red and blue exchanged where the log has them so."""
    levels = levels_of(picture).numpy()
    bgr = levels if swapped else cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
    raw: bytes = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
    return raw
