"""Writing messages to an MCAP file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fusion_aug.logs.core.touch import with_first_gel
from fusion_aug.logs.mcap.bag import BAG_RECORD, bag_record
from fusion_aug.logs.mcap.file import Channel, McapFile
from fusion_aug.streams import Stream


class OutputMessage(NamedTuple):
    """A message to be written; ``channel`` is that of the source, where a topic has several."""

    log_time: int
    topic: str
    publish_time: int
    data: bytes
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


def sorted_by_log_time(messages: list[OutputMessage]) -> Iterator[OutputMessage]:
    """Return the messages in the order of log time; those of one time keep their order."""
    return iter(sorted(messages, key=log_time))


def write_file(
    path: Path, source: McapFile, channels: Iterable[Channel], messages: Iterable[OutputMessage], begin: int
) -> dict[str, Any]:
    """Write an MCAP file with schemas, channels, attachments and metadata of its source; the same bytes every time.

    Args:
        path: of the file. source: file that it is made from. channels: those of its channels that are kept.
        messages: by log time; taken one by one, so that they need not fit into memory together.
        begin: log time (ns) of a file without a message.

    Returns:
        ``span``: first and last log time (ns), and ``counts`` of messages by topic, of topics without one too.
    """
    from mcap.writer import CompressionType
    from mcap.writer import Writer as Stream

    extras, kept = source.extras(), sorted(channels, key=lambda c: (c.topic, c.number))
    with path.open("wb") as file:
        writer = Stream(file, chunk_size=2**20, compression=CompressionType.ZSTD)
        writer.start(profile=extras.profile, library="fusion_aug")
        schemas: dict[tuple[str, str, bytes], int] = {("", "", b""): 0}
        numbers: dict[int, int] = {}
        first: dict[str, int] = {}
        for c in kept:
            key = (c.kind, c.schema_encoding, c.definition)
            if key not in schemas:
                schemas[key] = writer.register_schema(*key)
            numbers[c.number] = writer.register_channel(c.topic, c.encoding, schemas[key], c.metadata)
            first.setdefault(c.topic, numbers[c.number])
        span: list[int] = []
        counts: Counter[str] = Counter(dict.fromkeys(first, 0))
        for m in messages:
            channel = first[m.topic] if m.channel is None else numbers[m.channel]
            writer.add_message(channel, m.log_time, m.data, m.publish_time, m.sequence)
            span = [span[0] if span else m.log_time, m.log_time]
            counts[m.topic] += 1
        span = span or [begin, begin]
        for a in extras.attachments:
            writer.add_attachment(a.create_time, a.log_time, a.name, a.media_type, a.data)
        for r in extras.records:
            own = dict(r.metadata) if r.name != BAG_RECORD else bag_record(r.metadata, path.name, kept, span, counts)
            writer.add_metadata(r.name, own)
        writer.finish()
    return {"span": span, "counts": dict(counts)}
