"""Writer of WebDataset shards."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from fusion_aug.logs.core.new_files import new_file, new_path
from fusion_aug.logs.packed.reader import INDEX, VERSION
from fusion_aug.logs.packed.writer import PackedWriter

BLOCK = 512  # of a tar file


class WebDatasetWriter(PackedWriter):
    """Writer of WebDataset shards, whose bytes depend on the samples alone: no dates, no owners."""

    name: ClassVar[str] = "webdataset"

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the shards in the order of the samples, and the index."""
        part = self.out / f"{INDEX}.part"
        with new_file(part) as file:
            file.write(json.dumps({"format": self.name, "version": VERSION}) + "\n")
            for shard, samples in self._shards(out for out, _ in ids):
                file.write(json.dumps({"pack": shard, "samples": [[i, self.scene(i)] for i in samples]}) + "\n")
        part.replace(self.out / INDEX)

    def _shards(self, ids: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
        """Write the shards; yields the name of each and its samples. A sample is never cut."""
        inside: list[str] = []
        filled, number = 0, 0
        for out_id in ids:
            size = sum(_blocks(path.stat().st_size) for _, path in self.files_of(out_id))
            if inside and filled + size > self.shard_bytes:
                yield self._shard(number, inside), inside
                inside, filled, number = [], 0, number + 1
            inside, filled = [*inside, out_id], filled + size
        if inside:
            yield self._shard(number, inside), inside

    def _shard(self, number: int, ids: list[str]) -> str:
        name = f"shard-{number:06d}.tar"
        part = self.out / f"{name}.part"
        with tarfile.open(new_path(part), "x", format=tarfile.GNU_FORMAT) as tar:
            for out_id in ids:
                for file, path in self.files_of(out_id):
                    info = tarfile.TarInfo(f"{key_of(out_id)}.{file}")  # nobody's, of the beginning of time
                    info.size = path.stat().st_size
                    with path.open("rb") as data:
                        tar.addfile(info, data)
        part.replace(self.out / name)
        return name


def key_of(out_id: str) -> str:
    """What WebDataset calls a sample: all of a file's name that comes before the first dot."""
    return quote(out_id, safe="/ ").replace(".", "%2E")


def _blocks(size: int) -> int:
    return BLOCK + -(-size // BLOCK) * BLOCK
