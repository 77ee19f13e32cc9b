"""Recordings of the arm's joints, inertial unit and frames, with further messages that a test adds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from places import ARM
from steps import step_words

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.logs.mcap.file import McapFile, decode, encode, typestore

T0, HALF = 1_700_000_000_000_000_000, 500_000_000
RIG = "urdf: arm.urdf\nframes:\n  imu: {parent: hand}\n"
Messages = list[tuple[str, str, Any, int]]  # topic, type, message, log time


def ros(name: str) -> Any:
    package, kind = name.split("/")
    return typestore().types[f"{package}/msg/{kind}"]


def header(time: int, frame: str = "") -> Any:
    seconds, rest = divmod(time, 10**9)
    return ros("std_msgs/Header")(stamp=ros("builtin_interfaces/Time")(sec=seconds, nanosec=rest), frame_id=frame)


def tf(time: int, parent: str, child: str, x: float) -> Any:
    pose = ros("geometry_msgs/Transform")(
        translation=ros("geometry_msgs/Vector3")(x=x, y=0.0, z=0.0),
        rotation=ros("geometry_msgs/Quaternion")(x=0.0, y=0.0, z=0.0, w=1.0),
    )
    one = ros("geometry_msgs/TransformStamped")(header=header(time, parent), child_frame_id=child, transform=pose)
    return ros("tf2_msgs/TFMessage")(transforms=[one])


def recording(
    path: Path, extra: Messages = [], edit: Callable[[str, Any, int], Any] | None = None, seconds: float = 1.5  # noqa: B006
) -> Path:  # fmt: skip
    """Joints, inertial unit and frames of the arm, and other messages; returns the folder."""
    from mcap.writer import Writer

    path.parent.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, str, bytes, int]] = []
    for raw in McapFile(ARM / "mcap" / "arm.mcap").messages(topics=["/joint_states", "/imu", "/tf_static"]):
        if raw.log_time < T0 + seconds * 1e9:
            message = decode(raw.data, raw.kind, raw.definition, "arm")
            changed = message if edit is None else edit(raw.topic, message, raw.number)
            found.append((raw.topic, raw.kind, encode(changed, raw.kind), raw.log_time))
    found += [(topic, kind, encode(message, kind), time) for topic, kind, message, time in extra]
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for topic, kind, data, time in sorted(found, key=lambda m: m[3]):
            if topic not in channels:
                channels[topic] = writer.register_channel(topic, "cdr", writer.register_schema(kind, "ros2msg", b""))
            writer.add_message(channels[topic], time, data, time)
        writer.finish()
    (path.parent.parent / "arm.urdf").write_text((ARM / "arm.urdf").read_text())
    (path.parent.parent / "rig.yaml").write_text(RIG)
    return path.parent


def open_recording(folder: Path, **more: Any) -> Any:
    return fa.open_log("mcap", folder, rig=str(folder.parent / "rig.yaml"), **more)


def run(folder: Path, out: Path, transform: str, *more: str) -> int:
    """A run with a pipeline of one transform, and its check."""
    words = ["run", "log=mcap", f"log.root={folder}", f"log.rig={folder.parent / 'rig.yaml'}", f"out={out}"]
    code = main([*words, *step_words({"one": transform}), *more])
    return code or main(["check", str(out)])


def messages(path: Path, topic: str) -> list[tuple[int, Any]]:
    found = McapFile(path).messages(topics=[topic])
    return [(m.log_time - T0, decode(m.data, m.kind, m.definition, topic)) for m in found]
