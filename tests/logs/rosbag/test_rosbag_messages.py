"""Single messages of recordings in SQLite and of ROS 1: split, of own types, lost, cut off."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from other_bags import connections_of, noetic, rows_of, write_db3, write_ros1
from robot_bag import ARMLESS, MIRROR, SLOWER, STILL, robot, run
from ros_bags import MS, T0

from fusion_aug.cli import main

pytest.importorskip("mcap")
pytest.importorskip("rosbags")


def test_joints_at_the_seam_of_a_split_recording_come_from_its_other_file(tmp_path: Path) -> None:
    sent = robot()
    half = len(sent) // 2
    folder = tmp_path / "bags/bag"
    for k, part in enumerate((sent[:half], sent[half:])):
        made_at = write_db3(tmp_path / f"part{k}", part, latched=["/tf_static"])
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(made_at / f"part{k}.db3", folder / f"bag_{k}.db3")
    content = yaml.safe_load((tmp_path / "part0/metadata.yaml").read_text())
    content["rosbag2_bagfile_information"]["relative_file_paths"] = ["bag_0.db3", "bag_1.db3"]
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))
    assert run(tmp_path / "bags", tmp_path / "out", []) == 0
    told = yaml.safe_load((tmp_path / "out/bag/metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert told["relative_file_paths"] == ["bag_0.db3", "bag_1.db3"]
    assert told["message_count"] == len(sent) and len(told["files"]) == 2
    from rosbags.rosbag2 import Reader

    with Reader(tmp_path / "out/bag") as reader:
        assert reader.message_count == len(list(reader.messages())) == len(sent)


def test_messages_of_ros_1_in_mcap_are_understood(tmp_path: Path) -> None:
    from mcap.reader import make_reader
    from mcap.writer import Writer

    path = write_ros1(tmp_path / "ros1/bag.bag", robot())
    (tmp_path / "mcap").mkdir()
    with (tmp_path / "mcap/bag.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros1")
        numbers = {}
        for topic, kind, text, _, _, _ in connections_of(path):
            schema = writer.register_schema(kind.replace("/msg/", "/"), "ros1msg", text.data.encode())
            numbers[topic] = writer.register_channel(topic, "ros1", schema, {"latching": "0"})
        for topic, ns, data in rows_of(path):
            writer.add_message(numbers[topic], ns, data, ns)
        writer.finish()
    assert run(tmp_path / "mcap", tmp_path / "out_mcap", [MIRROR], STILL, ARMLESS, log="mcap") == 0  # and its check
    assert run(tmp_path / "ros1", tmp_path / "out", [MIRROR], STILL, ARMLESS) == 0
    with (tmp_path / "out_mcap/bag.mcap").open("rb") as file:
        found = [(s.name, c.topic, m.log_time, m.data) for s, c, m in make_reader(file).iter_messages()]
    assert ("sensor_msgs/CameraInfo", "ros1msg") in {(n, "ros1msg") for n, *_ in found}
    assert sorted(f[1:] for f in found) == sorted(rows_of(tmp_path / "out/bag.bag")) != sorted(rows_of(path))


def test_own_types_of_a_bag_are_copied_and_restamped_by_their_definition(tmp_path: Path) -> None:
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import get_types_from_msg

    text = "Header header\nfloat32 A\nstring what\ntime[] when"
    types = noetic()
    types.register(
        get_types_from_msg("std_msgs/Header header\nfloat32 A\nstring what\ntime[] when", "own_msgs/msg/Thing")
    )

    def thing(ns: int) -> Any:
        when = types.types["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)
        head = types.types["std_msgs/msg/Header"](seq=2**24 + 7, stamp=when, frame_id="base_link")
        return types.types["own_msgs/msg/Thing"](header=head, A=1.5, what="x", when=[when])

    path = tmp_path / "bags/a.bag"
    path.parent.mkdir()
    with Writer(path) as writer:
        own = writer.add_connection("/own", "own_msgs/msg/Thing", msgdef=f"{text}\n{'=' * 80}\nMSG: std_msgs/Header\n"
                                    "uint32 seq\ntime stamp\nstring frame_id\n", md5sum="0" * 32)  # fmt: skip
        torn = writer.add_connection("/torn", "own_msgs/msg/Torn", msgdef="no } definition", md5sum="1" * 32)
        for k in range(5):
            ns = T0 + k * 10 * MS
            writer.write(own, ns, types.serialize_ros1(thing(ns), "own_msgs/msg/Thing"))
            writer.write(torn, ns + 1, bytes([k, 255, 0]))
    assert run(tmp_path / "bags", tmp_path / "copy", []) == 0
    assert rows_of(tmp_path / "copy/a.bag") == rows_of(path)
    slower = [SLOWER, MIRROR]
    assert run(tmp_path / "bags", tmp_path / "refused", slower) == 2
    told = ["log.restamp_only=[/own,/torn]", "log.no_geometry=[/own,/torn]"]
    assert run(tmp_path / "bags", tmp_path / "out", slower, *told) == 0
    with _messages(tmp_path / "out/a.bag") as reader:
        rows = [(c.topic, ns, bytes(d)) for c, ns, d in reader.messages()]
    mine = [(ns, types.deserialize_ros1(d, "own_msgs/msg/Thing")) for t, ns, d in rows if t == "/own"]
    assert [ns - T0 for ns, _ in mine] == pytest.approx([k * 12.5 * MS for k in range(5)], abs=2)
    for ns, m in mine:
        assert [s.sec * 10**9 + s.nanosec for s in (m.header.stamp, *m.when)] == pytest.approx([ns, ns], abs=2)
        assert (m.header.seq, m.A, m.what) == (2**24 + 7, 1.5, "x")
    assert [d for t, _, d in rows if t == "/torn"] == [bytes([k, 255, 0]) for k in range(5)]


def _messages(path: Path) -> Any:
    from rosbags.rosbag1 import Reader

    return Reader(path)


def test_a_message_that_was_lost_on_the_way_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_db3(tmp_path / "bags" / "bag", robot(3), latched=["/tf_static"]) / "bag.db3"
    write_ros1(tmp_path / "bags/walk.bag", robot(3))
    assert run(tmp_path / "bags", tmp_path / "out", [], check=False) == 0
    with sqlite3.connect(tmp_path / "out/bag" / path.name) as base:
        base.execute("DELETE FROM messages WHERE id = (SELECT max(messages.id) FROM messages JOIN topics ON "
                     "topic_id = topics.id WHERE name = '/imu')")  # fmt: skip
    base.close()
    short = [s for s in robot(3) if s[:2] != ("/points", T0 + 103 * MS)]
    (tmp_path / "out/walk.bag").unlink()
    write_ros1(tmp_path / "out/walk.bag", short)
    capsys.readouterr()
    assert main(["check", str(tmp_path / "out")]) == 1
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if "FAIL" in line]
    assert any(line.startswith("messages missing imu") for line in said)
    assert any(line.startswith("sweeps missing points") for line in said)


def test_a_message_of_ros_1_that_is_cut_off_keeps_its_bytes_and_gets_its_stamp(tmp_path: Path) -> None:
    """Numbers of headers beyond a byte look like anything where CDR tells the order of bytes."""
    from rosbags.rosbag1 import Writer

    text, md5 = noetic().generate_msgdef("sensor_msgs/msg/Image")
    path = tmp_path / "bags/a.bag"
    path.parent.mkdir()
    with Writer(path) as writer:
        broken = writer.add_connection("/cam", "sensor_msgs/msg/Image", msgdef=text, md5sum=md5)
        for k in range(4):
            ns = T0 + k * 10 * MS
            head = np.array([0x0200 * k + 2, ns // 10**9, ns % 10**9, 3], "<u4").tobytes() + b"cam"
            writer.write(broken, ns, head + b"rest")
    assert run(tmp_path / "bags", tmp_path / "out", [SLOWER]) == 0
    for k, (topic, ns, data) in enumerate(rows_of(tmp_path / "out/a.bag")):
        seq, seconds, rest, _ = np.frombuffer(data[:16], "<u4").tolist()
        assert (topic, seq, data[16:]) == ("/cam", 0x0200 * k + 2, b"camrest")
        assert seconds * 10**9 + rest == ns == pytest.approx(T0 + k * 12.5 * MS, abs=2)
