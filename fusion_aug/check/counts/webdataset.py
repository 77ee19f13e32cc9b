"""WebDataset shards: tar files, in which the name of a sample ends at the first dot."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fusion_aug.check.counts.core import Counted, Counts, counter
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.stored import Piece, count_streams
from fusion_aug.errors import DataError


@counter("webdataset")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Every stream by the shapes of its arrays and the number of its pictures; nothing is unpacked."""
    files = LogFiles(root, options)
    found: dict[str, dict[str, Piece]] = {}
    for path in files.matching("shard-*.tar"):
        for name, piece in members(files, path).items():
            folder, mark, base = name.rpartition("/")
            key, _, rest = base.partition(".")
            found.setdefault(unquote(folder + mark + key), {})[rest] = piece
    return {sample: partial(count_sample, files, pieces) for sample, pieces in found.items()}


def members(files: LogFiles, path: Path) -> dict[str, Piece]:
    """Name -> bytes of every file of a shard, which is not packed.

    Raises:
        DataError: the shard is damaged, or holds something else than files, or two of one name.
    """
    found: dict[str, Piece] = {}
    try:
        with files.open(path) as file, tarfile.open(fileobj=file, mode="r:") as shard:
            for info in shard:
                if not info.isreg() or info.issparse() or info.name in found:
                    raise DataError(f"{path}: {info.name}: is no plain file, or there twice")
                found[info.name] = Piece(path, f"{path}: {info.name}", info.offset_data, info.size)
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: the shard is damaged ({error})") from None
    return found


def count_sample(files: LogFiles, pieces: Mapping[str, Piece]) -> Counts:
    """One sample; the name of a file of a stream is that of the stream, a dot, and its own."""
    streams: dict[str, dict[str, Piece]] = {}
    for packed, piece in pieces.items():
        stream, _, file = packed.partition(".")
        if "." in file:  # all but sample.json
            streams.setdefault(stream.replace("%2E", "."), {})[file] = piece
    return count_streams(files, streams)
