"""Options of ``output=lerobot`` from other logs, and what their values mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fusion_aug.errors import ConfigError
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.lerobot.video import ENCODERS

NEXT_STATE = "next_state"
VERSIONS = ("v3.0", "v2.1")
OUTPUT_OPTIONS = {
    "fps": Option("frames per second; by default the rate of the first camera, else that of commands and states"),
    "task": Option("sentence of the task of all episodes; by default that of the log"),
    "state": Option(
        "streams that become observation.state, or {stream: [columns]}: [joint_states, gripper]; by default all joints"
    ),
    "action": Option(
        "streams that become action, as of state; next_state: the state of the next frame; by default all commands"
    ),
    "cameras": Option("cameras, or {camera: feature}: {front: observation.images.front}; by default all"),
    "video": Option("whether pictures of cameras are videos; false: PNG in the table", True),
    "codec": Option("of the videos: av1, h264, hevc", "av1"),
    "max_gap": Option("seconds between readings, or since a picture, that a frame bridges; by default 3 periods"),
    "sidecar": Option("whether what the format has no place for goes to the folder fusion_aug/, or is left out", True),
    "robot_type": Option("name of the robot, for info.json"),
    "version": Option("of the format: v3.0 or v2.1", "v3.0"),
}  # fmt: skip
Chosen = Mapping[str, tuple[str, ...]]  # stream -> columns; none for those that it has by default


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Values of the options; None where none was given."""

    fps: float | None = None
    task: str | None = None
    state: Chosen | None = None
    action: Chosen | None = None
    next_state: bool = False
    cameras: Mapping[str, str] | None = None  # camera -> feature, empty for the usual one
    video: bool = True
    codec: str = "av1"
    max_gap: float | None = None
    sidecar: bool = True
    robot_type: str | None = None
    version: str = "v3.0"


def read_options(given: Mapping[str, Any]) -> ExportOptions:
    """Options as they were given.

    Raises:
        ConfigError: a value is none of its option.
    """
    values = {name: given.get(name, option.default) for name, option in OUTPUT_OPTIONS.items()}
    out: dict[str, Any] = dict(values)
    for name in ("fps", "max_gap"):
        out[name] = None if values[name] is None else _above_zero(name, values[name])
    for name in ("task", "robot_type"):
        if values[name] is not None and not isinstance(values[name], str):
            raise ConfigError(f"output.{name}: expected a text, got {values[name]!r}")
    for name in ("video", "sidecar"):
        if not isinstance(values[name], bool):
            raise ConfigError(f"output.{name}: expected true or false, got {values[name]!r}")
    for name, known in (("codec", tuple(ENCODERS)), ("version", VERSIONS)):
        if values[name] not in known:
            raise ConfigError(f"output.{name}: expected one of {', '.join(known)}, got {values[name]!r}")
    out["next_state"] = values["action"] == NEXT_STATE
    if out["next_state"]:
        out["action"] = None
    for name in ("state", "action"):
        out[name] = _chosen(name, out[name])
    out["cameras"] = _cameras(values["cameras"])
    return ExportOptions(**out)


def _above_zero(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigError(f"output.{name}: expected a number above 0, got {value!r}")
    return float(value)


def _chosen(name: str, value: Any) -> Chosen | None:
    """Streams, or a mapping of them to columns, as a mapping."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        pairs = {str(n): _names(f"{name}.{n}", columns) for n, columns in value.items()}
    else:
        pairs = dict.fromkeys(_names(name, value), ())
    if not pairs:
        raise ConfigError(f"output.{name}: names no stream")
    return pairs


def _cameras(value: Any) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return dict.fromkeys(_names("cameras", value), "")
    if not all(isinstance(f, str) and f for f in value.values()):
        raise ConfigError(f"output.cameras: expected the names of features, got {value!r}")
    return {str(n): f for n, f in value.items()}


def _names(name: str, value: Any) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, Iterable) or not all(isinstance(n, str) for n in names):
        raise ConfigError(f"output.{name}: expected names of streams, got {value!r}")
    return tuple(names)
