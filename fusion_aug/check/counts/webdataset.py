"""WebDataset shards: tar files, in which the name of a sample ends at the first dot."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fusion_aug.check.counts.core import Counted, Counts, counter
from fusion_aug.check.counts.stored import count_streams
from fusion_aug.errors import DataError


@counter("webdataset")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Every stream by the shapes of its arrays and the number of its pictures."""
    files: dict[str, dict[str, tuple[Path, int, int]]] = {}
    for path in sorted(root.glob("shard-*.tar")):
        try:
            with tarfile.open(path) as shard:
                for info in shard:
                    folder, mark, base = info.name.rpartition("/")
                    key, _, name = base.partition(".")
                    files.setdefault(unquote(folder + mark + key), {})[name] = path, info.offset_data, info.size
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{path}: the shard is damaged ({error})") from None
    return {sample: partial(_count, found) for sample, found in files.items()}


def _count(files: Mapping[str, tuple[Path, int, int]]) -> Counts:
    with tempfile.TemporaryDirectory() as name:
        for packed, (path, offset, size) in files.items():
            stream, _, file = packed.partition(".")
            if "." not in file:
                continue  # sample.json
            target = Path(name, stream.replace("%2E", "."), Path(file).name)
            target.parent.mkdir(exist_ok=True)
            with path.open("rb") as shard:
                shard.seek(offset)
                target.write_bytes(shard.read(size))
        return count_streams(Path(name))
