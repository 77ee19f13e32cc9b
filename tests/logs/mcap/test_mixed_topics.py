"""Topics one of whose messages is cut short, or that hold two types: the reason says which message, and which types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from robot_bag import ARMLESS, SLOWER, robot, run
from ros_bags import MS, T0, write_bag

mcap = pytest.importorskip("mcap")
Change = Callable[[str, int, str, bytes], tuple[str, bytes]]


def rewritten(folder: Path, change: Change) -> Path:
    """The recording of a robot after ``change``: topic, number of the message, type, data -> type, data."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    write_bag(folder / "whole", robot())
    (folder / "bag").mkdir()
    numbers: dict[str, int] = {}
    channels: dict[tuple[str, str], int] = {}
    texts: dict[str, bytes] = {}
    with next((folder / "whole").glob("*.mcap")).open("rb") as source, (folder / "bag/bag.mcap").open("wb") as target:
        writer = Writer(target)
        writer.start(profile="ros2")
        found: list[Any] = list(make_reader(source).iter_messages())
        texts = {schema.name: schema.data for schema, _, _ in found}
        for schema, channel, message in found:
            k = numbers[channel.topic] = numbers.get(channel.topic, -1) + 1
            kind, data = change(channel.topic, k, schema.name, message.data)
            if (channel.topic, kind) not in channels:
                number = writer.register_schema(kind, "ros2msg", texts[kind])
                channels[channel.topic, kind] = writer.register_channel(channel.topic, "cdr", number)
            writer.add_message(channels[channel.topic, kind], message.log_time, data, message.log_time)
        writer.finish()
    return folder / "bag"


def cut_short(topic: str, k: int, kind: str, data: bytes) -> tuple[str, bytes]:
    return kind, data[:100] if (topic, k) == ("/imu", 3) else data


def as_clocks(topic: str, k: int, kind: str, data: bytes) -> tuple[str, bytes]:
    is_other = topic == "/text" and k % 2 == 1
    return ("rosgraph_msgs/msg/Clock", data[:4] + bytes(8)) if is_other else (kind, data)


def test_a_message_that_is_cut_short_is_told_by_its_log_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = rewritten(tmp_path, cut_short)
    assert run(root, tmp_path / "copy", [], log="mcap", check=False) == 0
    assert run(root, tmp_path / "out", [SLOWER], ARMLESS, log="mcap") == 2
    time = T0 + (3 * 50 + 4) * MS
    assert f"the message at log time {time} ns is not a valid sensor_msgs/msg/Imu" in capsys.readouterr().err


def test_two_types_on_a_topic_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = rewritten(tmp_path, as_clocks)
    assert run(root, tmp_path / "copy", [], log="mcap") == 0
    assert run(root, tmp_path / "out", [SLOWER], ARMLESS, log="mcap") == 2
    told = capsys.readouterr().err
    assert "topic /text" in told
    assert "std_msgs/msg/String in cdr" in told and "rosgraph_msgs/msg/Clock in cdr" in told
