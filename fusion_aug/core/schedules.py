"""Schedule: a number that changes from epoch to epoch, for curricula and staged dropout.

It is a function of the epoch, which enters every draw's key anyway: workers, resumed trainings and replays need no
count of steps, and records hold the number that was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fusion_aug.errors import ConfigError

SHAPES = ("linear", "cosine", "geometric", "step")
LONGEST = 10_000  # epochs; every one of them is checked when a transform is made
TARGET = "fusion_aug.Schedule"


@dataclass(frozen=True)
class Schedule:
    """A number by the epoch: ``start`` at epoch 0, ``end`` at epoch ``epochs`` and from then on.

    It stands wherever a number of a ``Range`` stands, one of its ends, a ``p`` or a magnitude.

    Attributes:
        start, end: the numbers, in the unit of what they stand for.
        epochs: after which ``end`` is reached, 1 or more.
        shape: of the way between: ``linear``; ``cosine``, slow at both ends; ``geometric``, by equal factors, for
            quantities that are searched by their logarithm; ``step``, ``start`` until ``end`` comes at once.

    Raises:
        ConfigError: a number is none, or a geometric way would meet zero.
    """

    start: float
    end: float
    epochs: int
    shape: str = "linear"

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not is_number(getattr(self, name)):
                raise ConfigError(f"Schedule.{name}: expected a number, got {getattr(self, name)!r}")
        if isinstance(self.epochs, bool) or not isinstance(self.epochs, int) or not 1 <= self.epochs <= LONGEST:
            raise ConfigError(
                f"Schedule.epochs: expected a whole number of epochs from 1 to {LONGEST}, got {self.epochs!r}"
            )
        if self.shape not in SHAPES:
            raise ConfigError(f"Schedule.shape: {self.shape!r} is not one of {', '.join(SHAPES)}")
        if self.shape == "geometric" and self.start * self.end <= 0:
            raise ConfigError(
                f"Schedule.shape: a geometric way needs ends of one sign, got {self.start:g} and {self.end:g}; "
                "use linear"
            )

    def at(self, epoch: int) -> float:
        """The number at an epoch; epochs before 0 are like 0."""
        if epoch >= self.epochs:
            return float(self.end)
        if epoch <= 0 or self.shape == "step":
            return float(self.start)
        share = epoch / self.epochs
        if self.shape == "geometric":
            return float(self.start * (self.end / self.start) ** share)
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return float(self.start + (self.end - self.start) * share)

    def to_config(self) -> dict[str, Any]:
        """The schedule as a plain mapping with ``_target_``."""
        return {"_target_": TARGET, "start": self.start, "end": self.end, "epochs": self.epochs, "shape": self.shape}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> Self:
        """The schedule of a mapping with ``_target_``.

        Args:
            config: the mapping. where: transform and field, for messages.

        Raises:
            ConfigError: a key is unknown or missing.
        """
        given = {k: v for k, v in config.items() if not str(k).startswith("_")}
        needed = ("start", "end", "epochs")
        wrong = [k for k in given if k not in (*needed, "shape")] + [k for k in needed if k not in given]
        if wrong:
            raise ConfigError(f"{where}: a Schedule takes start, end, epochs and shape; see {wrong[0]!r}")
        return cls(**given)


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def with_schedules(value: Any, where: str) -> Any:
    """A ``Range`` or ``p`` as it was given, its mappings with ``_target_: fusion_aug.Schedule`` made schedules."""
    if isinstance(value, Mapping):
        if value.get("_target_") == TARGET:
            return Schedule.from_config(value, where)
        return {k: with_schedules(v, where) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(with_schedules(v, where) for v in value)
    return value


def schedules_in(value: Any) -> list[Schedule]:
    """Every schedule in a ``Range`` or ``p``."""
    if isinstance(value, Schedule):
        return [value]
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [s for part in inside for s in schedules_in(part)]


def at_epoch(value: Any, epoch: int) -> Any:
    """A ``Range`` or ``p`` with the numbers that its schedules have at an epoch."""
    if isinstance(value, Schedule):
        return value.at(epoch)
    if isinstance(value, Mapping):
        return {k: at_epoch(v, epoch) for k, v in value.items()}
    return tuple(at_epoch(v, epoch) for v in value) if isinstance(value, list | tuple) else value


def over_epochs(value: Any, epochs: range | None = None) -> Any:
    """A ``Range`` that covers what one with schedules takes in some epochs, for what is planned before a run.

    Args:
        value: a checked ``Range``. epochs: all by default.
    """
    inside = schedules_in(value)
    if not inside:
        return value
    when = range(max(s.epochs for s in inside) + 1) if epochs is None else epochs
    taken = [at_epoch(value, e) for e in when] or [at_epoch(value, 0)]
    if isinstance(value, Mapping):
        ends = {"low": min, "high": max}
        return {k: ends[k](t[k] for t in taken) if k in ends and k in value else taken[0][k] for k in value}
    lows, highs = zip(*(t if isinstance(t, tuple) else (t, t) for t in taken), strict=True)
    return (min(lows), max(highs))


def as_config(value: Any) -> Any:
    """A field's value for a configuration: schedules as mappings, tuples as lists."""
    if isinstance(value, Schedule):
        return value.to_config()
    if isinstance(value, Mapping):
        return {k: as_config(v) for k, v in value.items()}
    return [as_config(v) for v in value] if isinstance(value, tuple | list) else value


def checked_probability(value: Any, where: str, what: str = "probability") -> Any:
    """A probability from 0 to 1, or a Schedule between two.

    Args:
        value: as given. where: transform and field, for messages. what: what else from 0 to 1 it is.

    Raises:
        ConfigError: it is neither.
    """
    value = with_schedules(value, where)
    inside = schedules_in(value)
    numbers = [n for s in inside for n in (s.start, s.end)] if inside and value is inside[0] else [value]
    if not all(is_number(n) and 0 <= n <= 1 for n in numbers):
        raise ConfigError(f"{where}: expected a {what} from 0 to 1, got {value!r}")
    return value
