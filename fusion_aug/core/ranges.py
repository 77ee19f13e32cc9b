"""``Range``: a number (fixed), ``[low, high]`` (uniform) or a ``distribution:`` mapping.

A ``Schedule`` may stand for each of its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusion_aug.core.schedules import Schedule, at_epoch, is_number, schedules_in, with_schedules
from fusion_aug.errors import ConfigError

Range = float | Schedule | Sequence[float | Schedule] | Mapping[str, Any]

DISTRIBUTIONS = {
    "uniform": ("low", "high"),
    "log_uniform": ("low", "high"),
    "normal": ("mean", "std"),
    "choice": ("values",),
}


def check_range(value: Any, where: str, low: float = -math.inf, high: float = math.inf) -> Any:
    """Validate a ``Range`` and return it with lists made tuples.

    Args:
        value: the range.
        where: transform and field, for messages.
        low, high: limits that every drawn number must keep.

    Raises:
        ConfigError: it is none of the three forms, or can leave the limits, at any epoch where it is scheduled.
    """
    value = with_schedules(value, where)
    if inside := schedules_in(value):
        for epoch in range(max(s.epochs for s in inside) + 1):
            check_range(at_epoch(value, epoch), f"{where} (at epoch {epoch})", low, high)
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, Mapping):
        return _check_distribution(dict(value), where, low, high)
    if is_number(value):
        numbers: tuple[float, ...] = (value,)
    elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2 and all(map(is_number, value)):
        numbers = tuple(value)
        if numbers[0] > numbers[1]:
            raise ConfigError(f"{where}: the lower end {numbers[0]} lies above the upper end {numbers[1]}")
    else:
        raise ConfigError(f"{where}: expected a number, [low, high] or a distribution mapping, got {value!r}")
    _inside(numbers, where, low, high)
    return value if is_number(value) else numbers


def _check_distribution(value: dict[str, Any], where: str, low: float, high: float) -> dict[str, Any]:
    name = value.get("distribution")
    if name not in DISTRIBUTIONS:
        raise ConfigError(f"{where}.distribution: {name!r} is not one of {', '.join(DISTRIBUTIONS)}")
    needed = DISTRIBUTIONS[name]
    limits = ("low", "high") if name == "normal" else ()
    wrong = [k for k in value if k not in (*needed, *limits, "distribution")] + [k for k in needed if k not in value]
    if wrong:
        raise ConfigError(f"{where}: distribution {name} takes {', '.join((*needed, *limits))}; see {wrong[0]!r}")
    if name == "choice":
        if not isinstance(value["values"], Sequence) or not value["values"]:
            raise ConfigError(f"{where}.values: expected a list of numbers")
        _inside(tuple(value["values"]), where, low, high)
        return value
    bad = [k for k in value if k != "distribution" and not is_number(value[k])]
    if bad:
        raise ConfigError(f"{where}.{bad[0]}: expected a number, got {value[bad[0]]!r}")
    if name == "normal":
        if value["std"] < 0:
            raise ConfigError(f"{where}.std: must not be negative")
        # a limit of the quantity clips the tails
        ends = {"low": max(value.get("low", -math.inf), low), "high": min(value.get("high", math.inf), high)}
        return value | {k: v for k, v in ends.items() if math.isfinite(v)}
    if value["low"] > value["high"] or (name == "log_uniform" and value["low"] <= 0):
        raise ConfigError(f"{where}: {name} needs {'0 < ' if name == 'log_uniform' else ''}low <= high")
    _inside((value["low"], value["high"]), where, low, high)
    return value


def draw(value: Any, rng: np.random.Generator) -> float:
    """One number from a checked range. A fixed number consumes nothing from the stream."""
    if isinstance(value, float | int):
        return float(value)
    if isinstance(value, tuple):
        return _between(value[0], value[1], rng.random())
    name = value["distribution"]
    if name == "choice":
        return float(value["values"][int(rng.integers(len(value["values"])))])
    if name == "normal":
        low, high = value.get("low", -math.inf), value.get("high", math.inf)
        return float(np.clip(rng.normal(value["mean"], value["std"]), low, high))
    if name == "log_uniform":
        return float(math.exp(rng.uniform(math.log(value["low"]), math.log(value["high"]))))
    return _between(value["low"], value["high"], rng.random())


def _between(low: float, high: float, share: float) -> float:
    """As ``Generator.uniform`` computes it, which takes four times as long for one number."""
    return float(low + (high - low) * share)


def draw_several(value: Any, rng: np.random.Generator, count: int) -> list[float]:
    """What ``count`` calls of ``draw`` give one after another."""
    if isinstance(value, float | int):
        return [float(value)] * count
    if isinstance(value, tuple):
        return [_between(value[0], value[1], share) for share in rng.random(count).tolist()]
    return [draw(value, rng) for _ in range(count)]


def can_differ_from(value: Any, constant: float) -> bool:
    """Whether a draw from the range can be anything but ``constant``."""
    if is_number(value):
        return bool(value != constant)
    if isinstance(value, Mapping):
        return True
    if inside := schedules_in(value):
        return any(n != constant for s in inside for n in (s.start, s.end))
    return any(v != constant for v in value)


def _inside(numbers: Sequence[float], where: str, low: float, high: float) -> None:
    for number in numbers:
        if not is_number(number) or not low <= number <= high:
            limits = f"[{low:g}, {high:g}]"
            raise ConfigError(f"{where}: {number} lies outside the allowed range {limits}")
