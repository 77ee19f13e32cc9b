"""Messages of MCAP files by their chunks: one is in memory for a pass, a few for messages that are asked one by one."""

from __future__ import annotations

import math
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from calib.regular_files import open_for_parts
from fusion_aug.errors import DataError
from fusion_aug.safe.chunks import check_chunks

KEPT_BYTES, LEAST_KEPT = 2**23, 2  # of unpacked chunks in a process; so many whatever their size
RECORD, MESSAGE = struct.Struct("<BQ"), struct.Struct("<HIQQ")  # specification of MCAP: records, and messages
IS_MESSAGE = 0x05
Place = tuple[int, int]  # number of the channel, and log time (ns)


class ChunkMessage(NamedTuple):
    """A message in a chunk, with the attributes of ``mcap.records.Message`` that are read of it.

    Attributes:
        channel_id: number of its channel. sequence: that its publisher gave it. log_time, publish_time: ns.
        data: its bytes in the unpacked chunk, all of which they keep in memory. place: of the first of them there.
    """

    channel_id: int
    sequence: int
    log_time: int
    publish_time: int
    data: bytes | memoryview
    place: int

    def apart(self) -> ChunkMessage:
        """The message with a copy of its bytes, which keeps no chunk in memory."""
        return self._replace(data=bytes(self.data))


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


def read_message(path: Path, topic: str, time: int, nth: int) -> tuple[int, bytes | memoryview] | None:
    """Publish time (ns) and data of a message, see ``ChunkMessage``; None where the file has no such one in a chunk.

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
        found = sorted((m for n in numbers for m in held.get((n, time), ())), key=lambda m: m.place)
        if nth < len(found):
            return found[nth].publish_time, found[nth].data
        nth -= len(found)
    return None


def summary_of(path: Path) -> Any:
    """Summary of a file, or None where it has none.

    Raises:
        DataError: the file is damaged. OSError: it cannot be read.
    """
    return _index(path, path.stat().st_mtime_ns).summary


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


class _Chunk(NamedTuple):
    """An unpacked chunk: its messages as they lie, and its size in bytes."""

    messages: dict[Place, list[ChunkMessage]]
    size: int


_kept: OrderedDict[tuple[Path, int, int], _Chunk] = OrderedDict()  # the last one that was used comes last


def _messages(path: Path, changed: int, start: int) -> dict[Place, list[ChunkMessage]]:
    """All messages of the chunk at a byte of the file."""
    key = (path, changed, start)
    chunk = _kept.pop(key, None) or _read_chunk(path, start)
    _kept[key] = chunk
    while len(_kept) > LEAST_KEPT and sum(c.size for c in tuple(_kept.values())) > KEPT_BYTES:
        with suppress(KeyError):  # another thread was faster
            _kept.popitem(last=False)
    return chunk.messages


def _read_chunk(path: Path, start: int) -> _Chunk:
    found: dict[Place, list[ChunkMessage]] = {}
    try:
        with open_for_parts(path) as stream:
            data = _unpacked(path, stream, start)
        for m in _messages_in(data):
            found.setdefault((m.channel_id, m.log_time), []).append(m)
    except (OSError, DataError):
        raise
    except Exception as error:  # the reader's many
        raise DataError(f"{path}: chunk at byte {start}: is damaged ({type(error).__name__}: {error})") from None
    return _Chunk(found, len(data))


def messages_of(
    path: Path, stream: BinaryIO, indexes: Iterable[Any], wanted: Mapping[int, bool], in_file_order: bool
) -> Iterator[ChunkMessage]:
    """Messages of some chunks as they lie in the file, or by log time, those of one time as they lie.

    The reader of mcap would hold all of them to give them as they lie, and copies them more often.

    Args:
        path: for messages. stream: the file. indexes: of the chunks. wanted: number of a channel -> whether its
            messages are. in_file_order: whether they come as they lie.

    Raises:
        DataError: a chunk declares a size that it cannot have. Whatever else a damaged one makes a library raise.
    """
    if in_file_order:
        for start in sorted(index.chunk_start_offset for index in indexes):
            yield from _messages_in(_unpacked(path, stream, start), wanted)
        return
    waiting: list[tuple[int, int, int, ChunkMessage]] = []
    starts = sorted((index.message_start_time, index.chunk_start_offset) for index in indexes)
    for (_, start), following in zip_longest(starts, starts[1:], fillvalue=(math.inf, 0)):
        for m in _messages_in(_unpacked(path, stream, start), wanted):  # few wait until another chunk is read
            heappush(waiting, (m.log_time, start, m.place, m if (m.log_time, start) < following else m.apart()))
        while waiting and waiting[0][:2] < following:
            yield heappop(waiting)[3]


def _unpacked(path: Path, stream: BinaryIO, start: int) -> bytes:
    """What the chunk at a byte of the file holds."""
    from mcap.data_stream import ReadDataStream
    from mcap.records import Chunk
    from mcap.stream_reader import get_chunk_data_stream

    check_chunks(path, stream, [SimpleNamespace(chunk_start_offset=start)])
    stream.seek(start + RECORD.size)
    unpacked, size = get_chunk_data_stream(Chunk.read(ReadDataStream(stream)))
    return bytes(unpacked.read(size))


def _messages_in(data: bytes, wanted: Mapping[int, bool] | None = None) -> Iterator[ChunkMessage]:
    """The messages of an unpacked chunk, of some channels or of all.

    Raises:
        KeyError: a message is of a channel that ``wanted`` does not know. ValueError: it has no end.
    """
    at, view = 0, memoryview(data)
    while at < len(data):
        kind, size = RECORD.unpack_from(data, at)
        at += RECORD.size
        if size > len(data) - at:
            raise ValueError(f"a record of {size} bytes where {len(data) - at} are left")
        if kind == IS_MESSAGE:
            channel, sequence, log_time, publish_time = MESSAGE.unpack_from(data, at)
            if wanted is None or wanted[channel]:
                own = view[at + MESSAGE.size : at + size]
                yield ChunkMessage(channel, sequence, log_time, publish_time, own, at)
        at += size
