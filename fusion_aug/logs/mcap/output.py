"""Writing messages to an MCAP file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from fusion_aug.logs.core.touch import with_first_gel
from fusion_aug.logs.mcap.file import McapFile
from fusion_aug.streams import Stream


class OutputMessage(NamedTuple):
    """A message to be written."""

    log_time: int
    topic: str
    publish_time: int
    data: bytes


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


def write_file(path: Path, source: McapFile, messages: Iterable[OutputMessage]) -> dict[str, Any]:
    """Write an MCAP file with schemas, channels, attachments and metadata of its source; the same bytes every time.

    Args:
        path: of the file. source: file that it is made from.
        messages: by log time; taken one by one, so that they need not fit into memory together.

    Returns:
        ``span``: first and last log time (ns), and ``counts`` of messages by topic.
    """
    from mcap.writer import CompressionType
    from mcap.writer import Writer as Stream

    with path.open("wb") as file:
        writer = Stream(file, chunk_size=2**20, compression=CompressionType.ZSTD)
        writer.start(profile="ros2", library="fusion_aug")
        schemas: dict[tuple[str, bytes], int] = {}
        channels = {}
        for c in sorted(source.summary()[0], key=lambda c: c.topic):
            key = (c.kind, c.definition)
            if key not in schemas:
                schemas[key] = writer.register_schema(c.kind, c.schema_encoding, c.definition)
            channels[c.topic] = writer.register_channel(c.topic, c.encoding, schemas[key], c.metadata)
        span: list[int] = []
        counts: Counter[str] = Counter()
        for m in messages:
            writer.add_message(channels[m.topic], m.log_time, m.data, m.publish_time)
            span = [span[0] if span else m.log_time, m.log_time]
            counts[m.topic] += 1
        attachments, records = source.extras()
        for a in attachments:
            writer.add_attachment(a.create_time, a.log_time, a.name, a.media_type, a.data)
        for r in records:
            if r.name != "rosbag2":  # it describes the old file
                writer.add_metadata(r.name, dict(r.metadata))
        writer.finish()
    return {"span": span, "counts": dict(counts)}
