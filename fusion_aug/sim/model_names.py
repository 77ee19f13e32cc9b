"""Names of what is in a MuJoCo model; what has none is called by its number."""

from __future__ import annotations

from typing import Any


def body_name(model: Any, number: int) -> str:
    """Of a body."""
    return model.body(number).name or f"body{number}"


def joint_name(model: Any, number: int) -> str:
    """Of a joint."""
    return model.joint(number).name or f"joint{number}"


def actuator_name(model: Any, number: int) -> str:
    """Of an actuator."""
    return model.actuator(number).name or f"actuator{number}"
