"""Streams as the folder format and the sidecars hold them: ``stream.json``, ``arrays.npz`` and pictures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np

from calib.regular_files import is_there
from fusion_aug.check.counts.core import Counts
from fusion_aug.check.counts.files import MAX_BYTES, TAIL, LogFiles, is_whole, parsed
from fusion_aug.errors import DataError
from fusion_aug.safe.npz import checked_array, checked_members, checked_shape

SIDECAR = "fusion_aug"
HEADER, ARRAYS, PRESENT = "stream.json", "arrays.npz", "fields/present"
CLOUDS, BOXES = ("Points", "Lidar", "Radar"), ("Boxes2D", "Boxes3D")


class Piece(NamedTuple):
    """One file of a stored sample, which may lie within another.

    Attributes:
        path: of the file that it lies in. where: what it is, for messages. offset, size: of its bytes.
    """

    path: Path
    where: str
    offset: int
    size: int

    def read(self, files: LogFiles) -> bytes:
        """Its bytes.

        Raises:
            DataError: it is missing, cut off, or too large.
        """
        if self.size > MAX_BYTES:
            raise DataError(f"{self.where}: is larger than {MAX_BYTES >> 30} GiB")
        raw = self.part(files, 0, self.size)
        if len(raw) < self.size:
            raise DataError(f"{self.where}: is truncated: {len(raw)} of {self.size} bytes are there")
        return raw

    def part(self, files: LogFiles, start: int, length: int) -> bytes:
        """Some of its bytes."""
        with files.open(self.path) as file:
            file.seek(self.offset + start)
            return file.read(min(length, self.size - start))

    def is_whole_picture(self, files: LogFiles) -> bool:
        """Whether it begins and ends as a picture does."""
        return is_whole(self.part(files, 0, 8), self.part(files, max(0, self.size - TAIL), TAIL))


Pieces = Mapping[str, Piece]  # name of a file of a stream -> its bytes


def count_folder(files: LogFiles, folder: Path) -> Counts:
    """All streams below a folder; names in their headers are looked up among the files beside them."""
    streams: dict[str, dict[str, Piece]] = {}
    for path in files.matching("*/*", folder):
        if files.is_file(path):
            streams.setdefault(path.parent.name, {})[path.name] = Piece(path, str(path), 0, files.size(path))
    return count_streams(files, streams)


def count_streams(files: LogFiles, streams: Mapping[str, Pieces]) -> Counts:
    """Streams that have a header.

    Args:
        files: of the log. streams: name as files have it -> its files.
    """
    return {unquote(name): count_stream(files, p) for name, p in sorted(streams.items()) if HEADER in p}


def count_stream(files: LogFiles, pieces: Pieces) -> dict[str, int]:
    """One stream, by the shapes of its arrays.

    Raises:
        DataError: a file is missing or damaged.
    """
    header = parsed(pieces[HEADER].read(files), pieces[HEADER].where)
    kind, named = str(header.get("class")), [str(n) for n in header.get("pictures", ())]
    if ARRAYS not in pieces:
        raise DataError(f"{pieces[HEADER].where}: {ARRAYS} beside it is missing")
    sizes, present = arrays_of(pieces[ARRAYS].read(files), pieces[ARRAYS].where)
    items = int(present.sum())
    arrays = sum(name.startswith("items/") for name in sizes)
    if named or arrays:
        whole = [n in pieces and pieces[n].is_whole_picture(files) for n in named] or [True] * arrays
        return {"pictures": sum(w and bool(p) for w, p in zip(whole, present, strict=False))}
    rows = max((shape[0] for name, shape in sizes.items() if name.startswith("values/") and shape), default=0)
    if kind in CLOUDS:
        return {"sweeps": items, "points": rows}
    if kind in BOXES:
        return {"boxes": rows}
    return {"items": items, "rows": rows} if "fields/offsets" in sizes else {"items": items}


def arrays_of(raw: bytes, where: str) -> tuple[dict[str, tuple[int, ...]], np.ndarray]:
    """Name -> shape of the arrays of an npz file, and which items (n,) were received, of those that have a time.

    Raises:
        DataError: it is damaged, or holds far more than its size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = checked_members(archive, len(raw), where)
            sizes = {name: checked_shape(archive, info, where) for name, info in members.items()}
            if PRESENT in members:
                return sizes, checked_array(archive, members[PRESENT], where).astype(bool)
            return sizes, np.ones(sizes["fields/capture_times"][:1], dtype=bool)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise DataError(f"{where}: the arrays are damaged ({error})") from None


def renamed(root: Path) -> dict[str, str]:
    """Id in a log -> id in the manifest, of the samples that a run renamed."""
    files, path = LogFiles(root), root / SIDECAR / "ids.json"
    return {str(k): str(v) for k, v in files.json(path).items()} if is_there(path) else {}


def count_sidecar(root: Path, sample_id: str, options: Mapping[str, Any] | None = None) -> Counts:
    """Streams of a sample that the format of a log has no place for.

    Args:
        root: of the log. sample_id: as the manifest has it, where a run wrote the log.
        options: with which the log is read.
    """
    files = LogFiles(root, options)
    return count_folder(files, files.named(f"{SIDECAR}/samples/{sample_id}/streams", f"{root}: sample {sample_id!r}"))
