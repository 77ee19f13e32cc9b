"""Large objects: only the blocks that are read are fetched, once, and none of another object."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest
from mcap.writer import Writer
from stores import Bucket

from calib.regular_files import open_for_parts, open_regular
from fusion_aug.logs.mcap.file import McapFile
from fusion_aug.logs.remote import parts, store
from fusion_aug.logs.remote.mirror import Mirror, open_mirror

SIZE, BLOCK = 100_000, 4096


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (store, parts):
        monkeypatch.setattr(module, "BLOCK", BLOCK)
    monkeypatch.setattr(parts, "LEAST", 10 * BLOCK)


@pytest.fixture
def data() -> bytes:
    return random.Random(1).randbytes(SIZE)


@pytest.fixture
def mirror(bucket: Bucket, data: bytes, tmp_path: Path) -> Mirror:
    (tmp_path / "log").mkdir()
    (tmp_path / "log/large.bin").write_bytes(data)
    (tmp_path / "log/small.bin").write_bytes(data[:BLOCK])
    return open_mirror(bucket.put(tmp_path / "log", "large"), tmp_path / "cache", "log.root")


def test_it_reads_as_the_file_would(bucket: Bucket, mirror: Mirror, data: bytes) -> None:
    draws = random.Random(2)
    whole = io.BytesIO(data)
    with open_for_parts(mirror.files / "large.bin") as file:
        assert file.seek(0, 2) == SIZE and file.read() == b"" and bucket.proxy.counts()["GET"] == 0
        for _ in range(50):
            at, count = draws.randrange(SIZE + 100), draws.randrange(3 * BLOCK)
            assert file.seek(at) == whole.seek(at)
            assert file.read(count) == whole.read(count) and file.tell() == whole.tell()
    assert bucket.proxy.counts()["GET"] <= SIZE // BLOCK + 1


def test_blocks_are_fetched_once_and_only_those_that_are_read(bucket: Bucket, mirror: Mirror, data: bytes) -> None:
    for _ in range(2):
        with open_for_parts(mirror.files / "large.bin") as file:
            file.seek(5 * BLOCK + 10)
            assert file.read(10) == data[5 * BLOCK + 10 : 5 * BLOCK + 20]
    with open_for_parts(mirror.files / "small.bin") as file:
        assert file.read() == data[:BLOCK]
    assert bucket.proxy.counts() == {"LIST": 1, "GET": 2}
    with open_regular(mirror.files / "large.bin") as file:  # who wants all of it gets a file
        assert file.read() == data and file.fileno() > 0


def test_another_object_is_refused_and_its_blocks_are_others(
    bucket: Bucket, mirror: Mirror, data: bytes, tmp_path: Path
) -> None:
    with open_for_parts(mirror.files / "large.bin") as file:
        file.read(10)
        bucket.files.pipe_file(f"{bucket.name}/large/large.bin", data[::-1])
        file.seek(2 * BLOCK)
        with pytest.raises(OSError, match="was changed since the log was opened"):
            file.read(10)
    again = open_mirror(f"{bucket.url}/large", tmp_path / "cache", "log.root")
    with open_for_parts(again.files / "large.bin") as file:
        assert file.read() == data[::-1]


def test_a_recording_is_not_fetched_whole(bucket: Bucket, tmp_path: Path) -> None:
    path, second = tmp_path / "log/a.mcap", 10**9
    path.parent.mkdir()
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=BLOCK)
        writer.start(profile="ros2")
        channel = writer.register_channel("/a", "cdr", writer.register_schema("std_msgs/msg/String", "ros2msg", b""))
        for number in range(100):
            time = number * second // 5
            writer.add_message(channel, time, random.Random(number).randbytes(1000), time)
        writer.finish()
    files = open_mirror(bucket.put(path.parent, "bag"), tmp_path / "cache", "log.root").files
    found = [m.data for m in McapFile(files / "a.mcap").messages(5 * second, 6 * second)]
    assert found == [random.Random(number).randbytes(1000) for number in range(25, 30)]
    fetched = sum(p.stat().st_size for p in (tmp_path / "cache").rglob("parts/*/*"))
    assert 0 < fetched < path.stat().st_size / 3
