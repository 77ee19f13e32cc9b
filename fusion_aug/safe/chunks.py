"""Sizes of the chunks of an MCAP file, before one of them is unpacked."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from fusion_aug.errors import DataError

# a chunk may have this, whatever its packed size, so much for each byte of that, and this at most
SMALL_BYTES, MOST_PACKED, MOST_BYTES = 2**26, 256, 2**30
HEAD = struct.Struct("<QQQII")  # first and last time, unpacked size, checksum, length of the compression's name
RECORD_HEAD, NAME_BYTES, FRAME_HEAD = 9, 64, 18


def check_chunks(path: Path, stream: BinaryIO, indexes: Iterable[Any]) -> None:
    """Raise unless every chunk declares a size that it can have.

    Args:
        path: for messages. stream: the file. indexes: of its chunks, from its summary.

    Raises:
        DataError: one does not.
    """
    size = os.fstat(stream.fileno()).st_size
    for index in indexes:
        stream.seek(index.chunk_start_offset + RECORD_HEAD)
        head = stream.read(HEAD.size + NAME_BYTES + 8 + FRAME_HEAD)
        _, _, unpacked, _, length = HEAD.unpack_from(head)
        name = head[HEAD.size : HEAD.size + min(length, NAME_BYTES)]
        (packed,) = struct.unpack_from("<Q", head, HEAD.size + len(name))
        if name == b"zstd":
            import zstandard

            frame = head[HEAD.size + len(name) + 8 :][:FRAME_HEAD]
            unpacked = max(unpacked, zstandard.frame_content_size(frame))
        if packed > size or unpacked > min(MOST_BYTES, SMALL_BYTES + MOST_PACKED * packed):
            where = f"{path}: chunk at byte {index.chunk_start_offset}"
            raise DataError(f"{where}: declares {unpacked:,} bytes in {packed:,}, more than a chunk may have")
