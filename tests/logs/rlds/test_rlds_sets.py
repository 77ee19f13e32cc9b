"""RLDS sets, of which ``tests/data`` holds one that tensorflow-datasets made; another is made here byte by byte."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import small_logs

import fusion_aug as fa
from fusion_aug.cli import main

pytest.importorskip("google_crc32c")
TASKS = ["put the left cup on the tray", "open the drawer"]  # of tools/formats_sources.py
DARKER = "+pipeline.transforms.dark={_target_: fusion_aug.Brightness, factor: 0.8}"
MIRROR = "+pipeline.transforms.mirror={_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
WARP = "+pipeline.transforms.warp={_target_: fusion_aug.TimeWarp, slowest: 0.5, fastest: 0.5, period: [2, 6]}"
PARTS = (
    "log.parts={action: {position: [0, 3], rpy: [3, 6], gripper: [6, 7], delta: base}, "
    "observation/state: {position: [0, 3], rpy: [3, 6], other: [6, 8]}}"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_logs.rlds(tmp_path / "log")


def motion(seed: int, width: int, frames: int) -> np.ndarray:
    """As tools/formats_sources.py makes it."""
    phase, time = np.random.default_rng(seed).uniform(0, 6, width), np.arange(frames)[:, None] / 10
    return np.sin(phase + time).astype(np.float32)


def test_what_is_read_is_what_was_written(root: Path) -> None:
    log = fa.open_log("rlds", root)
    assert list(log.ids) == ["train_00000_000000", "train_00000_000001", "val_00000_000000"]
    by_text = {}
    for sample in log:
        count = len(sample["action"])
        episode = 8 - count
        assert np.array_equal(sample["action"]["value"].numpy(), motion(50 + episode, 7, count))
        assert np.array_equal(sample["state"]["value"].numpy(), motion(episode, 8, count))
        assert sample["is_last"]["event"].tolist() == [k == count - 1 for k in range(count)]
        assert sample["reward"]["event"].tolist() == [float(k == count - 1) for k in range(count)]
        by_text[episode] = list(sample["language_instruction"]["text"])
        assert sample["image"].image(0).shape == (48, 64, 3)
    assert by_text == {0: [TASKS[0]], 1: [TASKS[1]], 2: [TASKS[0]]}
    assert len(fa.open_log("rlds", root, select="val")) == 1


def test_the_format_itself_is_refused_and_others_are_written(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "log=rlds", f"log.root={root}", f"out={tmp_path / 'out'}", "pipeline=identity"]
    assert main(words) == 2
    assert "'rlds' are read here, not written" in (said := capsys.readouterr().err) and "output=folder" in said
    assert not (tmp_path / "out").exists()
    assert main([*words, "output=folder", "workers=1"]) == 0
    assert main(["check", str(tmp_path / "out")]) == 0
    before, after = fa.open_log("rlds", root)[1], fa.open_log("folder", tmp_path / "out")[1]
    assert set(before.streams) == set(after.streams)
    assert np.array_equal(before["wrist_image"].image(3).numpy(), after["wrist_image"].image(3).numpy())
    assert np.array_equal(before["action"]["value"].numpy(), after["action"]["value"].numpy())


@pytest.mark.parametrize("change", [MIRROR, WARP, DARKER], ids=["mirror", "warp", "light"])
def test_pipelines_hold_in_the_exact_format(root: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    words = [f"log.root={root}", f"out={out}", "pipeline=identity", change, PARTS, "output=folder"]
    assert main(["run", "log=rlds", *words]) == 0
    assert main(["check", str(out), PARTS]) == 0


# --- by hand ---------------------------------------------------------------------------------------------------------
def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(features: dict[str, Any]) -> bytes:
    """``tf.train.Example``, by the rules of protobuf."""
    out = b""
    for name, values in features.items():
        if isinstance(values, list):
            held = field(1, b"".join(field(1, v) for v in values))
        elif values.dtype.kind == "f":
            held = field(2, field(1, values.astype("<f4").tobytes()))
        else:
            held = field(3, field(1, b"".join(map(varint, values.ravel().tolist()))))
        out += field(1, field(1, name.encode()) + field(2, held))
    return field(1, out)


def crc(data: bytes) -> int:
    """CRC-32C bit by bit, masked."""
    found = 0xFFFFFFFF
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    found ^= 0xFFFFFFFF
    return ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(data: bytes) -> bytes:
    head = struct.pack("<Q", len(data))
    return head + struct.pack("<I", crc(head)) + data + struct.pack("<I", crc(data))


def leaf(kind: str, shape: list[int], dtype: str, **more: str) -> dict[str, Any]:
    return {"pythonClassName": "x", kind: {"shape": {"dimensions": [str(n) for n in shape]}, "dtype": dtype, **more}}


def made(root: Path, features: dict[str, Any], steps: dict[str, Any], tail: bytes = b"") -> Path:
    """A set of one episode."""
    root.mkdir()
    members = {"pythonClassName": "x", "featuresDict": {"features": features}}
    top = {"steps": {"pythonClassName": "x", "sequence": {"feature": members, "length": "-1"}}}
    (root / "features.json").write_text(json.dumps({"pythonClassName": "x", "featuresDict": {"features": top}}))
    data = record(example({f"steps/{n}": v for n, v in steps.items()}))
    (root / "own-all.tfrecord-00000-of-00001").write_bytes(data + tail)
    return root


RAW = np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3)


def test_pictures_of_numbers_and_changing_sentences(tmp_path: Path) -> None:
    grey = [cv2.imencode(".png", p[..., 0])[1].tobytes() for p in RAW]
    features = {
        "frame": leaf("tensor", [4, 5, 3], "uint8"), "grey": leaf("image", [-1, -1, 1], "uint8", encodingFormat="png"),
        "text": {"pythonClassName": "x", "text": {}}, "ragged": leaf("tensor", [-1], "float32"),
        "zipped": leaf("tensor", [2], "float32", encoding="zlib"), "grip": leaf("tensor", [], "float32"),
    }  # fmt: skip
    steps = {
        "frame": RAW, "grey": grey, "text": [b"a", b"a", "\u00e9".encode()], "ragged": np.zeros(1, np.float32),
        "zipped": [b"x"], "grip": np.array([0.5, 1, 2], np.float32),
    }  # fmt: skip
    log = fa.open_log("rlds", made(tmp_path / "log", features, steps), rate=4)
    sample = log[0]
    assert set(sample.streams) == {"frame", "grey", "text", "grip"}
    assert all(np.array_equal(sample["frame"].image(k).numpy(), RAW[k]) for k in range(3))
    assert np.array_equal(sample["grey"].image(2).numpy(), RAW[2, ..., :1].repeat(3, -1))
    assert list(sample["text"]["text"]) == ["a", "\u00e9"] and sample["text"].capture_times.tolist() == [0, 500_000_000]
    assert {"unread ragged", "unread zipped", "feature grip"} <= set(log.fields()["features.json"])


@pytest.mark.parametrize(("steps", "said"), [
    ({"grip": np.zeros(5, np.float32)}, "5 numbers are no whole rows of"),
    ({"grip": np.zeros(0, np.float32)}, "has 0 steps"),
    ({}, "steps/grip: is missing"),
    ({"grip": [b"x", b"y"]}, "is not of float32"),
])  # fmt: skip
def test_steps_that_are_not_as_described(tmp_path: Path, steps: dict[str, Any], said: str) -> None:
    root = made(tmp_path / "log", {"grip": leaf("tensor", [2], "float32")}, steps)
    with pytest.raises(fa.DataError, match=f"record at byte 0: .*{said}"):
        fa.open_log("rlds", root)[0]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(("damage", "said"), [
    (lambda d: flipped(d, 2), "the checksum of its length is another"),
    (lambda d: flipped(d, 9), "the checksum of its length is another"),
    (lambda d: flipped(d, 40), "its checksum is another"),
    (lambda d: flipped(d, len(d) - 1), "its checksum is another"),
    (lambda d: d[:-5], "more than there are"),
    (lambda d: d + b"\0" * 7, "is cut off"),
    (lambda d: struct.pack("<Q", 2**40) + struct.pack("<I", crc(struct.pack("<Q", 2**40))) + d, "1,099,511,627,776"),
    (lambda d: record(b"\x0a\xff\xff\xff\xff\x0f"), "is no example of TensorFlow"),
])  # fmt: skip
def test_damaged_records_are_named(tmp_path: Path, damage: Any, said: str) -> None:
    root = made(tmp_path / "log", {"grip": leaf("tensor", [2], "float32")}, {"grip": np.zeros(4, np.float32)})
    path = next(root.glob("*.tfrecord*"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(fa.DataError, match=f"{path.name}: record .*{said}"):
        fa.open_log("rlds", root)[0]


@pytest.mark.parametrize(("info", "said"), [
    ({"fileFormat": "array_record"}, "fileFormat: files of the kind tfrecord are read"),
    ({"splits": [{"name": "all", "shardLengths": [str(10**12)]}]}, "are more than .* can hold"),
    ({"splits": [{"name": "all", "shardLengths": ["2"]}]}, "holds 1 episodes"),
])  # fmt: skip
def test_facts_that_do_not_fit(tmp_path: Path, info: dict[str, Any], said: str) -> None:
    root = made(tmp_path / "log", {"grip": leaf("tensor", [2], "float32")}, {"grip": np.zeros(4, np.float32)})
    (root / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(fa.DataError, match=said):
        fa.open_log("rlds", root)[-1]


def test_features_of_another_layout_are_named(tmp_path: Path) -> None:
    root = made(tmp_path / "log", {"grip": leaf("tensor", [2], "float32")}, {"grip": np.zeros(4, np.float32)})
    for text, said in (('{"type": "old"}', "pythonClassName"), ("[]", "pythonClassName"), ("{", "not valid JSON")):
        (root / "features.json").write_text(text)
        with pytest.raises(fa.DataError, match=f"features.json: .*{said}"):
            fa.open_log("rlds", root)[0]
