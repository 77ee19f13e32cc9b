"""Sizes of the chunks of an MCAP file, before one of them is unpacked."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from fusion_aug.errors import DataError

# a chunk may have this, whatever its packed size, so much for each byte of that, and this at most
SMALL_BYTES, MOST_PACKED, MOST_BYTES = 2**26, 256, 2**30
LZ4_MOST = 255  # bytes that one byte can stand for
LZ4_BLOCKS = {4: 2**16, 5: 2**18, 6: 2**20, 7: 2**22}  # number in the head of a frame -> bytes of a block
HEAD = struct.Struct("<QQQII")  # first and last time, unpacked size, checksum, length of the compression's name
RECORD_HEAD, NAME_BYTES, FRAME_HEAD = 9, 64, 18


def chunks_to_read(summary: Any, topics: Collection[str] | None, start: int | None, end: int | None) -> list[Any]:
    """Indexes of the chunks that the reader of mcap reads for messages of some topics in [start, end).

    Args:
        summary: of the file. topics: None for all. start, end: log times (ns), None for the file's.
    """
    found = []
    for index in summary.chunk_indexes if summary is not None else ():
        apart = (start is not None and index.message_end_time < start) or (
            end is not None and index.message_start_time >= end
        )
        held = {summary.channels[c].topic for c in index.message_index_offsets}
        if not apart and (topics is None or not held or not held.isdisjoint(topics)):
            found.append(index)
    return found


def check_chunks(path: Path, stream: BinaryIO, indexes: Iterable[Any]) -> None:
    """Raise unless every chunk declares a size that it can have.

    Args:
        path: for messages. stream: the file. indexes: of its chunks, from its summary.

    Raises:
        DataError: one does not.
    """
    size = stream.seek(0, os.SEEK_END)
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
        elif name == b"lz4":
            stream.seek(index.chunk_start_offset + RECORD_HEAD + HEAD.size + len(name) + 8)
            unpacked = max(unpacked, _most_of_lz4(stream, packed))
        if packed > size or unpacked > min(MOST_BYTES, SMALL_BYTES + MOST_PACKED * packed):
            where = f"{path}: chunk at byte {index.chunk_start_offset}"
            raise DataError(f"{where}: declares {unpacked:,} bytes in {packed:,}, more than a chunk may have")


def _most_of_lz4(stream: BinaryIO, packed: int) -> int:
    """The most bytes that a frame of LZ4 unpacks to, by the heads of its blocks; -1 if it is damaged."""
    head = stream.read(15)
    if len(head) < 15 or head[:4] != b"\x04\x22\x4d\x18":
        return -1
    flags, most = head[4], LZ4_BLOCKS.get(head[5] >> 4 & 7, 0)
    sized, has_name, checked = flags >> 3 & 1, flags & 1, flags >> 4 & 1
    at = 7 + 8 * sized + 4 * has_name
    told = struct.unpack_from("<Q", head, 6)[0] if sized else 0
    total, start = 0, stream.tell() - len(head)
    while at + 4 <= packed:
        stream.seek(start + at)
        (length,) = struct.unpack("<I", stream.read(4))
        if length == 0:
            break
        stored = length >> 31
        length &= 2**31 - 1
        total += length if stored else min(most, LZ4_MOST * length)
        at += 4 + length + 4 * checked
    return max(told, total)
