"""Writing recordings of ROS 2 to SQLite (``.db3``), with the tables of the version that their source has."""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.bag import BAG_TEXT, HASH, OFFERED, bag_record
from fusion_aug.logs.mcap.output import FILE_WRITERS, Content
from fusion_aug.logs.rosbag.db3_file import RECORD_VERSION, TABLES, Db3File

# column -> its type where it is not TEXT NOT NULL, as rosbag2 creates it
FORMS = {
    "id": "INTEGER PRIMARY KEY", "schema_version": "INTEGER PRIMARY KEY", RECORD_VERSION: "INTEGER NOT NULL",
    "topic_id": "INTEGER NOT NULL", "timestamp": "INTEGER NOT NULL", "data": "BLOB NOT NULL",
}  # fmt: skip
SINCE = {"schema": 3, "metadata": 3, "message_definitions": 4}  # table -> version that it comes with
TOPICS_SINCE = {OFFERED: 2, "type_description_hash": 4}  # and columns of ``topics``


def write_db3(path: Path, content: Content) -> None:
    """Write a file of SQLite; messages lie in it by log time.

    Raises:
        DataError: a number does not go into it. OSError: the disk is full, or does not write.
    """
    path.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as base:
            base.execute("PRAGMA journal_mode = OFF")  # what is left of a run that was stopped is written again
            base.execute("PRAGMA synchronous = OFF")
            base.execute("BEGIN")
            write_tables(base, path.name, content)
            base.execute("COMMIT")
    except OverflowError:
        raise DataError(f"{path.name}: a log time does not go into the 64 bits of SQLite") from None
    except sqlite3.OperationalError as error:
        is_full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
        raise OSError(errno.ENOSPC if is_full else errno.EIO, str(error), str(path)) from None


def write_tables(base: Any, name: str, content: Content) -> None:
    """Create and fill the tables of a file.

    Args:
        base: the file. name: of it. content: of it.
    """
    source = content.source
    assert isinstance(source, Db3File)
    version, extras = source.version, source.extras()
    for table in tables_of(version):
        base.execute(f"CREATE TABLE {table}({', '.join(f'{c} {form_of(c)}' for c in columns_of(table, version))})")
    base.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
    if "schema" in tables_of(version):
        base.execute("INSERT INTO schema VALUES (?, ?)", (version, extras.profile))
    write_topics(base, content, version)
    channel_of = content.numbers({c.number: c.number for c in content.channels})
    rows = ((channel_of(m), m.log_time, m.data) for m in content.messages)
    base.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
    for record in extras.records:
        told = bag_record(record.metadata, name, content.channels, content.tally.span, content.tally.counts)
        number = record.metadata[RECORD_VERSION]
        values = (int(number) if number.isdecimal() else 0, told[BAG_TEXT])
        base.execute("INSERT INTO metadata (metadata_version, metadata) VALUES (?, ?)", values)


def tables_of(version: int) -> list[str]:
    """The tables that files of a version have."""
    return [t for t in TABLES if version >= SINCE.get(t, 1)]


def columns_of(table: str, version: int) -> list[str]:
    """The columns of a table in files of a version."""
    return [c for c in TABLES[table] if table != "topics" or version >= TOPICS_SINCE.get(c, 1)]


def form_of(column: str) -> str:
    """Type of a column."""
    return FORMS.get(column, "TEXT NOT NULL")


def write_topics(base: Any, content: Content, version: int) -> None:
    """Write the topics, under the numbers that they have in the source, and the definitions of their types."""
    columns = columns_of("topics", version)
    for c in sorted(content.channels, key=lambda c: c.number):
        metadata = {OFFERED: c.metadata.get(OFFERED, ""), "type_description_hash": c.metadata.get(HASH, "")}
        values = {"id": c.number, "name": c.topic, "type": c.name, "serialization_format": c.encoding} | metadata
        base.execute(f"INSERT INTO topics VALUES ({', '.join('?' * len(columns))})", [values[name] for name in columns])
    if version < SINCE["message_definitions"]:
        return
    written = dict.fromkeys((c.name, c.schema_encoding, c.definition.decode()) for c in content.channels)
    for kind, encoding, text in (w for w in written if w[1]):
        known = next(c.metadata.get(HASH, "") for c in content.channels if c.name == kind)
        row = (kind, encoding, text, known)
        base.execute(
            "INSERT INTO message_definitions (topic_type, encoding, encoded_message_definition, type_description_hash) "
            "VALUES (?, ?, ?, ?)", row,
        )  # fmt: skip


FILE_WRITERS[Db3File.ending] = write_db3
