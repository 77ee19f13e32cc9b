"""MCAP files and the ROS messages in them, one by one and lazily, and messages as the sources of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from calib.regular_files import open_for_parts
from calib.replacing import replace_unchecked
from fusion_aug.errors import USER_ERRORS, DataError, MissingPackage
from fusion_aug.logs.mcap.chunks import messages_of, read_message, summary_of
from fusion_aug.logs.mcap.definitions import NEED, ROS1, decode, definition_of, encode, kind_of, typestore
from fusion_aug.logs.mcap.recording import Channel, Extras, Recording, StoredMessage, recording
from fusion_aug.safe.chunks import chunks_to_read
from fusion_aug.streams.source import Coding, RecordedSource

__all__ = [
    "Channel",
    "Extras",
    "McapFile",
    "MessageSource",
    "Recording",
    "StoredMessage",
    "decode",
    "encode",
    "recording",
    "stamp",
    "stamp_of",
    "typestore",
]


def stamp_of(message: Any) -> int | None:
    """Header stamp in ns; None where there is no header."""
    header = getattr(message, "header", None)
    if header is None:
        return None
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def stamp(header: Any, time: int) -> Any:
    """Return a header with another stamp (ns)."""
    seconds, rest = divmod(time, 1_000_000_000)
    return replace_unchecked(header, stamp=replace_unchecked(header.stamp, sec=seconds, nanosec=rest))


class McapFile(Recording):
    """A file in MCAP."""

    ending = ".mcap"
    in_chunks = True

    def _reader(self, stream: Any) -> Any:
        try:
            from mcap.reader import make_reader
        except ImportError:
            raise MissingPackage(NEED) from None
        return make_reader(stream)

    def read_summary(self) -> tuple[list[Channel], int, int]:
        """Read the file's summary: topics in channel order, first and last log time (ns). ``summary`` caches it.

        Raises:
            DataError: the file is not MCAP, or has no index.
        """
        try:
            with open_for_parts(self.path) as stream:
                found = self._reader(stream).get_summary()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from None
        except (ImportError, *USER_ERRORS):
            raise
        except Exception as error:  # the reader's many
            raise DataError(f"{self.path}: is not a readable MCAP file ({type(error).__name__}: {error})") from None
        if found is None or found.statistics is None:
            raise DataError(f"{self.path}: has no summary; repair it with: mcap recover")
        channels = []
        for number, channel in sorted(found.channels.items()):
            schema = found.schemas.get(channel.schema_id)
            channels.append(
                Channel(
                    number, channel.topic, _kind(schema, channel), channel.message_encoding,
                    schema.encoding if schema else "", schema.data if schema else b"", dict(channel.metadata),
                    found.statistics.channel_message_counts.get(number, 0), schema.name if schema else "",
                )
            )  # fmt: skip
        return channels, found.statistics.message_start_time, found.statistics.message_end_time

    def extras(self) -> Extras:
        """What a file holds besides topics."""
        with open_for_parts(self.path) as stream:
            reader = self._reader(stream)
            attachments, records = list(reader.iter_attachments()), list(reader.iter_metadata())
            chunks = reader.get_summary().chunk_indexes
            packed = {"compression": chunks[0].compression} if chunks else {}
            return Extras(str(reader.get_header().profile), attachments, records, **packed)

    def messages(
        self, start: int | None = None, end: int | None = None, topics: Any = None, *, in_file_order: bool = False
    ) -> Iterator[StoredMessage]:
        """Messages of log time in [start, end), in the order of their log time, or as they lie in the file.

        Raises:
            DataError: the file is damaged. OSError: it cannot be read.
        """
        numbers: dict[str, int] = {}
        texts: dict[int, str] = {}  # of the channels, each one object, whose hash is worked out once
        try:
            with open_for_parts(self.path) as stream:
                found = self._found(self._reader(stream), stream, start, end, topics, in_file_order)
                for schema, channel, message in found:
                    k = numbers[channel.topic] = numbers.get(channel.topic, -1) + 1
                    text = texts.get(channel.id) or texts.setdefault(channel.id, _definition(schema, channel))
                    yield StoredMessage(
                        channel.id, channel.topic, _kind(schema, channel), text, message.log_time,
                        message.publish_time, k, message.data, message.sequence,
                    )  # fmt: skip
        except (OSError, ImportError, *USER_ERRORS):
            raise
        except Exception as error:  # the reader's many
            raise DataError(f"{self.path}: is damaged ({type(error).__name__}: {error})") from None

    def _found(
        self, reader: Any, stream: BinaryIO, start: int | None, end: int | None, topics: Any, in_file_order: bool
    ) -> Iterator[tuple[Any, Any, Any]]:
        """Schema, channel and message of what is asked for."""
        summary = summary_of(self.path)
        indexes = chunks_to_read(summary, topics, start, end)
        if summary is None or not summary.chunk_indexes:
            order = {"log_time_order": not in_file_order}
            yield from reader.iter_messages(topics, starting_at=start, ending_before=end, **order)
            return
        wanted = {n: topics is None or c.topic in topics for n, c in summary.channels.items()}
        for message in messages_of(self.path, stream, indexes, wanted, in_file_order):
            if (start is None or message.log_time >= start) and (end is None or message.log_time < end):
                channel = summary.channels[message.channel_id]
                yield summary.schemas.get(channel.schema_id), channel, message

    def message(self, topic: str, time: int, nth: int) -> bytes:
        """Data of one message.

        Args:
            topic: of it. time: its log time, ns. nth: of those of one topic and time, as they lie in the file.

        Raises:
            DataError: there is none, or the file is damaged. OSError: it cannot be read.
        """
        return bytes(self.published(topic, time, nth)[1])

    def published(self, topic: str, time: int, nth: int) -> tuple[int, bytes | memoryview]:
        """Publish time (ns) and data of one message; see ``message``."""
        found = read_message(self.path, topic, time, nth)
        if found is not None:
            return found
        for k, raw in enumerate(self.messages(time, time + 1, [topic])):  # a file without chunks
            if k == nth:
                return raw.publish_time, raw.data
        raise DataError(f"{self.path}: topic {topic}: the message at {time} ns is gone")


def _kind(schema: Any, channel: Any) -> str:
    if schema is None:
        return ""
    return kind_of(schema.name) if channel.message_encoding == ROS1 else str(schema.name)


def _definition(schema: Any, channel: Any) -> str:
    return definition_of("" if schema is None else schema.data.decode(errors="replace"), channel.message_encoding)


# type of messages of pictures -> what their coding keeps, by one of them and the name of its topic
CODINGS: dict[str, Callable[[Any, str], Coding]] = {}


@lru_cache(maxsize=256)
def _topic_coding(path: Path, changed: int, topic: str, kind: str, definition: str) -> Coding:
    """What a topic's encoding keeps of pictures, by its first message."""
    if kind not in CODINGS:
        return Coding()
    first = next(recording(path).messages(topics=[topic]))
    return CODINGS[kind](decode(first.data, kind, definition, f"{path}: topic {topic}"), topic)


@dataclass(frozen=True, eq=False)
class MessageSource(RecordedSource):
    """A message of a recording as the source of an item; ``options`` hold its topic, log time and number there."""

    @property
    def coding(self) -> Coding:
        """As the first message of the topic is encoded, which all others share."""
        options = (self.options[name] for name in ("topic", "type", "definition"))
        return _topic_coding(self.path, self.path.stat().st_mtime_ns, *options)

    def bytes(self) -> bytes:
        """Bytes of the message, found through the file's index."""
        return recording(self.path).message(self.options["topic"], self.options["log_time"], self.options["nth"])
