"""Writing recordings of ROS 1 (``.bag``) with rosbags: connections, and chunks compressed as those of the source."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.output import FILE_WRITERS, Content
from fusion_aug.logs.mcap.recording import Channel
from fusion_aug.logs.rosbag.ros1_file import CALLER, LATCHING, MD5, Ros1File


def write_bag(path: Path, content: Content) -> None:
    """Write a bag of format 2.0.

    Connections of one topic that say the same become one: rosbags tells them apart by what they say.

    Raises:
        DataError: a log time does not go into it.
    """
    from rosbags.rosbag1 import Writer

    path.unlink(missing_ok=True)
    writer: Any = Writer(path)
    compression = content.source.extras().compression
    if compression != "none":
        writer.set_compression(Writer.CompressionFormat[compression.upper()])
    with writer:
        connections: dict[tuple[Any, ...], Any] = {}
        for c in sorted(content.channels, key=lambda c: c.number):
            if key_of(c) not in connections:
                connections[key_of(c)] = add_connection(writer, c)
        connection_of = content.numbers({c.number: connections[key_of(c)] for c in content.channels})
        for m in content.messages:
            try:
                writer.write(connection_of(m), m.log_time, m.data)
            except struct.error:
                raise DataError(
                    f"{path.name}: topic {m.topic}: log time {m.log_time} ns does not go into a bag of ROS 1, which "
                    f"holds 0 to 2^32 seconds"
                ) from None


def key_of(channel: Channel) -> tuple[Any, ...]:
    """What a connection says."""
    return channel.topic, channel.name, channel.definition, tuple(sorted(channel.metadata.items()))


def add_connection(writer: Any, channel: Channel) -> Any:
    """Add a connection to a bag."""
    from rosbags.typesys.msg import normalize_msgtype

    told = channel.metadata
    return writer.add_connection(
        channel.topic, normalize_msgtype(channel.name), msgdef=channel.definition.decode(), md5sum=told.get(MD5) or "*",
        callerid=told.get(CALLER), latching=int(told[LATCHING]) if LATCHING in told else None,
    )  # fmt: skip


FILE_WRITERS[Ros1File.ending] = write_bag
