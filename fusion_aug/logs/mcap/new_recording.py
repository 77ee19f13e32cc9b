"""A new recording of ROS 2 messages, for those who have messages and no log: worlds and simulators."""

from __future__ import annotations

from pathlib import Path

from fusion_aug.errors import MissingPackage
from fusion_aug.logs.core.new_files import new_file
from fusion_aug.logs.mcap.file import typestore

Message = tuple[int, str, str, bytes]  # log time (ns), topic, type, CDR bytes


def write_messages(path: Path, messages: list[Message]) -> None:
    """Write an MCAP file; the same bytes every time.

    Args:
        path: of the file. messages: in the order of their log times.

    Raises:
        MissingPackage: mcap or zstandard is not installed.
    """
    try:
        from mcap.writer import CompressionType, Writer
    except ImportError:
        raise MissingPackage("MCAP needs the packages mcap and zstandard: pip install '.[ros]'") from None
    schemas: dict[str, int] = {}
    channels: dict[str, int] = {}
    with new_file(path, "wb") as file:
        writer = Writer(file, chunk_size=2**20, compression=CompressionType.ZSTD)
        writer.start(profile="ros2", library="fusion_aug")
        for _, topic, kind, _ in messages:
            if kind not in schemas:
                text = typestore().generate_msgdef(kind, ros_version=2)[0]
                schemas[kind] = writer.register_schema(kind, "ros2msg", text.encode())
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, "cdr", schemas[kind], {})
        for time, topic, _, data in messages:
            writer.add_message(channels[topic], time, data, time)
        writer.finish()
