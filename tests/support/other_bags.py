"""Recordings of ROS 2 in SQLite and of ROS 1, made and read with rosbags, without the product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ros_bags
from ros_bags import Sent

Row = tuple[str, int, bytes]  # topic, log time (ns), bytes


@cache
def noetic() -> Any:
    """Types of ROS 1."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    types = get_typestore(Stores.ROS1_NOETIC)
    types.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
    return types


def in_ros1(message: Any, seq: int = 0) -> Any:
    """A message of ROS 2 as ROS 1 has it: headers have numbers, and CameraInfo has its letters in capitals."""
    if isinstance(message, list):
        return [in_ros1(m, seq) for m in message]
    kind = getattr(message, "__msgtype__", None)
    if kind is None:
        return message
    fields = [name for name, _ in noetic().fielddefs[kind][1]]
    values = {n: seq if n == "seq" else in_ros1(getattr(message, n.lower()), seq) for n in fields}
    return noetic().types[kind](**values)


def write_ros1(path: Path, sent: Iterable[Sent], *, compression: str = "", latched: Sequence[str] = (),
               renamed: Mapping[str, str] = {}, texts: Mapping[str, str] = {}) -> Path:  # fmt: skip
    """Write a bag of ROS 1 of messages of ROS 2; the header of the k-th has the number 1000 k.

    Args:
        path: of it. sent: messages. compression: "bz2", "lz4" or none. latched: topics.
        renamed: type -> what the bag calls it. texts: type -> its definition, instead of Noetic's.
    """
    from rosbags.rosbag1 import Writer

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = Writer(path)
    writer.chunk_threshold = 2**14  # several chunks
    if compression:
        writer.set_compression(Writer.CompressionFormat[compression.upper()])
    known: dict[str, Any] = {}
    with writer:
        for k, (topic, ns, message) in enumerate(sent):
            kind = message.__msgtype__
            if topic not in known:
                text, md5 = noetic().generate_msgdef(kind)
                known[topic] = writer.add_connection(
                    topic, renamed.get(kind, kind), msgdef=texts.get(kind, text), md5sum=md5, callerid=f"/node{topic}",
                    latching=1 if topic in latched else None,
                )  # fmt: skip
            writer.write(known[topic], ns, noetic().serialize_ros1(in_ros1(message, 1000 * k), kind))
    return path


def write_db3(folder: Path, sent: Iterable[Sent], *, latched: Sequence[str] = (), version: int = 9) -> Path:
    """Write a recording of ROS 2 in SQLite with ``metadata.yaml``."""
    from rosbags import interfaces
    from rosbags.rosbag2 import StoragePlugin, Writer

    none = interfaces.QosTime(0, 0)
    quality = interfaces.Qos(
        interfaces.QosHistory.KEEP_LAST, 1, interfaces.QosReliability.RELIABLE,
        interfaces.QosDurability.TRANSIENT_LOCAL, none, none, interfaces.QosLiveliness.AUTOMATIC, none, False,
    )  # fmt: skip
    types, known = ros_bags.store(), dict[str, Any]()
    with Writer(folder, version=version, storage_plugin=StoragePlugin.SQLITE3) as writer:  # type: ignore[arg-type]
        writer.set_custom_data("place", "hall")
        for topic, ns, message in sent:
            kind = message.__msgtype__
            if topic not in known:
                offered = [quality] if topic in latched else []
                known[topic] = writer.add_connection(topic, kind, typestore=types, offered_qos_profiles=offered)
            writer.write(known[topic], ns, types.serialize_cdr(message, kind))
    return folder


def rows_of(path: Path) -> list[Row]:
    """Messages of a file, as rosbags gives them, by log time."""
    return [(connection.topic, ns, bytes(data)) for connection, ns, data in _messages(path)]


def messages_of(path: Path, topic: str) -> list[tuple[int, Any]]:
    """Log time and message of one topic of a file."""
    out = []
    for connection, ns, data in _messages(path):
        if connection.topic == topic:
            types, read = (
                (noetic(), "deserialize_ros1") if path.suffix == ".bag" else (ros_bags.store(), "deserialize_cdr")
            )
            kind = connection.msgtype if connection.msgtype in types.fielddefs else "tf2_msgs/msg/TFMessage"
            out.append((ns, getattr(types, read)(data, kind)))
    return out


def connections_of(path: Path) -> list[tuple[Any, ...]]:
    """What a file says of its connections: topic, type, definition, digest, count and the rest."""
    with _reader(path) as reader:
        return sorted(tuple(c)[1:7] for c in reader.connections)


def _messages(path: Path) -> Iterable[Any]:
    with _reader(path) as reader:
        yield from reader.messages()


def _reader(path: Path) -> Any:
    from rosbags import rosbag1, rosbag2

    return rosbag1.Reader(path) if path.suffix == ".bag" else rosbag2.Reader(path)
