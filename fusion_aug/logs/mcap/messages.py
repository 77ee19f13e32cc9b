"""ROS 2 messages to streams: one reader per type. Their writers are in ``writing``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import rotation_from_quaternion, se3
from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.opaque import LEAVE_OUT, RawMessages
from fusion_aug.streams import Stream


@dataclass(frozen=True)
class ReceivedMessage:
    """One decoded message with its times.

    Attributes:
        message: as rosbags returns it; None for pictures and clouds, which are decoded later.
        source: its place in the file. frame: its frame_id. time: header stamp, else log time, ns. log_time: ns.
        first_stamp: ns, of the first transform of a tf message that moves; None of others.
        place: among the topic's messages of the window, in the order of log times.
    """

    message: Any
    source: Any
    frame: str
    time: Any
    log_time: int
    position_in_topic: int = 0
    first_stamp: int | None = None


Reader = Callable[[list[ReceivedMessage], dict[str, Any], str], Stream]
READERS: dict[str, Reader] = {}


def register_reader(kind: str) -> Callable[[Reader], Reader]:
    """Register the reader of a message type."""

    def register(function: Reader) -> Reader:
        READERS[kind] = function
        return function

    return register


def common_fields(messages: list[ReceivedMessage], frame: str) -> dict[str, Any]:
    """Return the fields that every stream has: frame, capture times, receive times where these differ, records."""
    times = torch.tensor([h.time for h in messages])
    logged = torch.tensor([h.log_time for h in messages])
    return {
        "frame": frame,
        "capture_times": times,
        "receive_times": None if torch.equal(times, logged) else logged,
        "records": tuple(str(h.position_in_topic) for h in messages),
    }


TELL_OR_LEAVE_OUT = f"tell it with log.parts, joints as {{joint_position: [0, 6]}} (docs/poses.md), or {LEAVE_OUT}"


@register_reader("std_msgs/msg/Float32MultiArray")
@register_reader("std_msgs/msg/Float64MultiArray")
def numbers(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read numbers without a declared meaning; a rig may declare them as forces of taxels."""
    rows = [np.asarray(h.message.data, dtype=np.float64) for h in messages]
    same = len({len(r) for r in rows}) == 1
    values = {"value": torch.from_numpy(np.stack(rows))} if same else {}
    return RawMessages(
        **stream_fields, values=values, reason="nothing tells what its numbers mean", remedy_here=TELL_OR_LEAVE_OUT
    )


def T_of(position: Any, rotation: Any, where: str) -> Tensor:
    """Return a pose (4, 4) from a ROS position and quaternion (x y z w).

    Raises:
        DataError: the quaternion is not one; ``where`` names file and topic.
    """
    wxyz = [rotation.w, rotation.x, rotation.y, rotation.z]
    if not math.isfinite(sum(wxyz)) or sum(q * q for q in wxyz) < 1e-12:
        raise DataError(f"{where}: the rotation {wxyz} (w x y z) is not a quaternion")
    return se3(rotation_from_quaternion(wxyz), [position.x, position.y, position.z])
