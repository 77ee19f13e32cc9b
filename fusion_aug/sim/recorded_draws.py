"""What was drawn for an episode, as a record that makes it again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fusion_aug.errors import DataError

HISTORY = "fusion_aug_history"  # of the options of reset
VERSION = 1
LONGEST = 1 << 24  # characters of a record
TIMING = {"latency": float, "jitter": float, "drop": float, "rate": float, "noise": str}


@dataclass(frozen=True)
class EpisodeDraws:
    """An episode's draws.

    Attributes:
        seed, episode: which key the rest. world: field -> thing -> numbers. timing: sensor -> what was drawn of it.
        action_delay: s. sensors: records of the pipeline, JSON-able. told: sensor -> its delays, and what of them could
            not be delivered.
    """

    seed: int
    episode: int
    world: dict[str, dict[str, list[float]]]
    timing: dict[str, dict[str, Any]]
    action_delay: float
    sensors: list[Any] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON-able mapping."""
        return {"version": VERSION, **vars(self)}


def check_same(draws: EpisodeDraws, sensors: list[Any]) -> None:
    """Note what the pipeline drew, or hold it against what a record says.

    Raises:
        DataError: a record says otherwise, so the pipeline is another one.
    """
    if draws.sensors:
        now, then = (json.dumps(s, sort_keys=True) for s in (sensors, draws.sensors))
        if now != then:
            raise DataError(
                "history: the pipeline draws otherwise than it says; replay with the pipeline it was made by"
            )
    draws.sensors[:] = sensors


def read_draws(text: Any) -> EpisodeDraws:
    """Read a record, JSON text or what it holds.

    Raises:
        DataError: it is none; the message names the field.
    """
    try:
        found = json.loads(text[: LONGEST + 1]) if isinstance(text, str) else text
    except ValueError:
        raise DataError('history: it is no JSON text; give info["history"] of a reset') from None
    if not isinstance(found, Mapping) or found.get("version") != VERSION:
        raise DataError(f'history: expected a record of version {VERSION}; give info["history"] of a reset')
    for name in ("seed", "episode"):
        if not isinstance(found.get(name), int) or isinstance(found[name], bool):
            raise DataError(f"history: {name}: expected a whole number")
    world = _nested(found, "world")
    for name, things in world.items():
        for thing, numbers in things.items():
            if not isinstance(numbers, list) or not all(_finite(n) for n in numbers):
                raise DataError(f"history: world.{name}.{thing}: expected numbers")
    timing = _nested(found, "timing")
    for name, drawn in timing.items():
        for key, kind in TIMING.items():
            value = drawn.get(key)
            right = isinstance(value, str) if kind is str else _is_seconds(value)
            if not right and not (key == "rate" and value is None):
                raise DataError(f"history: timing.{name}.{key}: expected {kind.__name__}, got {value!r}")
    late, sensors = found.get("action_delay"), found.get("sensors")
    if not _is_seconds(late) or not isinstance(sensors, list):
        raise DataError("history: expected action_delay, seconds, and sensors, a list of records")
    return EpisodeDraws(found["seed"], found["episode"], world, timing, float(late or 0), list(sensors))


def _nested(found: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    part = found.get(name)
    if not isinstance(part, Mapping) or not all(isinstance(v, Mapping) for v in part.values()):
        raise DataError(f"history: {name}: expected a mapping of mappings")
    return {str(k): dict(v) for k, v in part.items()}


def _is_seconds(value: Any) -> bool:
    return _finite(value) and value >= 0


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
