"""Recordings longer than the memory: read once, as they lie; changed by pictures, written by messages."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ros_bags import MS, T0, header, image, make, raw_bag, stamp, store, tf, write_bag

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.mcap import chunks, encoding
from fusion_aug.logs.mcap import file as mcap_file
from fusion_aug.streams import recent

pytest.importorskip("mcap")
FRAMES, SIZE = 60, (120, 160)  # 58 kB a picture, some 20 of them in a chunk
PIXELS = "/cam/image_raw"


def picture(k: int) -> np.ndarray:
    small = np.random.default_rng(k).integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8)
    return np.kron(small, np.ones((8, 8, 1), np.uint8))


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, CameraInfo and tf at 10 Hz, and raw messages of 100 kB whose type has no rule."""
    K = np.array([150.0, 0, 79.5, 0, 150.0, 59.5, 0, 0, 1])
    sent = [("/tf_static", T0, tf(T0, "base_link", "cam", 0.2, 0, 0))]
    for k in range(FRAMES):
        time = T0 + k * 100 * MS
        info = make(
            "sensor_msgs/CameraInfo", header=header(time, "cam"), height=SIZE[0], width=SIZE[1],
            distortion_model="plumb_bob", d=np.zeros(5), k=K, r=np.eye(3).ravel(),
            p=np.insert(K.reshape(3, 3), 3, 0.0, 1).ravel(),
        )  # fmt: skip
        sent += [
            (PIXELS, time, image(time, picture(k), "rgb8")),
            ("/cam/camera_info", time, info),
            ("/tf", time, tf(time, "odom", "base_link", 0.1 * k, 0, 0)),
            ("/log", time + 1, make("std_msgs/String", data=f"{k:05d}" * 20_000)),
        ]
    return write_bag(tmp_path_factory.mktemp("size") / "bag", sent)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a file was opened, and how many of its chunks were unpacked."""
    count: Counter[str] = Counter()
    for module in (mcap_file, chunks):
        opens = module.open_for_parts

        def counted(path: Path, opens: Any = opens) -> Any:
            count["opened"] += 1
            return opens(path)

        monkeypatch.setattr(module, "open_for_parts", counted)
    unpack = chunks._unpacked

    def counted_chunk(*args: Any) -> bytes:
        count["chunks"] += 1
        return unpack(*args)

    monkeypatch.setattr(chunks, "_unpacked", counted_chunk)
    return count


def messages(root: Path, topic: str) -> list[tuple[int, Any]]:
    types, kind = store(), {PIXELS: "sensor_msgs/msg/Image", "/log": "std_msgs/msg/String"}[topic]
    return [(time, types.deserialize_cdr(data, kind)) for time, data in raw_bag(root)[topic]]


def in_file(bag: Path) -> int:
    from mcap.reader import make_reader

    with next(bag.glob("*.mcap")).open("rb") as file:
        return len(make_reader(file).get_summary().chunk_indexes)


@pytest.mark.parametrize("pipeline", ["identity", "photometric", "timewarp"])
def test_a_run_reads_every_chunk_a_few_times(bag: Path, tmp_path: Path, reads: Counter[str], pipeline: str) -> None:
    """Once to know what is there, once to write; and the first messages of topics, for what is refused."""
    assert in_file(bag) > 5
    assert main(["run", "log=mcap", f"log.root={bag}", f"out={tmp_path}/out", f"pipeline={pipeline}"]) == 0
    assert reads["chunks"] <= 3 * in_file(bag) + 6
    assert reads["opened"] <= 2 * in_file(bag) + 25


def test_windows_do_not_read_the_whole_recording_each(bag: Path, tmp_path: Path, reads: Counter[str]) -> None:
    words = [f"log.root={bag}", f"out={tmp_path}/out", "pipeline=photometric", "log.window=1.0"]
    assert main(["run", "log=mcap", *words]) == 0
    assert len(list((tmp_path / "out").glob("*/*.mcap"))) == 6
    assert reads["chunks"] <= 8 * in_file(bag)


def test_no_picture_is_held_while_a_recording_is_written(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "MOST_BYTES", 5 * 3 * SIZE[0] * SIZE[1])
    log = fa.open_log("mcap", bag)
    source = log[0]
    out = fa.Compose([fa.Brightness(factor=0.7), fa.GaussianNoise(sigma=0.02)])(source, seed=1)
    items = [*source["cam"].items, *out["cam"].items, *(i.stream.items[k] for k, i in enumerate(out["cam"].items))]
    most = 0
    change = encoding.picture_message

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal most
        made = change(*args, **kwargs)
        most = max(most, sum(recent.VALUE in vars(i) for i in items))
        return made

    monkeypatch.setattr(encoding, "picture_message", counted)
    log.writer(tmp_path).stage(out, source, source.id, tmp_path)
    assert 0 < most <= 6
    at_once = fa.Compose([fa.Brightness(factor=0.7), fa.GaussianNoise(sigma=0.02)])(source.realized(), seed=1)
    written = messages(tmp_path, PIXELS)
    assert len(written) == FRAMES
    for k, (_, message) in enumerate(written):
        assert np.array_equal(message.data.reshape(*SIZE, 3), at_once["cam"].image(k).numpy())


def test_what_is_not_understood_gets_new_stamps_message_by_message(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "KEPT_BYTES", 2**20)
    log = fa.open_log("mcap", bag)
    source = log[0]
    warp = fa.SpeedWarp(speed=2.0)(source, seed=1)
    tracemalloc.start()
    log.writer(tmp_path).stage(warp, source, source.id, tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.7 * FRAMES * (100_000 + 3 * SIZE[0] * SIZE[1])
    before, after = messages(bag, "/log"), messages(tmp_path, "/log")
    assert [m.data for _, m in after] == [m.data for _, m in before]
    logged = np.array([t for t, _ in after])
    assert abs(np.diff(logged) - 50 * MS).max() <= 1
    before, after = messages(bag, PIXELS), messages(tmp_path, PIXELS)
    assert [m.data.tobytes() for _, m in after] == [m.data.tobytes() for _, m in before]
    assert abs(np.diff([stamp(m) for _, m in after]) - 50 * MS).max() <= 1


def test_a_written_recording_is_packed_as_its_source_was(bag: Path, tmp_path: Path) -> None:
    from mcap.reader import make_reader

    assert main(["run", "log=mcap", f"log.root={bag}", f"out={tmp_path}/out", "pipeline=identity"]) == 0
    kinds = []
    for folder in (bag, tmp_path / "out"):
        with next(folder.glob("*.mcap")).open("rb") as file:
            kinds.append({c.compression for c in make_reader(file).get_summary().chunk_indexes})
    assert kinds[0] == kinds[1] == {""}


def test_a_dry_run_tells_the_memory_of_a_run(bag: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "log=mcap", f"log.root={bag}", f"out={tmp_path}/out", "pipeline=photometric"]
    figures = []
    for more, told in (
        (["dry_run=true"], r"up to about (\d+) MiB of memory"),
        ([], r"memory of a process +up to (\d+)"),
    ):
        assert main([*words, *more]) == 0
        found = re.search(told, capsys.readouterr().out)
        assert found is not None
        figures.append(int(found[1]))
    assert figures[0] == pytest.approx(figures[1], rel=0.25)
