"""Topics of plain numbers (MultiArray) whose meaning the user tells with ``log.parts``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from calib import Rig
from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.parts import Parts, check_cover, read_parts
from fusion_aug.logs.core.robots import BASE
from fusion_aug.logs.core.rotation_checks import check_rotations
from fusion_aug.logs.core.vectors import vector_stream
from fusion_aug.logs.mcap.opaque import RawMessages
from fusion_aug.streams import Stream, Wrench
from fusion_aug.streams.vectors import OF_THE_TOOL

NUMBERS = ("std_msgs/msg/Float32MultiArray", "std_msgs/msg/Float64MultiArray")


def told_parts(parts: Any, topics: Collection[str]) -> dict[str, Parts]:
    """Topic -> the meaning of its numbers, of ``log.parts`` or ``parts`` of the rig file.

    Raises:
        ConfigError: it is no mapping, names no topic, or has what messages of numbers have no place for.
    """
    if parts is None:
        return {}
    if not isinstance(parts, Mapping):
        raise ConfigError(f"log.parts: expected a mapping of topics to their columns, got {parts!r}")
    out = {}
    for topic, declared in parts.items():
        where = f"log.parts.{topic}"
        if topic not in topics:
            raise ConfigError(f"log.parts: the log has no topic {topic!r} (it has {', '.join(sorted(topics))})")
        found = out[str(topic)] = read_parts(declared, where)
        if found.hands:
            raise ConfigError(f"{where}.{next(iter(found.hands))}: several hands in one message are not read")
        scaled = [c for c, (*_, factor) in found.columns.items() if factor != 1]
        if scaled or found.window is not None:
            what = f"{scaled[0]}: a factor" if scaled else "window"
            raise ConfigError(f"{where}.{what} is for rows of tables; messages hold SI units, one sample each")
    return out


def told_stream(stream: Stream, topic: str, kind: str, parts: Parts, joints: tuple[str, ...], command: bool) -> Stream:
    """The stream of a topic of numbers by their meaning.

    Args:
        stream: as it is read. topic: its name. kind: its type. parts: told of it. joints: of the robot.
        command: whether the topic holds commands; where the parts are changes per step it does.

    Raises:
        ConfigError: it holds no numbers, or others than are told.
    """
    where = f"log.parts.{topic}"
    if kind not in NUMBERS:
        raise ConfigError(f"{where}: its type is {kind}; parts are told of {' and '.join(NUMBERS)}")
    if not isinstance(stream, RawMessages) or "value" not in stream.values:
        raise ConfigError(f"{where}: its messages hold different counts of numbers; leave it out with log.exclude")
    value = stream.values["value"]
    check_cover(parts.columns, value.shape[1], where)
    fields = {n: getattr(stream, n) for n in ("frame", "capture_times", "receive_times", "records")}
    changes = any(c == "command" or c.startswith(("delta_", OF_THE_TOOL, "joint_delta")) for c in parts.columns)
    made = vector_stream(topic, value, parts, [], joints, fields, is_command=command or changes)
    check_rotations(value.numpy(), parts, topic)
    return made


def in_their_frames(streams: Mapping[str, Stream], told: Mapping[str, Parts], rig: Rig, base: str) -> dict[str, Stream]:
    """The streams with those that are told of in the robot's base, where no other frame is told.

    Args:
        streams: of a sample. told: stream -> its parts. rig: whose frames they may be in. base: its reference frame.

    Raises:
        ConfigError: a frame has no pose, or none is told of a wrench.
    """
    out = dict(streams)
    for name, parts in told.items():
        for word, frame in (("frame", parts.frame), ("tool", parts.tool)):
            if frame and (frame not in rig.frames or rig.root_of(frame) != rig.root_of(base)):
                raise ConfigError(
                    f"log.parts: {name}: {word}: nothing tells the pose of {frame!r} in the rig of {base!r}; give it "
                    f"with log.rig, log.urdf or tf (there are {', '.join(rig.frames)})"
                )
        stream = out.get(name)
        if stream is not None and not parts.frame and stream.frame == BASE and not isinstance(stream, Wrench):
            out[name] = replace(stream, frame=base)
    return out


def write_numbers(stream: Stream, template: Any, i: int) -> Any:
    """The message of item ``i``: its columns are in the order of its numbers."""
    rows = [v[i].reshape(-1) for v in stream.values.values() if isinstance(v, torch.Tensor)]
    old = np.asarray(template.data)
    return replace(template, data=torch.cat([r.to(torch.float64) for r in rows]).numpy().astype(old.dtype))
