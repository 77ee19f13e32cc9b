"""Single messages of MCAP files: the chunk that one lies in is unpacked once for all that are asked of it in turn."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from calib.regular_files import open_for_parts
from fusion_aug.errors import DataError
from fusion_aug.safe.chunks import check_chunks

CHUNKS_KEPT = 2  # of a process, unpacked
RECORD, MESSAGE = struct.Struct("<BQ"), struct.Struct("<HIQQ")  # specification of MCAP: records, and messages
IS_MESSAGE = 0x05
Place = tuple[int, int]  # number of the channel, and log time (ns)


@dataclass(frozen=True)
class Index:
    """Where messages lie in a file, by its summary.

    Attributes:
        summary: of the file, or None. start, end: (C,) first and last log times of its chunks (ns).
    """

    summary: Any
    start: np.ndarray
    end: np.ndarray

    def chunks(self, topic: str, time: int) -> list[Any]:
        """Chunks that may hold messages of a topic and log time (ns), in the order of the file."""
        found = [self.summary.chunk_indexes[i] for i in np.flatnonzero((self.start <= time) & (self.end >= time))]
        return sorted((c for c in found if self._may_hold(c, topic)), key=lambda c: c.chunk_start_offset)

    def _may_hold(self, chunk: Any, topic: str) -> bool:
        numbers = chunk.message_index_offsets
        return not numbers or any(self.summary.channels[n].topic == topic for n in numbers)


def read_message(path: Path, topic: str, time: int, nth: int) -> bytes | None:
    """Data of a message; None where the file has no such one in a chunk.

    Args:
        path: of the file. topic, time: of the message, log time (ns). nth: of those of one topic and time.

    Raises:
        DataError: the file is damaged. OSError: it cannot be read.
    """
    changed = path.stat().st_mtime_ns
    index = _index(path, changed)
    for chunk in index.chunks(topic, time) if index.summary is not None else ():
        held = _messages(path, changed, chunk.chunk_start_offset)
        numbers = [n for n, channel in index.summary.channels.items() if channel.topic == topic]
        found = sorted(message for n in numbers for message in held.get((n, time), ()))
        if nth < len(found):
            return found[nth][1]
        nth -= len(found)
    return None


@lru_cache(maxsize=2)
def _index(path: Path, changed: int) -> Index:
    from mcap.reader import make_reader

    try:
        with open_for_parts(path) as stream:
            summary = make_reader(stream).get_summary()
    except OSError:
        raise
    except Exception as error:  # the reader's many
        raise DataError(f"{path}: is damaged ({type(error).__name__}: {error})") from None
    chunks = summary.chunk_indexes if summary is not None else []
    times = np.array([(c.message_start_time, c.message_end_time) for c in chunks], np.uint64).reshape(-1, 2)
    return Index(summary, times[:, 0], times[:, 1])


@lru_cache(maxsize=CHUNKS_KEPT)
def _messages(path: Path, changed: int, start: int) -> dict[Place, list[tuple[int, bytes]]]:
    """All messages of the chunk at a byte of the file: where they lie in it, and their data."""
    from mcap.data_stream import ReadDataStream
    from mcap.records import Chunk
    from mcap.stream_reader import get_chunk_data_stream

    found: dict[Place, list[tuple[int, bytes]]] = {}
    try:
        with open_for_parts(path) as stream:
            check_chunks(path, stream, [SimpleNamespace(chunk_start_offset=start)])
            stream.seek(start + RECORD.size)
            unpacked, size = get_chunk_data_stream(Chunk.read(ReadDataStream(stream)))
            data = unpacked.read(size)
        at = 0
        while at < len(data):
            kind, size = RECORD.unpack_from(data, at)
            at += RECORD.size
            if size > len(data) - at:
                raise ValueError(f"a record of {size} bytes where {len(data) - at} are left")
            if kind == IS_MESSAGE:
                channel, _, time, _ = MESSAGE.unpack_from(data, at)
                found.setdefault((channel, time), []).append((at, data[at + MESSAGE.size : at + size]))
            at += size
    except (OSError, DataError):
        raise
    except Exception as error:  # the reader's many
        raise DataError(f"{path}: chunk at byte {start}: is damaged ({type(error).__name__}: {error})") from None
    return found
