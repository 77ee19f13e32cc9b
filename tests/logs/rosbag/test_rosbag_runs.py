"""Recordings in SQLite and of ROS 1 are written as they came, and hold what the same messages in MCAP become."""

from __future__ import annotations

import dataclasses
import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from other_bags import connections_of, messages_of, rows_of, write_db3, write_ros1
from robot_bag import ARMLESS, BRIGHTER, MIRROR, SLOWER, STILL, YAW, robot, run
from ros_bags import MS, T0, Sent, make, read_bag, write_bag

import fusion_aug as fa

pytest.importorskip("mcap")
pytest.importorskip("rosbags")


def hashes(root: Path) -> dict[str, str]:
    """Every file below a folder."""
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(root.rglob("*")) if p.is_file()}  # fmt: skip


def values(message: Any) -> Any:
    """A message as plain values, without the numbers of headers; names of fields are those of ROS 2."""
    if dataclasses.is_dataclass(message):
        found = {f.name.lower(): values(getattr(message, f.name)) for f in dataclasses.fields(message)}
        return {n: v for n, v in found.items() if n != "seq" and not n.startswith("__")}
    if isinstance(message, list):
        return [values(m) for m in message]
    return message.tolist() if isinstance(message, np.ndarray) else message


def made(kind: str, root: Path, sent: list[Sent]) -> Path:
    """A recording ``bag/bag`` of some kind; its file."""
    if kind == "db3":
        return write_db3(root / "bag", sent, latched=["/tf_static"]) / "bag.db3"
    if kind == "db3 v8":
        return write_db3(root / "bag", sent, latched=["/tf_static"], version=8) / "bag.db3"
    return write_ros1(root / "bag/bag.bag", sent, compression=kind.removeprefix("ros1").strip(), latched=["/tf_static"])


@pytest.mark.parametrize("kind", ["db3", "db3 v8", "ros1", "ros1 bz2", "ros1 lz4"])
def test_what_nothing_changes_is_copied_with_all_that_tells_of_it(kind: str, tmp_path: Path) -> None:
    path = made(kind, tmp_path / "bags", robot())
    before = hashes(tmp_path / "bags")
    assert run(tmp_path / "bags", tmp_path / "out", [], check=kind in ("db3", "ros1")) == 0
    assert run(tmp_path / "bags", tmp_path / "again", [], check=False) == 0
    assert hashes(tmp_path / "bags") == before  # nothing in it or beside it
    written = tmp_path / "out/bag" / path.name
    assert rows_of(written) == rows_of(path) and len(rows_of(path)) == 50
    assert connections_of(written) == connections_of(path)
    mine, theirs = (
        {n: h for n, h in hashes(o).items() if n.startswith("bag")} for o in (tmp_path / "out", tmp_path / "again")
    )
    assert mine == theirs and len(mine) == (2 if "db3" in kind else 1)
    if "db3" in kind:
        facts = [yaml.safe_load((p.parent / "metadata.yaml").read_text()) for p in (path, written)]
        for content in facts:
            content["rosbag2_bagfile_information"]["topics_with_message_count"].sort(
                key=lambda t: t["topic_metadata"]["name"]
            )
        assert facts[0] == facts[1] and facts[0]["rosbag2_bagfile_information"]["custom_data"] == {"place": "hall"}
    else:
        raw = (path.read_bytes(), written.read_bytes())
        assert {b"compression=" + (kind[5:] or "none").encode() in data for data in raw} == {True}


@pytest.mark.parametrize("name, steps, changed", [
    ("mirror", [MIRROR, YAW], ["/cam/image_raw", "/cam/camera_info", "/points", "/tf"]),
    ("warp", [SLOWER], ["/cam/image_raw", "/points", "/imu", "/joint_states", "/tf", "/clock"]),
    ("photometric", [BRIGHTER], ["/cam/image_raw"]),
])  # fmt: skip
def test_the_same_messages_become_the_same_in_every_kind_of_file(
    name: str, steps: list[Any], changed: list[str], tmp_path: Path
) -> None:
    sent = robot()
    write_bag(tmp_path / "mcap/bag", sent, latched=["/tf_static"])
    words = [STILL, "log.restamp_only=[/text]", *([ARMLESS] if name == "mirror" else [])]
    assert run(tmp_path / "mcap", tmp_path / "out_mcap", steps, *words, log="mcap", check=False) == 0
    expected = {t: [(ns, values(m)) for ns, m in found] for t, found in read_bag(tmp_path / "out_mcap").items()}
    before = {t: [(ns, values(m)) for ns, m in found] for t, found in read_bag(tmp_path / "mcap").items()}
    for kind in ("db3", "ros1 lz4"):
        path = made(kind, tmp_path / kind, sent)
        assert run(tmp_path / kind, tmp_path / f"out_{kind}", steps, *words) == 0
        written = tmp_path / f"out_{kind}/bag" / path.name
        for topic, found in expected.items():
            mine = [(ns, values(m)) for ns, m in messages_of(written, topic)]
            assert mine == found, (kind, topic)
            assert (mine != before[topic]) or topic not in changed, (kind, topic)


def test_numbers_of_headers_stay_with_their_messages(tmp_path: Path) -> None:
    path = made("ros1", tmp_path / "bags", robot())
    assert run(tmp_path / "bags", tmp_path / "out", [MIRROR, SLOWER], STILL, ARMLESS, "log.restamp_only=[/text]") == 0
    for topic in ("/cam/image_raw", "/points"):
        before, after = (messages_of(p, topic) for p in (path, tmp_path / "out/bag/bag.bag"))
        assert [m.header.seq for _, m in after] == [m.header.seq for _, m in before]
        assert len({m.header.seq for _, m in before}) == len(before) == 6


def test_windows_repeat_what_is_latched(tmp_path: Path) -> None:
    sent = [*robot(), ("/note", T0, make("std_msgs/String", data="once"))]
    path = write_ros1(tmp_path / "bags/bag.bag", sent, latched=["/tf_static", "/note"])
    assert run(tmp_path / "bags", tmp_path / "out", [], "log.window=0.2") == 0
    second = tmp_path / "out/bag/00001.bag"
    found = {c[0]: (c[4], c[5]) for c in connections_of(second)}
    assert found["/note"] == (1, connections_of(path)[5][5]) and found["/note"][1].latching == 1
    assert [ns for ns, _ in messages_of(second, "/note")] == [T0 + 200 * MS]
    log = fa.open_log("rosbag", tmp_path / "out")
    assert len(log.ids) == 2 and set(log[1].rig.frames) >= {"cam", "lidar"}


def test_types_of_old_bags_have_their_names_of_today(tmp_path: Path) -> None:
    sent = [s for s in robot() if s[0] != "/tf_static"]
    renamed = {"tf2_msgs/msg/TFMessage": "tf/msg/tfMessage"}
    path = write_ros1(tmp_path / "bags/bag.bag", sent, renamed=renamed)
    assert run(tmp_path / "bags", tmp_path / "out", [MIRROR], STILL, ARMLESS) == 0
    written = tmp_path / "out/bag.bag"
    assert {c[1] for c in connections_of(written) if c[0] == "/tf"} == {"tf/msg/tfMessage"}
    ys = [[m.transforms[0].transform.translation.y for _, m in messages_of(p, "/tf")] for p in (path, written)]
    assert np.allclose(ys[1], -np.array(ys[0])) or np.ptp(ys[0]) == 0  # the world is mirrored about its first pose


def test_older_tables_stay_as_they_are(tmp_path: Path) -> None:
    """Files of Foxy, Galactic and Humble: without definitions, without ``schema``, without quality of service."""
    ddl = {
        1: "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, "
           "serialization_format TEXT NOT NULL)",
        2: "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, "
           "serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL)",
    }  # fmt: skip
    source = sqlite3.connect(write_db3(tmp_path / "new", robot()) / "new.db3")
    topics = source.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
    rows = source.execute("SELECT * FROM messages ORDER BY id").fetchall()
    for version in (1, 2, 3):
        path = tmp_path / f"bags/v{version}.db3"
        path.parent.mkdir(exist_ok=True)
        with sqlite3.connect(path) as base:
            if version == 3:
                base.execute("CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL)")
                base.execute("INSERT INTO schema VALUES (3, 'humble')")
            base.execute(ddl[min(version, 2)])
            quality = ["- durability: 1"] if version > 1 else []
            marks = ", ".join("?" * (4 + len(quality)))
            base.executemany(f"INSERT INTO topics VALUES ({marks})", [[*t, *quality] for t in topics])
            base.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, "
                         "timestamp INTEGER NOT NULL, data BLOB NOT NULL)")  # fmt: skip
            base.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
    assert run(tmp_path / "bags", tmp_path / "out", [MIRROR], STILL, ARMLESS) == 0
    for version in (1, 2, 3):
        bases = [sqlite3.connect(tmp_path / f"{root}/v{version}.db3") for root in ("bags", "out")]
        asked = "SELECT * FROM topics WHERE name <> '/joint_states' ORDER BY id"
        assert bases[0].execute(asked).fetchall() == bases[1].execute(asked).fetchall()
        tables = [{r[0] for r in b.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} for b in bases]
        assert tables[1] - tables[0] == ({"metadata"} if version == 3 else set())
        asked = "SELECT timestamp FROM messages JOIN topics ON topic_id = topics.id WHERE name = ? ORDER BY timestamp"
        stamps = [[b.execute(asked, (n,)).fetchall() for n in ("/points", "/tf", "/text")] for b in bases]
        assert stamps[0] == stamps[1] and len(stamps[0][2]) == 6
    information = yaml.safe_load((tmp_path / "out/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["relative_file_paths"] == ["v1.db3", "v2.db3", "v3.db3"]
    assert information["storage_identifier"] == "sqlite3" and information["version"] == 3
