"""Single messages are those that the reader of mcap finds, whatever the chunks, times and channels."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from fusion_aug import DataError
from fusion_aug.logs.mcap import chunks
from fusion_aug.logs.mcap.file import McapFile
from fusion_aug.logs.mcap.windows import in_log_order

pytest.importorskip("mcap")


def recording(path: Path, compression: str) -> Path:
    """Two topics, one of them of two channels; times in no order, many of them several times."""
    from mcap.writer import CompressionType, Writer

    draws = random.Random(1)
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=2000, compression=CompressionType[compression], use_chunking=True)
        writer.start(profile="ros2")
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"")
        channels = [writer.register_channel(topic, "cdr", schema) for topic in ("/a", "/b")]
        channels.append(writer.register_channel("/a", "cdr", schema, {"other": "publisher"}))
        for _ in range(200):
            time = draws.randrange(20) * 10**9
            writer.add_message(
                draws.choice(channels), time, draws.randbytes(draws.randrange(100)), time + draws.randrange(9)
            )
        writer.finish()
    return path


def of_the_reader(path: Path, **asked: Any) -> list[Any]:
    """Messages as the reader of mcap gives them."""
    from mcap.reader import make_reader

    with path.open("rb") as file:
        return [m for _, _, m in make_reader(file).iter_messages(**asked)]


@pytest.mark.parametrize("in_file_order", [False, True])
@pytest.mark.parametrize("span", [(None, None), (3 * 10**9, 11 * 10**9)])
@pytest.mark.parametrize("topics", [None, ["/a"]])
def test_a_pass_gives_what_the_reader_gives(
    tmp_path: Path, topics: list[str] | None, span: tuple[int | None, int | None], in_file_order: bool
) -> None:
    path = recording(tmp_path / "a.mcap", "ZSTD")
    found = list(McapFile(path).messages(*span, topics, in_file_order=in_file_order))
    asked = {"topics": topics, "starting_at": span[0], "ending_before": span[1], "log_time_order": not in_file_order}
    assert [(m.channel, m.log_time, m.publish_time, m.sequence, m.data) for m in found] == [
        (m.channel_id, m.log_time, m.publish_time, m.sequence, m.data) for m in of_the_reader(path, **asked)
    ]
    assert len(found) > 50


def test_sorting_holds_only_what_came_too_early(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.mcap", "NONE")
    lies = list(McapFile(path).messages(in_file_order=True))
    by_time = list(in_log_order(lambda: McapFile(path).messages(in_file_order=True)))
    assert by_time == sorted(lies, key=lambda m: m.log_time) != lies


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
def test_they_are_those_of_the_reader(tmp_path: Path, compression: str) -> None:
    path = recording(tmp_path / "a.mcap", compression)
    found = 0
    for topic in ("/a", "/b"):
        for time in (k * 10**9 for k in range(20)):
            asked = of_the_reader(path, topics=[topic], starting_at=time, ending_before=time + 1)
            expected = [(m.publish_time, m.data) for m in asked]
            assert [chunks.read_message(path, topic, time, n) for n in range(len(expected))] == expected
            assert chunks.read_message(path, topic, time, len(expected)) is None
            found += len(expected)
    assert found == 200 and chunks.read_message(path, "/c", 0, 0) is None


def test_a_damaged_chunk_is_told_by_its_place(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.mcap", "NONE")
    raw = bytearray(path.read_bytes())
    (first,) = (c.chunk_start_offset for c in chunks._index(path, path.stat().st_mtime_ns).summary.chunk_indexes[:1])
    size = first + 9 + 40 + 1  # head of a record, of a chunk without compression, and the kind of its first record
    raw[size : size + 8] = (10**6).to_bytes(8, "little")
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.mcap: chunk at byte \d+: is damaged \(ValueError: a record of 1000000"):
        for time in range(20):
            chunks.read_message(path, "/a", time * 10**9, 0)
