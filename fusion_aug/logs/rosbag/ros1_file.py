"""Recordings of ROS 1 (``.bag``, format 2.0), by the index that rosbags reads."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from calib.regular_files import open_for_parts
from fusion_aug.errors import USER_ERRORS, DataError, MissingPackage
from fusion_aug.logs.mcap.definitions import NEED, RENAMED, ROS1
from fusion_aug.logs.mcap.recording import Channel, Extras, Recording, StoredMessage
from fusion_aug.safe.ros1_bags import Bounded, bag_reader, compression_of, unpacked

CHUNKS_KEPT = 3  # unpacked, of those that were read last: the messages of neighbours are not quite in order
MD5, CALLER, LATCHING = "md5sum", "callerid", "latching"  # of the header of a connection


class Entry(NamedTuple):
    """Where a message lies: its log time (ns), the place of its chunk in the file, its own in that, its connection."""

    time: int
    chunk: int
    offset: int
    channel: int


class Packed(NamedTuple):
    """Where the bytes of a chunk lie in the file, and how they are compressed: "none", "bz2" or "lz4"."""

    start: int
    size: int
    compression: str


class Index(NamedTuple):
    """The index of a file: its connections, messages by log time, and chunks by their place."""

    channels: list[Channel]
    entries: list[Entry]
    chunks: dict[int, Packed]


class Ros1File(Recording):
    """A bag of ROS 1."""

    ending = ".bag"
    in_chunks = True

    def index(self) -> Index:
        """The index; read once per file."""
        return _index(self.path, self.path.stat().st_mtime_ns)

    def read_summary(self) -> tuple[list[Channel], int, int]:
        """The connections, first and last log time (ns). ``summary`` caches it.

        Raises:
            DataError: the file is no bag of format 2.0, or has no index.
        """
        try:
            found = self.index()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        times = [e.time for e in found.entries[:1] + found.entries[-1:]] or [0]
        return found.channels, times[0], times[-1]

    def extras(self) -> Extras:
        """How the chunks are compressed."""
        return Extras(compression=next((c.compression for c in self.index().chunks.values()), "none"))

    def messages(
        self, start: int | None = None, end: int | None = None, topics: Any = None, *, in_file_order: bool = False
    ) -> Iterator[StoredMessage]:
        """Messages of log time in [start, end), in the order of their log time, or as they lie in the file.

        Raises:
            DataError: the file is damaged. OSError: it cannot be read.
        """
        found = self.index()
        channels = {c.number: c for c in found.channels if topics is None or c.topic in topics}
        texts = {n: c.text for n, c in channels.items()}
        wanted = (
            e for e in found.entries
            if e.channel in channels and (start is None or e.time >= start) and (end is None or e.time < end)
        )  # fmt: skip
        numbers: dict[str, int] = {}
        for entry in sorted(wanted, key=_place) if in_file_order else wanted:
            channel, time = channels[entry.channel], entry.time
            k = numbers[channel.topic] = numbers.get(channel.topic, -1) + 1
            data = self._data(entry)
            yield StoredMessage(channel.number, channel.topic, channel.kind, texts[channel.number], time, time, k, data)

    def message(self, topic: str, time: int, nth: int) -> bytes:
        """Data of one message, see ``Recording.message``."""
        found = _places(self.path, self.path.stat().st_mtime_ns).get((topic, time), [])
        if nth >= len(found):
            raise DataError(f"{self.path}: topic {topic}: the message at {time} ns is gone")
        return self._data(found[nth])

    def _data(self, entry: Entry) -> bytes:
        chunk = _chunk(self.path, self.path.stat().st_mtime_ns, entry.chunk)
        try:
            return _record(chunk, entry)
        except Exception as error:  # the reader's many
            where = f"{self.path}: chunk at byte {entry.chunk}"
            raise DataError(f"{where}: is damaged ({type(error).__name__}: {error})") from None


def _place(entry: Entry) -> tuple[int, int]:
    return entry.chunk, entry.offset


def _record(chunk: bytes, entry: Entry) -> bytes:
    """Data of the message at a place in an unpacked chunk; connections may lie before it."""
    from rosbags.rosbag1.reader import Header, ReaderError, RecordType, read_bytes, read_uint32

    stream = Bounded(io.BytesIO(chunk), len(chunk))
    stream.seek(entry.offset)
    while (header := Header.read(stream)).get_uint8("op") == RecordType.CONNECTION:  # type: ignore[arg-type]
        stream.seek(read_uint32(stream), 1)  # type: ignore[arg-type]
    told = header.get_uint8("op"), header.get_uint32("conn"), header.get_time("time")
    if told != (RecordType.MSGDATA, entry.channel, entry.time):
        raise ReaderError(f"byte {entry.offset} holds another message than the index says")
    return bytes(read_bytes(stream, read_uint32(stream)))  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def _index(path: Path, changed: int) -> Index:
    """Read the index.

    Raises:
        DataError: there is none, or it is damaged. OSError: the file cannot be read.
    """
    try:
        reader = bag_reader(path)
    except ImportError:
        raise MissingPackage(NEED) from None
    try:
        with reader:
            counts = {c.id: sum(info.connection_counts.get(c.id, 0) for info in reader.chunk_infos)
                      for c in reader.connections}  # fmt: skip
            channels = [_channel(c) for c in reader.connections]
            entries = sorted(
                Entry(e.time, e.chunk_pos, e.offset, c) for c, found in reader.indexes.items() for e in found
            )
            chunks = {at: Packed(c.datapos, c.datasize, compression_of(c)) for at, c in reader.chunks.items()}
    except (OSError, *USER_ERRORS):
        raise
    except Exception as error:  # the reader's many
        raise DataError(
            f"{path}: is not a readable bag of ROS 1 ({error}); repair it with: rosbag reindex {path.name}"
        ) from None
    for channel in channels:
        if channel.count != counts[channel.number]:
            raise DataError(
                f"{path}: topic {channel.topic}: {channel.count} of {counts[channel.number]} messages are in the "
                f"index; repair it with: rosbag reindex {path.name}"
            )
    return Index(channels, entries, chunks)


def _channel(connection: Any) -> Channel:
    from rosbags.typesys.msg import denormalize_msgtype

    told = {MD5: connection.digest, CALLER: connection.ext.callerid, LATCHING: connection.ext.latching}
    return Channel(
        connection.id, connection.topic, RENAMED.get(connection.msgtype, connection.msgtype), ROS1, "ros1msg",
        connection.msgdef.data.encode(), {n: str(v) for n, v in told.items() if v is not None}, connection.msgcount,
        denormalize_msgtype(connection.msgtype),
    )  # fmt: skip


@lru_cache(maxsize=2)
def _places(path: Path, changed: int) -> dict[tuple[str, int], list[Entry]]:
    """Topic and log time -> the messages of that, as they lie in the file."""
    found = Ros1File(path).index()
    topics = {c.number: c.topic for c in found.channels}
    out: dict[tuple[str, int], list[Entry]] = {}
    for entry in found.entries:
        out.setdefault((topics[entry.channel], entry.time), []).append(entry)
    return out


@lru_cache(maxsize=CHUNKS_KEPT)
def _chunk(path: Path, changed: int, place: int) -> bytes:
    """The chunk at a byte of the file, unpacked.

    Raises:
        DataError: it is damaged, or larger than a chunk may be. OSError: the file cannot be read.
    """
    packed = Ros1File(path).index().chunks[place]
    with open_for_parts(path) as stream:
        stream.seek(packed.start)
        data = stream.read(min(packed.size, path.stat().st_size))
    return unpacked(data, packed.compression, f"{path}: chunk at byte {place}")
