"""MCAP files and the ROS 2 messages in them, one by one and lazily."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from calib.regular_files import open_for_parts
from fusion_aug.errors import USER_ERRORS, DataError, MissingPackage
from fusion_aug.logs.mcap.chunks import read_message
from fusion_aug.safe.chunks import check_chunks, chunks_to_read
from fusion_aug.streams.source import JPEG_START, Coding, Source

PNG_DEPTH_AT = 24  # place of the bits per channel in a PNG file
MILLIMETRE = 1e-3
NEED = "MCAP logs need the packages mcap and rosbags: pip install '.[ros]'"


@cache
def typestore() -> Any:
    """Types of ROS 2 Humble; a file's own definitions are added as they are met.

    Raises:
        MissingPackage: the package is not installed.
    """
    try:
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise MissingPackage(NEED) from None
    return get_typestore(Stores.ROS2_HUMBLE)


def decode(data: bytes, kind: str, definition: str, where: str) -> Any:
    """A message from its CDR bytes.

    Args:
        data: the bytes. kind: "sensor_msgs/msg/Image". definition: text of the type, from the file's schema.
        where: file and topic, for messages.

    Raises:
        DataError: the bytes are not such a message.
    """
    types = typestore()
    if kind not in types.fielddefs:
        from rosbags.typesys import get_types_from_msg

        try:
            types.register(get_types_from_msg(definition, kind))
        except Exception as error:  # a parser's many
            raise DataError(f"{where}: the definition of {kind} cannot be read ({error})") from None
    try:
        return types.deserialize_cdr(data, kind)
    except Exception as error:  # numpy, struct, assertion and index errors of a damaged message
        raise DataError(f"{where}: is not a valid {kind} ({type(error).__name__}: {error})") from None


def encode(message: Any, kind: str) -> bytes:
    """CDR bytes of a message."""
    return bytes(typestore().serialize_cdr(message, kind))


def stamp_of(message: Any) -> int | None:
    """Header stamp in ns; None where there is no header."""
    header = getattr(message, "header", None)
    if header is None:
        return None
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def message_times(stamps: Sequence[tuple[int | None, int]]) -> list[int]:
    """Return the capture times (ns) of a topic's messages from (header stamp, log time).

    These are the header stamps; the log times where no header has one.
    """
    any_stamp = any(stamp for stamp, _ in stamps)
    return [stamp if any_stamp and stamp is not None else logged for stamp, logged in stamps]


def stamp(header: Any, time: int) -> Any:
    """Return a header with another stamp (ns)."""
    types = typestore().types
    seconds, rest = divmod(time, 1_000_000_000)
    kind = types["builtin_interfaces/msg/Time"]
    return types["std_msgs/msg/Header"](stamp=kind(sec=seconds, nanosec=rest), frame_id=header.frame_id)


@dataclass(frozen=True)
class StoredMessage:
    """One message as the file holds it.

    Attributes:
        topic, kind: kind is the type's name. definition: its text.
        log_time, publish_time: ns. number: index in the topic, from 0. data: CDR bytes.
    """

    topic: str
    kind: str
    definition: str
    log_time: int
    publish_time: int
    number: int
    data: bytes


@dataclass(frozen=True)
class Channel:
    """A topic of a file: its type, how it is written, and how many messages it has."""

    topic: str
    kind: str
    encoding: str
    schema_encoding: str
    definition: bytes
    metadata: dict[str, str]
    count: int

    @property
    def latched(self) -> bool:
        """Whether a message stays valid for later subscribers: static transforms, and ROS's transient local."""
        quality = self.metadata.get("offered_qos_profiles", "")
        return self.topic.endswith("tf_static") or "durability: 1" in quality or "transient_local" in quality


class McapFile:
    """One file, read through its index. It can be pickled and opened in any process."""

    def __init__(self, path: Path):
        self.path = path

    def _reader(self, stream: Any) -> Any:
        try:
            from mcap.reader import make_reader
        except ImportError:
            raise MissingPackage(NEED) from None
        return make_reader(stream)

    def summary(self) -> tuple[list[Channel], int, int]:
        """Topics, and first and last log time (ns); read once per file."""
        return _summary(self.path, self.path.stat().st_mtime_ns)

    def read_summary(self) -> tuple[list[Channel], int, int]:
        """Read the file's summary: topics in channel order, first and last log time (ns). ``summary`` caches it.

        Raises:
            DataError: the file is not MCAP, has no index, or holds other than ROS 2 messages.
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
                    channel.topic, schema.name if schema else "", channel.message_encoding,
                    schema.encoding if schema else "", schema.data if schema else b"", dict(channel.metadata),
                    found.statistics.channel_message_counts.get(number, 0),
                )
            )  # fmt: skip
        return channels, found.statistics.message_start_time, found.statistics.message_end_time

    def extras(self) -> tuple[list[Any], list[Any]]:
        """Attachments and metadata records."""
        with open_for_parts(self.path) as stream:
            reader = self._reader(stream)
            return list(reader.iter_attachments()), list(reader.iter_metadata())

    def messages(self, start: int | None = None, end: int | None = None, topics: Any = None) -> Iterator[StoredMessage]:
        """Messages of log time in [start, end), in the order of their log time."""
        numbers: dict[str, int] = {}
        try:
            with open_for_parts(self.path) as stream:
                reader = self._reader(stream)
                check_chunks(self.path, stream, chunks_to_read(reader.get_summary(), topics, start, end))
                found = reader.iter_messages(topics, starting_at=start, ending_before=end)
                for schema, channel, message in found:
                    k = numbers[channel.topic] = numbers.get(channel.topic, -1) + 1
                    yield StoredMessage(
                        channel.topic, schema.name, schema.data.decode(errors="replace"), message.log_time,
                        message.publish_time, k, message.data,
                    )  # fmt: skip
        except (OSError, ImportError, *USER_ERRORS):
            raise
        except Exception as error:  # the reader's many
            raise DataError(f"{self.path}: is damaged ({type(error).__name__}: {error})") from None


@lru_cache(maxsize=64)
def _summary(path: Path, changed: int) -> tuple[list[Channel], int, int]:
    return McapFile(path).read_summary()


@lru_cache(maxsize=256)
def _topic_coding(path: Path, changed: int, topic: str, kind: str, definition: str) -> Coding:
    """What a topic's encoding keeps of pictures; depth of 16 bits is in whole millimetres."""
    first = next(McapFile(path).messages(topics=[topic]))
    message = decode(first.data, kind, definition, f"{path}: topic {topic}")
    if not kind.endswith("CompressedImage"):
        return Coding(step=MILLIMETRE if getattr(message, "encoding", "") == "16UC1" else 0.0)
    start = bytes(message.data[: PNG_DEPTH_AT + 1])
    deep = start[1:4] == b"PNG" and start[PNG_DEPTH_AT:] == b"\x10"
    return Coding(lossy=start[:2] == JPEG_START, step=MILLIMETRE if deep else 0.0)


@dataclass(frozen=True, eq=False)
class MessageSource(Source):
    """A message of an MCAP file as the source of an item; ``options`` hold its topic, log time and number there."""

    @property
    def coding(self) -> Coding:
        """As the first message of the topic is encoded, which all others share."""
        options = (self.options[name] for name in ("topic", "type", "definition"))
        return _topic_coding(self.path, self.path.stat().st_mtime_ns, *options)

    def bytes(self) -> bytes:
        """CDR bytes of the message, found through the file's index."""
        topic, time, nth = self.options["topic"], self.options["log_time"], self.options["nth"]
        found = read_message(self.path, topic, time, nth)
        if found is not None:
            return found
        for k, raw in enumerate(McapFile(self.path).messages(time, time + 1, [topic])):  # a file without chunks
            if k == nth:
                return raw.data
        raise DataError(f"{self.path}: topic {topic}: the message at {time} ns is gone")
