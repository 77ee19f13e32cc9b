"""Bags of ROS 1 that others made: rosbags reads them, and no number in them makes it reserve more than they hold."""

from __future__ import annotations

import bz2
import io
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from calib.regular_files import open_for_parts
from fusion_aug.errors import DataError
from fusion_aug.safe.chunks import MOST_BYTES, MOST_PACKED, SMALL_BYTES


class Bounded:
    """A stream whose reader never gets more memory than it has bytes left, whatever it asks for."""

    def __init__(self, stream: BinaryIO | io.BytesIO, size: int):
        self._stream, self._size = stream, size
        self.seek, self.tell, self.close = stream.seek, stream.tell, stream.close
        self.readline = partial(stream.readline, 64)

    def read(self, count: int) -> bytes:
        """At most so many bytes."""
        return self._stream.read(min(count, max(0, self._size - self._stream.tell())))


class BagPath:
    """What rosbags takes for a path; it opens regular files only, and of those in a store the parts that it reads."""

    def __init__(self, path: Path):
        self._path = path

    def exists(self) -> bool:
        """True: opening says why not."""
        return True

    def open(self, mode: str) -> Bounded:
        """The file; ``mode`` is "rb"."""
        return Bounded(open_for_parts(self._path), self._path.stat().st_size)

    def __str__(self) -> str:
        return self._path.name


def bag_reader(path: Path) -> Any:
    """A ``rosbags.rosbag1.Reader`` of a file, to be opened by ``with`` and then ``bound_chunks``."""
    from rosbags.rosbag1.reader import Reader

    return Reader(BagPath(path))  # type: ignore[arg-type]


def compression_of(chunk: Any) -> str:
    """How a chunk of a reader is compressed: "none", "bz2" or "lz4"."""
    from rosbags.rosbag1.reader import decompressors

    return next(name for name, function in decompressors.items() if function is chunk.decompressor)


def bound_chunks(reader: Any, path: Path) -> None:
    """Let an open reader unpack no chunk to more than ``unpacked`` allows."""
    for at, chunk in reader.chunks.items():
        where = f"{path}: chunk at byte {at}"
        own = partial(unpacked, compression=compression_of(chunk), where=where)
        reader.chunks[at] = chunk._replace(decompressor=own)


def unpacked(data: bytes, compression: str, where: str) -> bytes:
    """The bytes of a chunk.

    Args:
        data: as they lie in the file. compression: "none", "bz2" or "lz4". where: file and chunk, for messages.

    Raises:
        DataError: it is damaged, or larger than a chunk may be.
    """
    if compression == "none":
        return data
    most = min(MOST_BYTES, SMALL_BYTES + MOST_PACKED * len(data))
    try:
        done, out = (_from_bz2 if compression == "bz2" else _from_lz4)(data, most)
    except Exception as error:  # of the two libraries
        raise DataError(f"{where}: is damaged ({type(error).__name__}: {error})") from None
    if not done:
        raise DataError(f"{where}: is cut off, or holds more than {most:,} bytes in {len(data):,}")
    return out


def _from_bz2(data: bytes, most: int) -> tuple[bool, bytes]:
    plain = bz2.BZ2Decompressor()
    out = plain.decompress(data, max_length=most)
    return plain.eof, out


def _from_lz4(data: bytes, most: int) -> tuple[bool, bytes]:
    from lz4.frame import LZ4FrameDecompressor

    frame = LZ4FrameDecompressor()
    out: bytes = frame.decompress(data, max_length=most)
    return frame.eof, out
