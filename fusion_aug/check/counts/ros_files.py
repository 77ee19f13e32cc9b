"""Files of ROS recordings for counters: their topics and messages, without the readers of this package."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from calib.regular_files import open_regular
from fusion_aug.check.counts.files import once_per_file
from fusion_aug.errors import USER_ERRORS, DataError
from fusion_aug.safe.chunks import check_chunks
from fusion_aug.safe.ros1_bags import bag_reader, bound_chunks
from fusion_aug.safe.sqlite import open_tables

SECOND = 10**9
STORED = ("topics", "messages", "message_definitions")  # tables of rosbag2 that are read
HEADER = (["std_msgs/Header", "header"], ["std_msgs/msg/Header", "header"], ["Header", "header"])


class Topic(NamedTuple):
    """A topic of a file.

    Attributes:
        kind: type of its messages, as ROS 2 writes it. is_ros1: whether they are serialized as ROS 1 does.
        messages: how many. holds: whether they hold for those who listen later. headed: whether they begin with a
            header, None where the file does not tell.
    """

    kind: str
    is_ros1: bool
    messages: int
    holds: bool
    headed: bool


class Message(NamedTuple):
    """A message: topic, log time (ns), data, and where it lies in the file, to be compared with others."""

    topic: str
    time: int
    data: bytes
    place: Any


class Facts(NamedTuple):
    """What the index of a file tells: its topics in the order of their channels, first and last log time (ns)."""

    topics: dict[str, Topic]
    span: tuple[int, int]


def topics_of(path: Path) -> dict[str, Topic]:
    """The topics of a file, in the order of their channels."""
    return facts_of(path).topics


@once_per_file
def facts_of(path: Path) -> Facts:
    """What the index of a file tells.

    Raises:
        DataError: it is damaged, or has no index.
    """
    with _reading(path):
        return {".mcap": _of_mcap, ".db3": _of_db3, ".bag": _of_bag}[path.suffix](path)


def messages_of(
    path: Path, start: int | None = None, end: int | None = None, topics: Collection[str] | None = None
) -> Iterator[Message]:
    """The messages of log time [start, end) ns.

    Raises:
        DataError: the file is damaged.
    """
    topics_of(path)  # looks at sizes, once
    with _reading(path):
        found = {".mcap": _in_mcap, ".db3": _in_db3, ".bag": _in_bag}[path.suffix]
        yield from found(path, start, end, topics)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except USER_ERRORS:
        raise
    except Exception as error:  # the readers' many
        raise DataError(f"{path}: is not readable ({type(error).__name__}: {error})") from None


def kind_of(name: str) -> str:
    """Name of a type as ROS 2 writes it."""
    name = "tf2_msgs/TFMessage" if name in ("tf/tfMessage", "tf/msg/tfMessage") else name
    parts = name.split("/")
    return f"{parts[0]}/msg/{parts[1]}" if len(parts) == 2 else name


def begins_with_header(text: str, kind: str = "") -> bool:
    """Whether a type begins with a header, by the first field of its text, or as ROS 2 Humble has it without one."""
    lines = (line.split("#")[0].split() for line in text.splitlines())
    first = next((words for words in lines if words), None)
    if first is not None:
        return first[:2] in HEADER
    from rosbags.typesys import Stores, get_typestore

    fields = dict(get_typestore(Stores.ROS2_HUMBLE).fielddefs).get(kind, ([], []))[1]
    return bool(fields) and fields[0][0] == "header"


def stamp_of(data: bytes, is_ros1: bool) -> int:
    """Stamp (ns) that a message begins with: behind 4 bytes, CDR's own or the number of the header in ROS 1."""
    seconds, rest = struct.unpack_from("<iI" if is_ros1 or data[1] & 1 else ">iI", data, 4)
    return int(seconds) * SECOND + int(rest)


def _holds(topic: str, quality: str) -> bool:
    return topic.endswith("tf_static") or "durability: 1" in quality or "transient_local" in quality


# --- MCAP ------------------------------------------------------------------------------------------------------------
def _of_mcap(path: Path) -> Facts:
    from mcap.reader import make_reader

    with open_regular(path) as stream:
        found = make_reader(stream).get_summary()
        check_chunks(path, stream, found.chunk_indexes if found is not None else ())
    if found is None or found.statistics is None:
        raise DataError(f"{path}: has no summary")
    counts, out = found.statistics.channel_message_counts, dict[str, Topic]()
    for number, c in sorted(found.channels.items()):
        schema, is_ros1 = found.schemas.get(c.schema_id), c.message_encoding == "ros1"
        told = schema is not None and schema.encoding in ("ros2msg", "ros1msg")
        headed = begins_with_header(schema.data.decode(errors="replace")) if schema is not None and told else False
        known = out[c.topic].messages if c.topic in out else 0
        name = "" if schema is None else kind_of(schema.name) if is_ros1 else schema.name
        holds = _holds(c.topic, c.metadata.get("offered_qos_profiles", "")) or c.metadata.get("latching") == "1"
        stamped = bool(headed) and c.message_encoding in ("cdr", "ros1")
        out[c.topic] = Topic(name, is_ros1, known + counts.get(number, 0), holds, stamped)
    return Facts(out, (found.statistics.message_start_time, found.statistics.message_end_time))


def _in_mcap(path: Path, start: int | None, end: int | None, topics: Collection[str] | None) -> Iterator[Message]:
    from mcap.reader import make_reader

    with open_regular(path) as stream:
        found = make_reader(stream).iter_messages(topics, starting_at=start, ending_before=end, log_time_order=False)
        for place, (_, channel, message) in enumerate(found):
            yield Message(channel.topic, message.log_time, message.data, place)


# --- SQLite ----------------------------------------------------------------------------------------------------------
def _of_db3(path: Path) -> Facts:
    with open_tables(path, STORED) as (base, columns):
        counts = dict(base.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
        texts = {}
        if "message_definitions" in columns:
            texts = dict(base.execute("SELECT topic_type, encoded_message_definition FROM message_definitions"))
        quality = "offered_qos_profiles" if "offered_qos_profiles" in columns["topics"] else "''"
        rows = base.execute(f"SELECT id, name, type, {quality} FROM topics ORDER BY id").fetchall()
        first, last = base.execute("SELECT min(timestamp), max(timestamp) FROM messages").fetchone()
    topics = {
        name: Topic(kind, False, counts.get(n, 0), _holds(name, offered), begins_with_header(texts.get(kind, ""), kind))
        for n, name, kind, offered in rows
    }
    return Facts(topics, (first or 0, last or 0))


def _in_db3(path: Path, start: int | None, end: int | None, topics: Collection[str] | None) -> Iterator[Message]:
    asked = (
        "SELECT topics.name, timestamp, data, messages.id FROM messages JOIN topics ON topic_id = topics.id "
        "WHERE timestamp >= ? AND timestamp < ? ORDER BY messages.id"
    )
    with open_tables(path, STORED) as (base, _):
        for row in base.execute(asked, (start or 0, 2**63 - 1 if end is None else end)):
            if topics is None or row[0] in topics:
                yield Message(*row)


# --- ROS 1 -----------------------------------------------------------------------------------------------------------
def _of_bag(path: Path) -> Facts:
    out, span = dict[str, Topic](), (0, 0)
    with bag_reader(path) as reader:
        for c in reader.connections:
            known = out[c.topic].messages if c.topic in out else 0
            holds = _holds(c.topic, "") or c.ext.latching == 1
            out[c.topic] = Topic(kind_of(c.msgtype), True, known + c.msgcount, holds, begins_with_header(c.msgdef.data))
        if any(topic.messages for topic in out.values()):
            span = reader.start_time, reader.end_time - 1
    return Facts(out, span)


def _in_bag(path: Path, start: int | None, end: int | None, topics: Collection[str] | None) -> Iterator[Message]:
    with bag_reader(path) as reader:
        bound_chunks(reader, path)
        chosen = [c for c in reader.connections if topics is None or c.topic in topics]
        places = {c.id: iter(found for found in reader.indexes[c.id]) for c in chosen}
        for connection, time, data in reader.messages(chosen) if chosen else ():
            entry = next(places[connection.id])
            if (start is None or time >= start) and (end is None or time < end):
                yield Message(connection.topic, time, data, (entry.chunk_pos, entry.offset))
