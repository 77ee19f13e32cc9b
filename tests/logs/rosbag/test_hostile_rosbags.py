"""Recordings in SQLite and of ROS 1 that lie, were cut off or not closed: refused by name, never written to."""

from __future__ import annotations

import bz2
import sqlite3
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from other_bags import rows_of, write_db3, write_ros1
from ros_bags import MS, T0, Sent, imu, make

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import DataError

pytest.importorskip("rosbags")


def sent(count: int = 30) -> list[Sent]:
    """An inertial unit and a text."""
    times = [T0 + k * 10 * MS for k in range(count)]
    return [s for t in times for s in (("/imu", t, imu(t)), ("/text", t, make("std_msgs/String", data="x")))]


def reason(root: Path) -> str:
    """Why the recording below a folder cannot be read."""
    log = fa.open_log("rosbag", root)
    with pytest.raises(DataError) as found:
        for sample in log:
            for stream in sample.streams.values():
                _ = len(stream)
            list(log.windows[sample.id].messages())
    return str(found.value)


def execute(path: Path, *lines: str) -> None:
    with sqlite3.connect(path) as base:
        for line in lines:
            base.execute(line)
    base.close()


def test_what_was_not_closed_is_not_read_in_part(tmp_path: Path) -> None:
    path = write_db3(tmp_path / "bag", sent()) / "bag.db3"
    Path(f"{path}-wal").write_bytes(b"x" * 100)
    assert "was not closed: bag.db3-wal beside it holds a part of it" in reason(tmp_path)
    Path(f"{path}-wal").unlink()
    assert len(fa.open_log("rosbag", tmp_path)[0]["imu"]) == 30


def test_a_file_that_still_has_a_log_of_its_own_is_left_as_it_is(tmp_path: Path) -> None:
    """SQLite would write files beside one in this mode, if it were opened in the usual way."""
    path = write_db3(tmp_path / "bag", sent()) / "bag.db3"
    execute(path, "PRAGMA journal_mode = WAL")
    for left in tmp_path.rglob("*-*"):
        left.unlink()
    before = (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.rglob("*")))
    path.parent.chmod(0o555)
    assert len(fa.open_log("rosbag", tmp_path)[0]["imu"]) == 30
    path.parent.chmod(0o755)
    assert (path.read_bytes(), path.stat().st_mtime_ns, sorted(tmp_path.rglob("*"))) == before


@pytest.mark.parametrize("lines, why", [
    (["UPDATE schema SET schema_version = 5"], "schema: versions [5] of its tables are not known; convert"),
    (["ALTER TABLE messages RENAME TO m", "CREATE VIEW messages AS SELECT * FROM m"], "messages: is a view"),
    (["DROP TABLE messages", "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id, timestamp, "
      "data GENERATED ALWAYS AS (zeroblob(900000000)) VIRTUAL)"], "messages.data: is worked out when it is read"),
    (["DROP TABLE topics"], "topics: has no column id; it is none of rosbag2"),
    (["UPDATE messages SET topic_id = 9 WHERE id = 5"], "messages: topic_id 9 is none of its topics"),
    (["UPDATE messages SET timestamp = 'soon' WHERE id = 5"], "is no time in ns"),
    (["UPDATE messages SET data = 'words' WHERE id = 5"], "topic /imu: data of a message are no bytes"),
])  # fmt: skip
def test_tables_that_lie(lines: list[str], why: str, tmp_path: Path) -> None:
    path = write_db3(tmp_path / "bag", sent()) / "bag.db3"
    execute(path, *lines)
    before = path.read_bytes()
    said = reason(tmp_path)
    assert said.startswith(str(path)) and why in said and "\n" not in said
    assert path.read_bytes() == before


def test_more_tables_and_columns_are_named(tmp_path: Path) -> None:
    path = write_db3(tmp_path / "bag", sent()) / "bag.db3"
    execute(path, "ALTER TABLE messages ADD COLUMN received INTEGER", "CREATE TABLE extra(x)")
    log = fa.open_log("rosbag", tmp_path)
    found = log.fields()["bag/bag.db3"]
    names = found() if callable(found) else found
    assert {"table extra", "column messages.received"} <= set(names)
    assert {log.field_part("bag/bag.db3", n) for n in ("table extra", "column messages.received")} == {None}


def test_names_in_metadata_do_not_lead_out_of_the_log(tmp_path: Path) -> None:
    folder = write_db3(tmp_path / "log/bag", sent())
    outside = write_db3(tmp_path / "secret", sent()) / "secret.db3"
    text = (folder / "metadata.yaml").read_text()
    for name in ("../../secret/secret.db3", str(outside)):
        changed = text.replace("relative_file_paths:\n  - bag.db3", f"relative_file_paths:\n  - bag.db3\n  - {name}")
        assert changed != text
        (folder / "metadata.yaml").write_text(changed)
        with pytest.raises(DataError, match=r"metadata\.yaml: .*"):
            joints = fa.open_log("rosbag", tmp_path / "log")
            joints._other_parts(folder / "bag.db3", (0, 2**62))
        assert len(joints[0]["imu"]) == 30


def test_compressed_recordings_are_refused_by_name(tmp_path: Path) -> None:
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    for mode in (CompressionMode.MESSAGE, CompressionMode.FILE):
        root = tmp_path / mode.name
        root.mkdir()
        writer = Writer(root / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3)
        writer.set_compression(mode, CompressionFormat.ZSTD)
        with writer:
            writer.add_connection("/a", "std_msgs/msg/Empty", msgdef="", rihs01="RIHS01_0")
    assert "its messages are compressed one by one (zstd); convert the recording" in reason(tmp_path / "MESSAGE")
    with pytest.raises(DataError, match=r"holds no \.db3 or \.bag file, but \.db3\.zstd files; unpack them first:"):
        fa.open_log("rosbag", tmp_path / "FILE").ids  # noqa: B018


def test_the_other_format_is_named_where_none_of_its_own_lies(tmp_path: Path) -> None:
    write_ros1(tmp_path / "a.bag", sent())
    with pytest.raises(DataError, match=r"holds no \.mcap file, but \.bag files; log=rosbag reads these"):
        fa.open_log("mcap", tmp_path).ids  # noqa: B018
    write_db3(tmp_path / "a", sent())
    (tmp_path / "a/a.db3").rename(tmp_path / "a.db3")
    with pytest.raises(DataError, match=r"a\.db3: log\.root: a\.bag beside it is of the same name; rename one"):
        fa.open_log("rosbag", tmp_path).ids  # noqa: B018


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def unindexed(data: bytes) -> bytes:
    """As a recorder leaves a bag that was not closed: the place of the index is 0."""
    at = data.index(b"index_pos=") + 10
    return data[:at] + bytes(8) + data[at + 8 :]


def lying_counts(data: bytes) -> bytes:
    """Counts of messages in the last record of the index."""
    return data[:-4] + struct.pack("<I", 10**6)


def many_connections(data: bytes) -> bytes:
    at = data.index(b"conn_count=") + 11
    return data[:at] + struct.pack("<I", 2**32 - 1) + data[at + 4 :]


@pytest.mark.parametrize("change, why", [
    (cut, "repair it with: rosbag reindex bag.bag"),
    (unindexed, "is not a readable bag of ROS 1 (Bag is not indexed, reindex before reading.); repair it with"),
    (lying_counts, "of 1000"),
    (many_connections, "repair it with: rosbag reindex bag.bag"),
    (lambda data: data.replace(b"#ROSBAG V2.0", b"#ROSBAG V1.2"), "Bag version 102 is not supported"),
    (lambda data: b"SQLite format 3\0" + data, "is not a readable bag of ROS 1"),
    (lambda data: b"", "is not a readable bag of ROS 1"),
])  # fmt: skip
def test_bags_that_are_cut_off_or_lie(change: Callable[[bytes], bytes], why: str, tmp_path: Path) -> None:
    path = write_ros1(tmp_path / "bag.bag", sent())
    path.write_bytes(change(path.read_bytes()))
    said = reason(tmp_path)
    assert said.startswith(str(path)) and why in said and "\n" not in said


def test_a_chunk_unpacks_to_no_more_than_it_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """30 MB of zeros in a chunk of 100 bytes, which says nothing of it."""
    monkeypatch.setattr("rosbags.rosbag1.writer.bz2_compress", lambda data, level: bz2.compress(bytes(30 * 2**20), 9))
    monkeypatch.setattr("fusion_aug.safe.ros1_bags.SMALL_BYTES", 2**20)
    write_ros1(tmp_path / "bag.bag", sent(2), compression="bz2")
    tracemalloc.start()
    said = reason(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "is cut off, or holds more than 1," in said
    assert peak < 16 * 2**20


def test_a_damaged_chunk_is_named_with_its_place(tmp_path: Path) -> None:
    path = write_ros1(tmp_path / "bag.bag", sent(), compression="lz4")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x04\x22\x4d\x18") + 20
    data[at : at + 200] = bytes(200)
    path.write_bytes(bytes(data))
    assert "bag.bag: chunk at byte 4109: is damaged (" in reason(tmp_path)


def test_connections_that_say_the_same_become_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bags merged by ROS's tools hold each connection twice."""
    from rosbags.rosbag1 import Writer

    first = write_ros1(tmp_path / "first.bag", sent(3))
    path = tmp_path / "bags/bag.bag"
    path.parent.mkdir()
    with Writer(path) as writer:
        for k in range(2):
            writer.connections.clear() if k else None
            connection = writer.add_connection("/text", "std_msgs/msg/String", msgdef="string data", md5sum="2" * 32)
            connection = connection._replace(id=k)
            writer.connections[:] = [connection]
            for j, row in enumerate(r for r in rows_of(first) if r[0] == "/text"):
                writer.write(connection, row[1] + k + 2 * j, row[2])
    assert main(["run", "log=rosbag", f"log.root={path.parent}", f"out={tmp_path / 'out'}", "pipeline=identity"]) == 0
    assert rows_of(tmp_path / "out/bag.bag") == rows_of(path)
