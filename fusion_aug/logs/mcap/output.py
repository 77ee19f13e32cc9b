"""Writing messages to a file of a recording, and to MCAP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from fusion_aug.logs.core.touch import with_first_gel
from fusion_aug.logs.mcap.bag import BAG_RECORD, bag_record
from fusion_aug.logs.mcap.recording import Channel, Recording
from fusion_aug.streams import Stream


class OutputMessage(NamedTuple):
    """A message to be written; ``channel`` is that of the source, where a topic has several."""

    log_time: int
    topic: str
    publish_time: int
    data: bytes | memoryview
    channel: int | None = None
    sequence: int = 0


def as_messages(stream: Stream, has_header: bool) -> Stream:
    """A stream as its messages hold it: what was received, with what the clock says and not how far it is off.

    Args:
        stream: whose items are messages of one topic.
        has_header: whether they hold a stamp of capture; without one, only the log time is left, that of arrival.
    """
    if not bool(stream.present.all()):
        stream = stream.take_items(stream.present.nonzero()[:, 0])
    if stream.receive_times is not None and not has_header:
        stream = replace(stream, capture_times=stream.receive_times, receive_times=None)
    if stream.clock_offset is not None:
        stream = replace(stream, clock_offset=None)
    return with_first_gel(stream)


def log_time(message: OutputMessage) -> int:
    """Log time in ns."""
    return message.log_time


class Tally:
    """Counts messages while they are written.

    Attributes:
        span: first and last log time, ns; [begin, begin] without a message. counts: of messages by topic.
    """

    def __init__(self, channels: Iterable[Channel], begin: int):
        self.span = [begin, begin]
        self.counts: Counter[str] = Counter({c.topic: 0 for c in channels})
        self._begun = False

    def __call__(self, messages: Iterable[OutputMessage]) -> Iterator[OutputMessage]:
        """Yield the messages, which come by log time."""
        for m in messages:
            self.span = [self.span[0] if self._begun else m.log_time, m.log_time]
            self._begun = True
            self.counts[m.topic] += 1
            yield m


class Content(NamedTuple):
    """What a file is written of.

    Attributes:
        source: file that it is made from. channels: those of its channels that are kept, by topic.
        messages: by log time; taken one by one, so that they need not fit into memory together.
        tally: of the messages; whole when these are taken.
    """

    source: Recording
    channels: list[Channel]
    messages: Iterator[OutputMessage]
    tally: Tally

    def numbers(self, written: Mapping[int, Any]) -> Callable[[OutputMessage], Any]:
        """Return a function from a message to its channel as it is written.

        Args:
            written: number of a channel in the source -> what stands for it in the output.
        """
        first: dict[str, Any] = {}
        for c in self.channels:
            first.setdefault(c.topic, written[c.number])
        return lambda m: first[m.topic] if m.channel is None else written[m.channel]


# ending of a name -> what writes such a file, with what its source holds besides messages; the same bytes every time
FILE_WRITERS: dict[str, Callable[[Path, Content], None]] = {}


def write_file(
    path: Path, source: Recording, channels: Iterable[Channel], messages: Iterable[OutputMessage], begin: int
) -> dict[str, Any]:
    """Write a file of a recording, of the kind that the ending of its name tells.

    Args:
        path: of the file. source: file that it is made from. channels: those of its channels that are kept.
        messages: by log time; taken one by one, so that they need not fit into memory together.
        begin: log time (ns) of a file without a message.

    Returns:
        ``span``: first and last log time (ns), and ``counts`` of messages by topic, of topics without one too.
    """
    kept = sorted(channels, key=lambda c: (c.topic, c.number))
    tally = Tally(kept, begin)
    FILE_WRITERS[path.suffix](path, Content(source, kept, tally(messages), tally))
    return {"span": tally.span, "counts": dict(tally.counts)}


def write_mcap(path: Path, content: Content) -> None:
    """Write an MCAP file, packed as its source is, with the attachments and metadata of that."""
    from mcap.writer import CompressionType
    from mcap.writer import Writer as Stream

    extras, tally = content.source.extras(), content.tally
    packing = {"": CompressionType.NONE, "lz4": CompressionType.LZ4}
    with path.open("wb") as file:
        writer = Stream(file, chunk_size=2**20, compression=packing.get(extras.compression, CompressionType.ZSTD))
        writer.start(profile=extras.profile, library="fusion_aug")
        schemas: dict[tuple[str, str, bytes], int] = {("", "", b""): 0}
        numbers: dict[int, int] = {}
        for c in content.channels:
            key = (c.name, c.schema_encoding, c.definition)
            if key not in schemas:
                schemas[key] = writer.register_schema(*key)
            numbers[c.number] = writer.register_channel(c.topic, c.encoding, schemas[key], c.metadata)
        channel_of = content.numbers(numbers)
        for m in content.messages:
            data = cast("bytes", m.data)  # a view is written without a copy
            writer.add_message(channel_of(m), m.log_time, data, m.publish_time, m.sequence)
        for a in extras.attachments:
            writer.add_attachment(a.create_time, a.log_time, a.name, a.media_type, a.data)
        for r in extras.records:
            own = dict(r.metadata)
            if r.name == BAG_RECORD:
                own = bag_record(r.metadata, path.name, content.channels, tally.span, tally.counts)
            writer.add_metadata(r.name, own)
        writer.finish()


FILE_WRITERS[".mcap"] = write_mcap
