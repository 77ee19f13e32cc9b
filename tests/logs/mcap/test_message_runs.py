"""Recordings of a mobile robot, made and read with rosbags: what runs make of all its topics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ros_messages import STORE, T0, filled, stamp
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys.store import Typestore
from steps import step_words

import fusion_aug as fa
from fusion_aug.cli import main

STEP = 50_000_000
TOPICS = {  # topic -> type, frame
    "/imu": ("sensor_msgs/msg/Imu", "imu"),
    "/odom": ("nav_msgs/msg/Odometry", "odom"),
    "/cmd_vel": ("geometry_msgs/msg/Twist", ""),
    "/scan": ("sensor_msgs/msg/LaserScan", "laser"),
    "/plan": ("nav_msgs/msg/Path", "odom"),
    "/particles": ("geometry_msgs/msg/PoseArray", "odom"),
    "/mag": ("sensor_msgs/msg/MagneticField", "imu"),
    "/sonar": ("sensor_msgs/msg/Range", "laser"),
    "/battery": ("sensor_msgs/msg/BatteryState", "imu"),
}


def make(kind: str, **fields: Any) -> Any:
    return STORE.types[kind](**fields)


def tf(time: int, parent: str, child: str, x: float, yaw: float = 0.0) -> Any:
    head = make("std_msgs/msg/Header", stamp=stamp(time), frame_id=parent)
    turn = make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=float(np.sin(yaw / 2)), w=float(np.cos(yaw / 2)))
    shift = make("geometry_msgs/msg/Vector3", x=x, y=0.1 * x, z=0.0)
    pose = make("geometry_msgs/msg/Transform", translation=shift, rotation=turn)
    one = make("geometry_msgs/msg/TransformStamped", header=head, child_frame_id=child, transform=pose)
    return make("tf2_msgs/msg/TFMessage", transforms=[one])


def messages(more: dict[str, tuple[str, str]]) -> list[tuple[str, int, Any]]:
    rng, out = np.random.default_rng(0), []
    out += [("/tf_static", T0, tf(T0, "base_link", c, 0.2)) for c in ("imu", "laser")]
    for k in range(12):
        time = T0 + k * STEP
        out.append(("/tf", time, tf(time, "odom", "base_link", 0.1 * k, 0.05 * k)))
        for topic, (kind, frame) in {**TOPICS, **more}.items():
            m = filled(kind, rng, time)
            if hasattr(m, "header"):
                m = replace(m, header=replace(m.header, frame_id=frame))
            if kind.endswith("/Odometry"):
                m = replace(m, child_frame_id="")
            if kind.endswith("/Path"):
                m = replace(m, poses=[replace(p, header=replace(p.header, frame_id=frame)) for p in m.poses])
            out.append((topic, time, m))
    return out


def bag(folder: Path, more: dict[str, tuple[str, str]] | None = None) -> Path:
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        known: dict[str, Any] = {}
        for topic, time, message in messages(more or {}):
            kind = message.__msgtype__
            if topic not in known:
                known[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(known[topic], time, STORE.serialize_cdr(message, kind))
    return folder


def read(folder: Path, types: Any = STORE) -> dict[str, list[tuple[int, Any]]]:
    out: dict[str, list[tuple[int, Any]]] = {}
    with Reader(folder) as reader:
        for connection, time, raw in reader.messages():
            out.setdefault(connection.topic, []).append((time, types.deserialize_cdr(raw, connection.msgtype)))
    return out


def run(folder: Path, transform: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, Path, str]:
    """Run one transform and check it; returns the exit code, the output, and what was said."""
    out = folder.parent / "out"
    words = ["run", "log=mcap", f"log.root={folder}", f"out={out}", *step_words({"one": transform})]
    code = main([*words, *more]) or main(["check", str(out)])
    told = capsys.readouterr()
    return code, out, told.out + told.err


def test_a_mirrored_recording_is_mirrored_in_every_topic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bag(tmp_path / "bag")
    code, out, told = run(folder, "{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}", capsys)
    assert code == 0, told
    before, after = read(folder), read(out)
    assert {t: len(m) for t, m in after.items()} == {t: len(m) for t, m in before.items()}
    for topic, found in after.items():
        for (old_time, old), (new_time, new) in zip(before[topic], found, strict=True):
            assert new_time == old_time and getattr(new, "header", None) == getattr(old, "header", None)
    for (_, old), (_, new) in zip(before["/cmd_vel"], after["/cmd_vel"], strict=True):
        assert (new.linear.y, new.angular.z) == (-old.linear.y, -old.angular.z)
        assert (new.linear.x, new.angular.y) == (old.linear.x, old.angular.y)
    for (_, old), (_, new) in zip(before["/odom"], after["/odom"], strict=True):
        assert new.pose.pose.position.y == pytest.approx(-old.pose.pose.position.y)
        assert new.twist.twist.angular.z == pytest.approx(-old.twist.twist.angular.z)
    for (_, old), (_, new) in zip(before["/battery"], after["/battery"], strict=True):
        assert repr(new) == repr(old)


def test_a_faster_recording_moves_every_stamp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bag(tmp_path / "bag")
    code, out, told = run(folder, "{_target_: fusion_aug.SpeedWarp, speed: 1.25}", capsys)
    assert code == 0, told
    before, after = read(folder), read(out)
    length = 11 * STEP / 1.25
    for topic in ("/scan", "/plan", "/particles", "/sonar", "/battery"):  # items at new times
        assert len(after[topic]) == 12
        for k, (time, message) in enumerate(after[topic]):
            assert time - T0 == message.header.stamp.sec * 10**9 + message.header.stamp.nanosec - T0 == k * STEP / 1.25
    for _, plan in after["/plan"]:
        assert all(p.header.stamp == plan.header.stamp for p in plan.poses)
    for topic in ("/imu", "/odom", "/cmd_vel", "/mag"):  # signals at their old rate
        times = [t - T0 for t, _ in after[topic]]
        assert set(np.diff(times)) == {STEP} and times[-1] <= length < times[-1] + STEP
    assert after["/scan"][3][1].scan_time == pytest.approx(before["/scan"][3][1].scan_time / 1.25)


def test_all_that_is_in_the_way_is_named_before_the_first_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"/fix": ("sensor_msgs/msg/NavSatFix", "imu"), "/marker": ("visualization_msgs/msg/MarkerArray", "")}
    folder = bag(tmp_path / "bag", more)
    code, out, told = run(folder, "{_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}", capsys)
    assert code == 2 and not list(out.glob("**/*.mcap"))
    assert "a position on the earth cannot be mirrored or scaled; leave the topic out with log.exclude" in told
    assert "topic /marker (visualization_msgs/msg/MarkerArray)" in told and "log.no_geometry" in told


def test_commands_without_a_frame_are_of_the_body(tmp_path: Path) -> None:
    sample = fa.open_log("mcap", bag(tmp_path / "bag"))[0]
    turned = fa.RotateScene(yaw_deg=90)(sample, seed=0)
    old, new = sample["cmd_vel"]["velocity"].numpy(), turned["cmd_vel"]["velocity"].numpy()
    assert sample["cmd_vel"].frame == "base_link" and np.allclose(new, old[:, [1, 0, 2]] * [-1, 1, 1])


def test_the_folder_format_holds_every_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bag(tmp_path / "bag")
    code, out, told = run(folder, "{_target_: fusion_aug.ScaleScene, scale: 1.2}", capsys, "output=folder")
    assert code == 0, told
    source, scaled = fa.open_log("mcap", folder)[0], fa.open_log("folder", out)[0]
    assert torch.equal(scaled["particles"]["pose"][:, :3, 3], 1.2 * source["particles"]["pose"][:, :3, 3])
    assert torch.allclose(scaled["scan"]["range"], 1.2 * source["scan"]["range"])
    assert torch.equal(scaled["imu"]["orientation"], source["imu"]["orientation"])


# --- types of a vendor -----------------------------------------------------------------------------------------------
PLANTED = ("Image", "CameraInfo", "PointCloud2", "JointState", "Imu", "LaserScan")


def vendor_types() -> Typestore:
    """Types of ROS with a text, a flag and a whole number more."""
    store, own = Typestore(), {}
    for name in PLANTED:
        kind = f"sensor_msgs/msg/{name}"
        head, *rest = STORE.generate_msgdef(kind)[0].split("=" * 80)
        more = "string serial_number\nbool is_warm\nuint16[] lots\n"
        own |= get_types_from_msg("".join([f"{head.rstrip()}\n{more}", *("=" * 80 + r for r in rest)]), kind)
    store.register({n: f for n, f in STORE.fielddefs.items() if n not in own} | own)
    return store


def vendor_messages(store: Typestore, with_joints: bool) -> list[tuple[str, int, Any]]:
    rng, out = np.random.default_rng(0), []
    out += [("/tf_static", T0, tf(T0, "base_link", c, 0.2)) for c in ("imu", "laser", "camera")]
    kinds = {"/cam/image_raw": "Image", "/cam/camera_info": "CameraInfo", "/points": "PointCloud2", "/imu": "Imu",
             "/scan": "LaserScan"} | ({"/joint_states": "JointState"} if with_joints else {})  # fmt: skip
    floats = [
        make("sensor_msgs/msg/PointField", name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")
    ]
    own = {
        "Image": {"height": 4, "width": 6, "step": 18, "encoding": "rgb8", "is_bigendian": 0,
                  "data": rng.integers(0, 200, 72, np.uint8)},
        "CameraInfo": {"height": 4, "width": 6, "distortion_model": "plumb_bob", "d": np.zeros(5), "binning_x": 0,
                       "k": np.array([5.0, 0, 2.5, 0, 5, 1.5, 0, 0, 1]), "r": np.eye(3).reshape(-1), "binning_y": 0,
                       "p": np.array([5.0, 0, 2.5, 0, 0, 5, 1.5, 0, 0, 0, 1, 0]),
                       "roi": make("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0,
                                   do_rectify=False)},
        "PointCloud2": {"height": 1, "width": 5, "fields": floats, "is_bigendian": False, "point_step": 12,
                        "row_step": 60, "is_dense": True,
                        "data": rng.uniform(1, 5, 15).astype("<f4").view(np.uint8).copy()},
        "JointState": {"name": ["a", "b", "c"]},
    }  # fmt: skip
    frames = {"Image": "camera", "CameraInfo": "camera", "Imu": "imu", "JointState": ""}
    for k in range(12):
        time = T0 + k * STEP
        out.append(("/tf", time, tf(time, "odom", "base_link", 0.1 * k, 0.05 * k)))
        for topic, name in kinds.items():
            m = filled(f"sensor_msgs/msg/{name}", rng, time, store)
            m = replace(m, header=replace(m.header, frame_id=frames.get(name, "laser")), **own.get(name, {}))
            out.append((topic, time, m))
    return out


@pytest.mark.parametrize("motion", ["MirrorScene, axis: y, p: 1.0", "SpeedWarp, speed: 1.25"])
def test_what_a_vendor_added_stays_in_every_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], motion: str
) -> None:
    store, folder = vendor_types(), tmp_path / "bag"
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        known: dict[str, Any] = {}
        for topic, time, message in vendor_messages(store, "Speed" in motion):
            kind = message.__msgtype__
            if topic not in known:
                known[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(known[topic], time, store.serialize_cdr(message, kind))
    code, out, told = run(folder, f"{{_target_: fusion_aug.{motion}}}", capsys)
    assert code == 0, told
    before, after = read(folder, store), read(out, store)
    assert set(after) == set(before) and "/scan" in after
    changed = 0
    for topic in set(after) - {"/tf", "/tf_static"}:
        by_serial = {m.serial_number for _, m in before[topic]}
        for _, message in after[topic]:
            assert message.serial_number in by_serial and message.is_warm
            assert any(message.lots.tolist() == m.lots.tolist() for _, m in before[topic])
        changed += repr(after[topic][5][1]) != repr(before[topic][5][1])
    assert changed >= 4
