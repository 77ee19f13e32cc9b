"""Torques about another point."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion_aug.core.registry import Call
from fusion_aug.errors import Obstacle
from fusion_aug.streams import Stream


def torque_about(stream: Stream, call: Call, shift: Tensor) -> dict[str, Tensor]:
    """The column of torque about a point from which the old one lies ``shift`` away: ``torque + shift x force``.

    Args:
        stream: of forces and torques, or of one of them. call: of the transform. shift: (n, 3) m, axes of the stream.

    Returns:
        torque (n, 3) Nm float64; nothing where the stream tells none.

    Raises:
        Obstacle: the point is another, and the stream tells no force.
    """
    if "torque" not in stream.values:
        return {}
    torque = stream.values["torque"].to(torch.float64)
    if not bool(shift.any()):
        return {"torque": torque}
    if "force" not in stream.values:
        reason = "it tells no force, which a torque about another point follows from"
        remedy = "give force and torque in one vector, or leave the stream out with log.exclude"
        raise Obstacle(f"stream {call.name!r}", call.transform.__name__, reason, remedy)
    force = stream.values["force"].to(torch.float64)
    return {"torque": torque + torch.linalg.cross(shift.to(force).expand_as(force), force)}
