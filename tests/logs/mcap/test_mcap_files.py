"""Long recordings: what does not change goes from file to file, message by message."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.mcap.file import McapFile, encode, typestore

pytest.importorskip("mcap")
T0, PICTURES, SIZE = 1_700_000_000_000_000_000, 40, (480, 640)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw pictures of two cameras, 0.9 MB each: 74 MB."""
    from mcap.writer import Writer

    types, root = typestore().types, tmp_path_factory.mktemp("long")
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    image, head = types["sensor_msgs/msg/Image"], types["std_msgs/msg/Header"]
    time = types["builtin_interfaces/msg/Time"]
    with (root / "long.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        schema = writer.register_schema("sensor_msgs/msg/Image", "ros2msg", b"")
        channels = {n: writer.register_channel(f"/{n}/image", "cdr", schema) for n in ("left", "right")}
        for k in range(PICTURES):
            seconds, rest = divmod(T0 + 50_000_000 * k, 10**9)
            stamp = time(sec=seconds, nanosec=rest)
            for name, channel in channels.items():
                message = image(
                    header=head(stamp=stamp, frame_id=name), height=SIZE[0], width=SIZE[1], encoding="rgb8",
                    is_bigendian=0, step=3 * SIZE[1], data=np.roll(noise, k).reshape(-1),
                )  # fmt: skip
                writer.add_message(channel, T0 + 50_000_000 * k, encode(message, "sensor_msgs/msg/Image"), T0)
        writer.finish()
    return root


def test_memory_does_not_grow_with_the_recording(recording: Path, tmp_path: Path) -> None:
    """Copied and merely re-stamped pictures are never in memory together."""
    log = fa.open_log("mcap", recording)
    source = log[0]
    late = fa.Latency(delay=0.12, sensors=["left"])(source)
    writer = log.writer(tmp_path)
    tracemalloc.start()
    writer.stage(late, source, source.id, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * PICTURES * 2 * SIZE[0] * SIZE[1] * 3
    before, after = (list(McapFile(p / "long.mcap").messages()) for p in (recording, tmp_path))
    assert len(after) == len(before) == 2 * PICTURES
    times = [m.log_time for m in after]
    assert times == sorted(times)
    for name, delay in (("left", 120_000_000), ("right", 0)):
        written = [m.log_time for m in after if m.topic == f"/{name}/image"]
        assert written == [m.log_time + delay for m in before if m.topic == f"/{name}/image"]
    again = fa.open_log("mcap", tmp_path)[0]
    assert torch.equal(again["left"].image(7), source["left"].image(7))
    assert torch.equal(again["left"].capture_times, source["left"].capture_times)


def test_a_recording_of_centuries_is_not_cut_into_windows_without_end(tmp_path: Path) -> None:
    from mcap.writer import Writer

    with (tmp_path / "a.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        channel = writer.register_channel("/a", "cdr", writer.register_schema("std_msgs/msg/String", "ros2msg", b""))
        for time in (0, 2**62):
            writer.add_message(channel, time, b"", time)
        writer.finish()
    with pytest.raises(fa.DataError, match=r"a\.mcap: lasts 4611686018 s .* give a longer log\.window"):
        fa.open_log("mcap", tmp_path, window=1.0).ids  # noqa: B018
    assert len(fa.open_log("mcap", tmp_path, window=1e5).ids) == 46117


def test_damaged_recordings_name_the_file(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "bag.mcap").write_bytes((recording / "long.mcap").read_bytes()[: 10**6])
    with pytest.raises(fa.DataError, match=r"bag\.mcap: (is not a readable MCAP file|has no summary)"):
        fa.open_log("mcap", tmp_path / "cut")[0]
    assert main(["inspect", "log=mcap", f"log.root={tmp_path / 'cut'}"]) == 2
    said = capsys.readouterr().err
    assert f"1 of 1 sample cannot be read; the first: {tmp_path / 'cut/bag.mcap'}: " in said and said.count("\n") == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(fa.DataError, match=r"holds no \.mcap file"):
        fa.open_log("mcap", tmp_path / "none").ids  # noqa: B018
