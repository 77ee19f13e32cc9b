"""Messages that are not understood: other encodings, damaged or unknown types, calibrations that change; metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ros_bags import MS, T0, Sent, header, image, imu, make, raw_bag, read_bag, store, write_bag
from steps import step_words

import fusion_aug as fa
from calib import UnknownLens
from fusion_aug.cli import main
from fusion_aug.errors import Obstacle
from fusion_aug.logs.mcap.definitions import decode, encode, has_header

pytest.importorskip("mcap")
pytest.importorskip("rosbags")
Channel = tuple[str, str, str, str, bytes]  # topic, encoding, type, encoding of the schema, schema
ODD: list[Channel] = [
    ("/camera", "json", "foxglove.CompressedImage", "jsonschema", b'{"type": "object"}'),
    ("/numbers", "json", "mine.Numbers", "jsonschema", b"{}"),
    ("/lidar", "protobuf", "foxglove.PointCloud", "protobuf", b"\x00\x01"),
    ("/old", "flatbuffer", "sensor_msgs/Image", "flatbuffer", b"uint8 x"),
    ("/broken", "cdr", "mine/msg/Odd", "ros2msg", b"int32[ this is no definition"),
    ("/bare", "cdr", "mine/msg/Bare", "ros2msg", b""),
    ("/vendor", "cdr", "mine/msg/Own", "ros2msg", b"std_msgs/Header header\nfloat64 speed\n" + b"=" * 80
     + b"\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n" + b"=" * 80
     + b"\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"),
]  # fmt: skip


def write_raw(folder: Path, channels: list[Channel], data: Callable[[str, int], bytes], count: int = 4) -> Path:
    """A recording of any channels, without metadata.yaml; its profile is not that of ROS."""
    from mcap.writer import Writer

    folder.mkdir(parents=True)
    with (folder / "made.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start(profile="mine")
        numbers = [
            writer.register_channel(topic, encoding, writer.register_schema(kind, form, text) if form else 0)
            for topic, encoding, kind, form, text in channels
        ]
        for k in range(count):
            for number, channel in zip(numbers, channels, strict=True):
                writer.add_message(number, T0 + k * MS, data(channel[0], k), T0 + k * MS - 5, sequence=k + 7)
        writer.finish()
    return folder


def noise(topic: str, k: int) -> bytes:
    if topic == "/vendor":  # stamp, frame, number
        head = np.array([(T0 + k * MS) // 10**9, (T0 + k * MS) % 10**9, 2], "<u4").tobytes() + b"a\0\0\0"
        return b"\0\1\0\0" + head + np.array([0.5]).tobytes()
    return f"{topic} {k} {{}}".encode()


def records(folder: Path) -> list[Any]:
    """Everything of the messages of a recording, with their channels and schemas, by the mcap package."""
    from mcap.reader import make_reader

    path = next(folder.rglob("*.mcap"))
    with path.open("rb") as file:
        reader = make_reader(file)
        found = [
            (c.topic, c.message_encoding, c.metadata, s and (s.name, s.encoding, s.data), m.log_time, m.publish_time,
             m.sequence, m.data)
            for s, c, m in reader.iter_messages()
        ]  # fmt: skip
        return [reader.get_header().profile, *found]


def one_step(name: str, **figures: Any) -> list[str]:
    return step_words({"a": {"_target_": f"fusion_aug.{name}", **figures}})


def test_a_recording_of_anything_is_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = write_raw(tmp_path / "bag", ODD, noise), tmp_path / "out"
    words = ["log=mcap", f"log.root={root}"]
    assert main(["run", *words, f"out={out}", "pipeline=identity"]) == 0
    assert records(out) == records(root)
    assert main(["check", str(out)]) == 0
    assert main(["inspect", *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in (
        "/camera (foxglove.CompressedImage): its messages are encoded as json",
        "/broken (mine/msg/Odd): the definition of mine/msg/Odd cannot be read",
        "the file holds no definition of mine/msg/Bare",
    ):
        assert part in said, part


@pytest.mark.parametrize(
    ("step", "stopped", "passed"),
    [
        (("Brightness", {"factor": 1.2}), ["/camera", "/old"], ["/numbers", "/lidar", "/broken", "/vendor"]),
        (("PointDropout", {"share": 0.5}), ["/lidar"], ["/camera", "/numbers", "/vendor"]),
        (("MirrorScene", {"axis": "y"}), [c[0] for c in ODD], []),
        (("SpeedWarp", {"speed": 0.8}), [c[0] for c in ODD], []),
    ],
)
def test_what_would_have_to_change_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: Any, stopped: list[str], passed: list[str]
) -> None:
    root = write_raw(tmp_path / "bag", ODD, noise)
    chosen = one_step(step[0], **step[1])
    assert main(["run", "log=mcap", f"log.root={root}", f"out={tmp_path / 'out'}", *chosen]) == 2
    said = capsys.readouterr().err
    assert [t for t in stopped if f"topic {t} (" not in said] == []
    assert [t for t in passed if f"topic {t} (" in said] == []


def test_a_user_may_tell_what_holds_no_motion(tmp_path: Path) -> None:
    root, out = write_raw(tmp_path / "bag", ODD, noise), tmp_path / "out"
    chosen = one_step("SpeedWarp", speed=0.5)
    assert main(["run", "log=mcap", f"log.root={root}", f"out={out}", *chosen, "log.restamp_only=['/*']"]) == 0
    before, after = raw_bag(root), raw_bag(out)
    for topic in before:
        assert [t - T0 for t, _ in after[topic]] == [2 * (t - T0) for t, _ in before[topic]], topic
    assert [d for t, d in after["/camera"]] == [d for _, d in before["/camera"]]
    stamps = [int(np.frombuffer(d, "<u4", 2, 4) @ np.array([10**9, 1])) for _, d in after["/vendor"]]
    assert stamps == [t for t, _ in after["/vendor"]], "a type that the file defines has a header to be stamped"
    assert main(["check", str(out)]) == 0


def test_channels_of_one_topic_keep_their_types(tmp_path: Path) -> None:
    twice: list[Channel] = [("/a", "json", f"mine.{n}", "jsonschema", f"[{n}]".encode()) for n in "AB"]
    twice.append(("/b", "json", "", "", b""))
    root, out = write_raw(tmp_path / "bag", twice, noise), tmp_path / "out"
    assert main(["run", "log=mcap", f"log.root={root}", f"out={out}", "pipeline=identity"]) == 0
    assert records(out) == records(root)


def info(k: int, focal: float) -> Any:
    K = np.array([focal, 0, 20, 0, focal, 16, 0, 0, 1])
    P = np.insert(K, [3, 6, 9], 0.0)
    return make("sensor_msgs/CameraInfo", header=header(T0 + k * MS, "cam"), height=32, width=40, k=K, p=P,
                d=np.zeros(5), r=np.eye(3).ravel(), distortion_model="plumb_bob")  # fmt: skip


def test_a_calibration_that_changes_stops_only_what_needs_it(tmp_path: Path) -> None:
    picture = np.full((32, 40, 3), 100, np.uint8)
    sent: list[Sent] = []
    for k in range(4):
        sent.append(("/cam/image_raw", T0 + k * MS, image(T0 + k * MS, picture, "rgb8")))
        sent.append(("/cam/camera_info", T0 + k * MS, info(k, 30.0 + k)))
    root, out = write_bag(tmp_path / "bag", sent), tmp_path / "out"
    sample = fa.open_log("mcap", root)[0]
    assert isinstance(sample.rig.camera("cam").model, UnknownLens)
    with pytest.raises(
        Obstacle, match=r"topic /cam/camera_info .*: FlipImage .* calibration changes within the recording"
    ):
        fa.FlipImage()(sample)
    chosen = one_step("Brightness", factor=1.2)
    assert main(["run", "log=mcap", f"log.root={root}", f"out={out}", *chosen]) == 0
    assert raw_bag(out)["/cam/camera_info"] == raw_bag(root)["/cam/camera_info"]
    assert int(np.asarray(read_bag(out)["/cam/image_raw"][0][1].data).max()) == 120
    warped, chosen = tmp_path / "warped", one_step("SpeedWarp", speed=0.5)
    assert main(["run", "log=mcap", f"log.root={root}", f"out={warped}", *chosen]) == 0
    focals = [m.k[0] for _, m in read_bag(warped)["/cam/camera_info"]]
    assert focals == [30.0, 31.0, 32.0, 33.0]


def test_a_camera_info_without_pictures_is_kept(tmp_path: Path) -> None:
    """Its camera was not recorded; a motion of the scene changes the rig and not this."""
    sent: list[Sent] = [("/cam/camera_info", T0 + k * MS, info(k, 30.0)) for k in range(4)]
    sent += [("/imu", T0 + k * MS, imu(T0 + k * MS)) for k in range(4)]
    root, out = write_bag(tmp_path / "bag", sorted(sent, key=lambda s: s[1])), tmp_path / "out"
    chosen = one_step("MirrorScene", axis="y")
    assert main(["run", "log=mcap", f"log.root={root}", f"out={out}", *chosen]) == 0
    assert raw_bag(out)["/cam/camera_info"] == raw_bag(root)["/cam/camera_info"]


@pytest.mark.parametrize("version", [8, 9])
def test_what_the_recorder_said_is_kept(tmp_path: Path, version: int) -> None:
    from mcap.reader import make_reader

    sent: list[Sent] = [("/note", T0 + k * MS, make("std_msgs/String", data=str(k))) for k in range(4)]
    nothing = {"/none": "std_msgs/msg/String"}
    root = write_bag(tmp_path / "bag", sent, version, latched=["/note"], custom={"driver": "me"}, empty=nothing)
    out = tmp_path / "out"
    chosen = one_step("SpeedWarp", speed=0.5)
    assert main(["run", "log=mcap", f"log.root={root}", f"out={out}", *chosen]) == 0
    name = "rosbag2_bagfile_information"
    old, new = (yaml.safe_load((p / "metadata.yaml").read_text())[name] for p in (root, out))
    for field in ("version", "custom_data", "ros_distro", "storage_identifier"):
        assert new[field] == old[field], field
    offered = [{t["topic_metadata"]["name"]: t["topic_metadata"] for t in m["topics_with_message_count"]}
               for m in (old, new)]  # fmt: skip
    assert offered[0] == offered[1]
    assert isinstance(offered[1]["/note"]["offered_qos_profiles"], str if version < 9 else list)
    counts = {t["topic_metadata"]["name"]: t["message_count"] for t in new["topics_with_message_count"]}
    assert counts["/none"] == 0 and counts["/note"] == new["message_count"] == len(read_bag(out)["/note"])
    assert new["duration"]["nanoseconds"] == 6 * MS
    with next(out.rglob("*.mcap")).open("rb") as file:
        held = {m.name: m.metadata for m in make_reader(file).iter_metadata()}
    inside = yaml.safe_load(held["rosbag2"]["serialized_metadata"])
    assert inside["custom_data"] == {"driver": "me"} and inside["duration"] == new["duration"]
    assert inside["topics_with_message_count"] == new["topics_with_message_count"]


def test_types_are_those_of_the_file() -> None:
    """A vendor's type of a known name with a further field is read by its own definition, and written by it."""
    types = store()
    text, _ = types.generate_msgdef("std_msgs/msg/Bool", ros_version=2)
    assert has_header("sensor_msgs/msg/Imu", "") and not has_header("std_msgs/msg/Bool", text)
    own = "bool data\nfloat64 since\n"
    data = b"\0\1\0\0" + b"\1" + bytes(7) + np.array([2.5]).tobytes()
    message = decode(data, "std_msgs/msg/Bool", own, "here")
    assert (message.data, message.since) == (True, 2.5)
    assert encode(message, "std_msgs/msg/Bool", own) == data
