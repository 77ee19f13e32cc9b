"""ROS messages with every field filled, made with rosbags; streams of them, and messages of these again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rosbags.typesys import Stores, get_typestore

import fusion_aug as fa
from calib import Frame, Rig
from calib.se3 import rotation_about, se3
from calib.trajectory import Trajectory
from fusion_aug.logs.mcap.messages import READERS, ReceivedMessage, common_fields
from fusion_aug.logs.mcap.writing import to_message
from fusion_aug.sample import Ref, SampleMeta

STORE = get_typestore(Stores.ROS2_HUMBLE)
T0, STEP = 1_700_000_000_000_000_000, 100_000_000
BASE, MOUNTED = "base_link", "mounted"  # the frame of reference, and one that is fixed on it
SQUARES = (9, 36)  # numbers of a covariance
TEXTS = {"frame_id": BASE, "child_frame_id": "tool"}


def stamp(time: int) -> Any:
    return STORE.types["builtin_interfaces/msg/Time"](sec=time // 10**9, nanosec=time % 10**9)


def filled(kind: str, rng: np.random.Generator, time: int = T0, types: Any = STORE, count: int = 3) -> Any:
    """A message whose every field says something: quaternions of length 1, covariances that are some, lists of 3."""
    if kind == "builtin_interfaces/msg/Time":
        return types.types[kind](sec=time // 10**9, nanosec=time % 10**9)
    if kind == "geometry_msgs/msg/Quaternion":
        x, y, z, w = (float(v) for v in _unit(rng.normal(size=4)))
        return types.types[kind](x=x, y=y, z=z, w=w)
    fields = {name: _value(node, name, rng, time, types, count) for name, node in types.fielddefs[kind][1]}
    return types.types[kind](**fields)


def _unit(q: np.ndarray) -> np.ndarray:
    return q / np.linalg.norm(q)


def _value(node: Any, name: str, rng: np.random.Generator, time: int, types: Any, count: int) -> Any:
    kind, what = int(node[0]), node[1]
    if kind == 1:
        return _plain(what[0], name, rng)
    if kind == 2:
        return filled(what, rng, time, types, count)
    element, number = what
    number = number if kind == 3 and number else count
    if int(element[0]) == 2:
        return [filled(element[1], rng, time, types, count) for _ in range(number)]
    if element[1][0] == "string":
        return [f"{name}{i}" for i in range(number)]
    if number in SQUARES:
        size = round(number**0.5)
        root = rng.normal(size=(size, size))
        return (root @ root.T).reshape(-1)
    return rng.uniform(1, 9, number).astype(element[1][0])


def _plain(kind: str, name: str, rng: np.random.Generator) -> Any:
    if kind == "string":
        return TEXTS.get(name, f"a {name}")
    if kind == "bool":
        return True
    if kind.startswith("float"):
        return float(np.float32(rng.uniform(0.1, 0.9)))
    return int(rng.integers(1, 3))


def series(
    kind: str, frame: str = BASE, count: int = 6, seed: int = 0, types: Any = STORE, child: str = "tool"
) -> list[Any]:
    """Messages at 10 Hz whose headers, where they have one, name a frame, and that of a child."""
    rng = np.random.default_rng(seed)
    out = []
    for k in range(count):
        message = filled(kind, rng, T0 + k * STEP, types)
        if hasattr(message, "header"):
            message = replace(message, header=replace(message.header, frame_id=frame))
        if message.__msgtype__ == "nav_msgs/msg/Path":
            poses = [replace(p, header=replace(p.header, frame_id="")) for p in message.poses]
            message = replace(message, poses=poses)
        if hasattr(message, "child_frame_id"):
            message = replace(message, child_frame_id=child)
        out.append(message)
    return out


def received(messages: list[Any]) -> list[ReceivedMessage]:
    """As a reader takes them, logged when they were stamped."""
    times = [T0 + k * STEP for k in range(len(messages))]
    return [
        ReceivedMessage(message=m, source=None, frame="", time=t, log_time=t, position_in_topic=k)
        for k, (m, t) in enumerate(zip(messages, times, strict=True))
    ]


def stream_of(messages: list[Any], frame: str = BASE) -> Any:
    """The stream of messages of one topic."""
    found = received(messages)
    return READERS[messages[0].__msgtype__](found, common_fields(found, frame), "bag: topic /t")


def rig() -> Rig:
    """A base that drives a curve through the world, a frame that is mounted on it at a yaw, and a tool."""
    times = torch.arange(T0 - 10 * STEP, T0 + 40 * STEP, STEP)
    s = (times - T0) * 1e-9
    tilt = rotation_about("y", 0.05)
    turns = [rotation_about("z", 0.3 + 0.2 * t) @ tilt for t in s.tolist()]
    poses = torch.stack([se3(R, [3.0 * t, 0.4 * t * t, 0.1]) for R, t in zip(turns, s.tolist(), strict=True)])
    return Rig(
        {
            "world": Frame(axis_convention="world"),
            BASE: Frame(parent="world", pose=Trajectory.from_unsorted(times, poses)),
            MOUNTED: Frame(parent=BASE, pose=se3(rotation_about("z", 0.4), [0.2, 0.1, 0.5])),
            "tool": Frame(parent=BASE, pose=se3(translation=[0.5, 0, 0.2])),
        },
        {},
    )


def sample_of(messages: list[Any], frame: str = BASE, sensors: dict[str, Any] | None = None) -> fa.Sample:
    """A sample with the stream ``t`` of messages, in a rig whose anchor is the identity."""
    made = rig()
    made = Rig(made.frames, sensors or {})
    meta = SampleMeta(id="s", scene="s", ref=Ref(BASE, T0), rig=made, true_rig=made, clock="t")
    return fa.Sample(metas=(meta,), streams={"t": stream_of(messages, frame)})


def after(messages: list[Any], transform: Any, frame: str = BASE, sensors: dict[str, Any] | None = None) -> list[Any]:
    """Pairs (message that an item was made from, message of the item) after a transform."""
    out = transform(sample_of(messages, frame, sensors), seed=0)["t"]
    templates = [messages[int(r)] for r in out.records]
    return [(template, to_message(out, i, template)) for i, template in enumerate(templates)]
