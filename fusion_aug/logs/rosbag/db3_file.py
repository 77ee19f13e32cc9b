"""Recordings of ROS 2 in SQLite (``.db3``), read as they lie there: nothing is written beside them or into them.

A file is one of rosbag2_storage_sqlite3: tables ``topics`` and ``messages``, and of later versions ``schema``,
``metadata`` and ``message_definitions``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.bag import BAG_RECORD, BAG_TEXT, HASH, OFFERED, metadata_of, split_files
from fusion_aug.logs.mcap.recording import BAG_VERSION, Channel, Extras, Recording, StoredMessage
from fusion_aug.safe.sqlite import open_tables

# version of the file's tables -> that of the metadata.yaml that was written with it
BAG_VERSIONS = {1: 3, 2: 4, 3: 5, 4: BAG_VERSION}
RECORD_VERSION = "metadata_version"  # entry of the record that a row of the table ``metadata`` becomes
# table -> its columns, of all versions
TABLES: Mapping[str, tuple[str, ...]] = {
    "schema": ("schema_version", "ros_distro"),
    "metadata": ("id", RECORD_VERSION, "metadata"),
    "topics": ("id", "name", "type", "serialization_format", OFFERED, "type_description_hash"),
    "message_definitions": (
        "id", "topic_type", "encoding", "encoded_message_definition", "type_description_hash",
    ),
    "messages": ("id", "topic_id", "timestamp", "data"),
}  # fmt: skip
IN_TIME, IN_FILE = "timestamp, id", "id"


class Record(NamedTuple):
    """A record of metadata."""

    name: str
    metadata: dict[str, str]


class Db3File(Recording):
    """A file of SQLite."""

    ending = ".db3"

    @property
    def bag_version(self) -> int:
        """Version of ``metadata.yaml`` where there is none beside the file."""
        return BAG_VERSIONS[self.version]

    @property
    def version(self) -> int:
        """Version of the tables, from 1."""
        return _version(self.path, self.path.stat().st_mtime_ns)

    def read_version(self) -> int:
        """Read the version of the tables. ``version`` caches it."""
        with self._open() as (base, columns):
            if "schema" not in columns:
                return 2 if OFFERED in columns["topics"] else 1
            found = [row[0] for row in base.execute("SELECT schema_version FROM schema")]
        if len(found) != 1 or found[0] not in BAG_VERSIONS:
            raise DataError(f"{self.path}: schema: versions {found} of its tables are not known; {CONVERT}")
        return int(found[0])

    def read_summary(self) -> tuple[list[Channel], int, int]:
        """Read the topics in their order, and first and last log time (ns). ``summary`` caches it.

        Raises:
            DataError: the file is none of rosbag2, is compressed, or was not closed.
        """
        refuse_compressed(self.path)
        version = self.version
        with self._open() as (base, columns):
            counts = dict(base.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
            first, last = base.execute("SELECT min(timestamp), max(timestamp) FROM messages").fetchone()
            texts = {}
            if "message_definitions" in columns:
                asked = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions ORDER BY id"
                texts = {kind: (_text(encoding), _text(text)) for kind, encoding, text in base.execute(asked)}
            more = [c for c in (OFFERED, "type_description_hash") if c in columns["topics"]]
            asked = ", ".join(["id", "name", "type", "serialization_format", *more])
            rows = base.execute(f"SELECT {asked} FROM topics ORDER BY id").fetchall()
        out = []
        for number, topic, kind, encoding, *rest in rows:
            metadata = {HASH if n != OFFERED else n: _text(v) for n, v in zip(more, rest, strict=True)}
            schema_encoding, text = texts.get(kind, ("ros2msg" if version < 4 else "", ""))
            names, told = (_text(topic), _text(kind), _text(encoding)), (schema_encoding, text.encode(), metadata)
            out.append(Channel(int(number), *names, *told, counts.pop(number, 0), _text(kind)))
        if counts:
            raise DataError(f"{self.path}: messages: topic_id {next(iter(counts))!r} is none of its topics")
        return out, self._time(first or 0), self._time(last or 0)

    def extras(self) -> Extras:
        """The distribution, the rows of metadata, and tables and columns that are not kept."""
        records, distro = [], ""
        with self._open() as (base, columns):
            if "schema" in columns:
                distro = next((_text(row[0]) for row in base.execute("SELECT ros_distro FROM schema")), "")
            if "metadata" in columns:
                for version, text in base.execute("SELECT metadata_version, metadata FROM metadata ORDER BY id"):
                    records.append(Record(BAG_RECORD, {BAG_TEXT: _text(text), RECORD_VERSION: str(version)}))
        unknown = [f"table {t}" for t in columns if t not in TABLES]
        unknown += [f"column {t}.{c}" for t, found in columns.items() for c in found if c not in TABLES.get(t, found)]
        return Extras(distro, [], records, tuple(unknown))

    def messages(
        self, start: int | None = None, end: int | None = None, topics: Any = None, *, in_file_order: bool = False
    ) -> Iterator[StoredMessage]:
        """Messages of log time in [start, end), in the order of their log time, or as they lie in the file.

        Raises:
            DataError: the file is damaged. OSError: it cannot be read.
        """
        channels = {c.number: c for c in self.summary()[0] if topics is None or c.topic in topics}
        texts = {n: c.text for n, c in channels.items()}
        numbers: dict[str, int] = {}
        with self._open() as (base, _):
            for number, time, data in self._rows(base, channels, start, end, IN_FILE if in_file_order else IN_TIME):
                channel, time = channels[number], self._time(time)
                k = numbers[channel.topic] = numbers.get(channel.topic, -1) + 1
                data = self._data(data, channel.topic)
                yield StoredMessage(number, channel.topic, channel.kind, texts[number], time, time, k, data)

    def message(self, topic: str, time: int, nth: int) -> bytes:
        """Data of one message, see ``Recording.message``."""
        channels = [c.number for c in self.summary()[0] if c.topic == topic]
        with self._open() as (base, _):
            for k, (_, _, data) in enumerate(self._rows(base, channels, time, time + 1, IN_TIME)):
                if k == nth:
                    return self._data(data, topic)
        raise DataError(f"{self.path}: topic {topic}: the message at {time} ns is gone")

    def _rows(self, base: Any, channels: Any, start: int | None, end: int | None, order: str) -> Iterator[Any]:
        """Channel, log time and data of messages."""
        wanted = [f"topic_id IN ({', '.join('?' * len(channels))})"]
        values: list[int] = list(channels)
        for bound, how in ((start, ">="), (end, "<")):
            if bound is not None:
                wanted.append(f"timestamp {how} ?")
                values.append(min(bound, 2**63 - 1))
        asked = f"SELECT topic_id, timestamp, data FROM messages WHERE {' AND '.join(wanted)} ORDER BY {order}"
        yield from base.execute(asked, values)

    def _time(self, value: Any) -> int:
        if type(value) is not int or value < 0:
            raise DataError(f"{self.path}: messages: timestamp {value!r} is no time in ns")
        return value

    def _data(self, value: Any, topic: str) -> bytes:
        if not isinstance(value, bytes):
            raise DataError(f"{self.path}: topic {topic}: data of a message are no bytes")
        return value

    @contextmanager
    def _open(self) -> Iterator[tuple[sqlite3.Connection, dict[str, list[str]]]]:
        """The file, opened for reading, and the columns of its tables.

        Raises:
            DataError: see ``open_tables``; also where it is none of rosbag2.
        """
        with open_tables(self.path, TABLES) as (base, columns):
            for name in ("topics", "messages"):
                missing = [c for c in TABLES[name][:4] if c not in columns.get(name, ())]
                if missing:
                    raise DataError(f"{self.path}: {name}: has no column {missing[0]}; it is none of rosbag2")
            yield base, columns


CONVERT = "convert the recording with: ros2 bag convert"


def refuse_compressed(path: Path) -> None:
    """Stop at a recording whose messages are compressed one by one.

    Raises:
        DataError: ``metadata.yaml`` says so.
    """
    told = metadata_of(path.parent) if path.name in split_files(path.parent) else {}
    if str(told.get("compression_mode", "")).lower() == "message":
        form = told.get("compression_format", "")
        raise DataError(f"{path}: its messages are compressed one by one ({form}); {CONVERT}, without compression")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


@lru_cache(maxsize=64)
def _version(path: Path, changed: int) -> int:
    return Db3File(path).read_version()
