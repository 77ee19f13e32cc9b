"""Readings of joints by name, from all streams of a sample."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.streams import JointState, RobotState, Stream
from fusion_aug.streams.naming import SET_MARK, message_of


def streams_within(name: str, streams: Iterable[str]) -> list[str]:
    """Those of the streams that hold what is of the topic or vector whose stream is called ``name``."""
    return [n for n in streams if n == name or n.startswith(f"{name}{SET_MARK}")]


def joint_readings(
    streams: Mapping[str, Stream], joints: Container[str], where: str
) -> dict[str, tuple[Tensor, Tensor]]:
    """Collect the readings of joints from all ``JointState`` and ``RobotState`` streams.

    Args:
        streams: of a sample.
        joints: names of the joints that are wanted.
        where: the log, for messages.

    Returns:
        joint -> times (k,), int64 ns, increasing, and positions (k,), float64, rad or m.

    Raises:
        ConfigError: two streams have readings of one joint.
        DataError: a reading is NaN or infinite.
    """
    out: dict[str, tuple[Tensor, Tensor]] = {}
    stream_of_joint: dict[str, str] = {}
    for name, stream in streams.items():
        column = "position" if isinstance(stream, JointState) else "joint_position"
        if not isinstance(stream, JointState | RobotState) or column not in stream.values or not len(stream):
            continue
        new = torch.cat([torch.ones(1, dtype=torch.bool), stream.capture_times.diff() > 0])  # a late one is repeated
        for i, joint in enumerate(stream.names):
            if joint not in joints:
                continue
            if joint in out:
                first = stream_of_joint[joint]
                if message_of(first) != message_of(name):
                    raise ConfigError(
                        f"log.targets: joint {joint!r} is read from both {first!r} and {name!r}; name the one that "
                        f"holds commands, or leave one of them out with log.exclude"
                    )
            wrong = (~torch.isfinite(stream.values[column][:, i])).nonzero()[:, 0]
            if len(wrong):
                raise DataError(
                    f"{where}: stream {name!r}: the position of joint {joint!r} is NaN or infinity at "
                    f"{int(stream.capture_times[wrong[0]])} ns; leave the stream out with log.exclude or correct it"
                )
            stream_of_joint[joint] = name
            found = (stream.capture_times[new], stream.values[column][new, i].to(torch.float64))
            out[joint] = _in_order(out[joint], found) if joint in out else found
    return out


def _in_order(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Readings of one joint from messages of one topic with other columns or joints, by time; each time once."""
    times, values = torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])
    times, order = times.sort(stable=True)
    first = torch.cat([torch.ones(1, dtype=torch.bool), times.diff() > 0])
    return times[first], values[order][first]
