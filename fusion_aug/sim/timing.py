"""When readings are taken and when they arrive, in seconds, exact to one physics step."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_aug.core.random import Keys
from fusion_aug.core.ranges import Range, check_range, draw
from fusion_aug.errors import ConfigError
from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.ops.normals import normal

AHEAD = 256  # readings whose times are worked out at once
MOST_LOST = 0.9  # share of readings
TimingDraw = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When a sensor measures, and how late its readings arrive. What is drawn is drawn once per episode.

    Attributes:
        latency: s from capture to arrival. jitter: s, spread of a further delay, drawn for each reading as the size of
            a normal variate; no reading overtakes the one before. rate: Hz; None for every physics step, and for
            pictures every control step. drop: share of readings that are lost; the first one never is.
    """

    latency: Range = 0.0
    jitter: Range = 0.0
    rate: float | None = None
    drop: Range = 0.0


def timing_of(name: str, said: Any) -> Timing:
    """A sensor's timing as users give it, checked.

    Raises:
        ConfigError: a field is unknown, or a number is out of its limits, such as a negative delay.
    """
    where = f"Randomized.sensors.{name}"
    if isinstance(said, Timing):
        said = vars(said)
    if not isinstance(said, Mapping):
        raise ConfigError(f"{where}: expected latency, jitter, rate and drop, got {said!r}")
    unknown = [k for k in said if k not in Timing.__dataclass_fields__]
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]}: unknown, expected latency, jitter, rate or drop")
    limits = {"latency": (0.0, 100.0), "jitter": (0.0, 100.0), "drop": (0.0, MOST_LOST)}
    ranges = {k: check_range(said[k], f"{where}.{k}", *limits[k]) for k in limits if k in said}
    rate = said.get("rate")
    if rate is not None:
        check_range(rate, f"{where}.rate", 1e-3, 1e6)
        if not isinstance(rate, int | float):
            raise ConfigError(f"{where}.rate: expected a number of Hz, got {rate!r}")
    return Timing(rate=rate, **ranges)


def draw_timing(timing: Timing, keys: Keys, owner: str, path: str) -> TimingDraw:
    """Draw an episode's latency, jitter and drop, JSON-able, with the key of what is drawn for each reading."""
    rng = keys.generator(owner, path, "params")
    drawn = {k: draw(getattr(timing, k), rng) for k in ("latency", "jitter", "drop")}
    return {**drawn, "rate": timing.rate, "noise": keys.key(owner, path, "noise")}


class Timeline:
    """An episode of one sensor: which row (physics step) is its newest reading at any time, worked out ahead.

    Args:
        drawn: by ``draw_timing``. period: ns of a physics step. control: of a control step. lag: physics steps after
            its row at which a reading is known at all. arrivals: (first, count) -> (count,) ns at which the rows'
            readings arrive by the transforms of the pipeline; None for at once.
    """

    def __init__(
        self,
        drawn: Mapping[str, Any],
        period: int,
        control: int,
        lag: int = 0,
        arrivals: Callable[[int, int], np.ndarray] | None = None,
    ):
        self._drawn, self._period, self._control, self._lag = drawn, period, control, lag
        self._between = period if drawn["rate"] is None else round(1e9 / drawn["rate"])
        self._arrivals, self._key = arrivals, row_key(str(drawn["noise"]))
        self._rows: list[int] = []
        self._known: list[int] = []
        self._numbers = itertools.count()
        self._place = 0
        self._wanted: list[int] = []  # rows that are the newest at a control step, ascending
        self._last: tuple[np.ndarray, np.ndarray] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
        self._extend()

    def row_at(self, now: int) -> int:
        """The newest reading that has arrived at a time (ns, not before the last one asked for); else the first."""
        while self._known[-1] <= now:
            self._extend()
        self._place = bisect_right(self._known, now, self._place)
        return self._rows[max(self._place - 1, 0)]

    def next_wanted(self, after: int) -> int:
        """The first row after one, that will be the newest reading at a control step."""
        while not self._wanted or self._wanted[-1] <= after:
            self._extend()
        return self._wanted[bisect_right(self._wanted, after)]

    def _extend(self) -> None:
        """Times of some more readings."""
        first = next(self._numbers) * AHEAD
        numbers = np.arange(first, first + AHEAD, dtype=np.int64)
        rows = -(-numbers * self._between // self._period)
        if self._between < self._period:
            rows = numbers  # no finer than the physics
        captured = rows * self._period
        if self._arrivals is not None:
            start = int(rows[0])
            captured = self._arrivals(start, int(rows[-1]) - start + 1)[rows - start]
        late = np.full(AHEAD, round(self._drawn["latency"] * 1e9), np.int64)
        if self._drawn["jitter"]:
            size = np.abs(normal(self._key, rows * 2)).astype(np.float64)
            late += np.rint(size * self._drawn["jitter"] * 1e9).astype(np.int64)
        known = np.maximum(captured + late, (rows + self._lag) * self._period)
        if self._drawn["drop"]:
            stays = ~chance(self._key, rows * 2 + 1, self._drawn["drop"])
            stays |= rows == 0
            rows, known = rows[stays], known[stays]
        if self._known:
            known = np.maximum(known, self._known[-1])
        known = np.maximum.accumulate(known)
        self._want(rows, known)
        self._rows += rows.tolist()
        self._known += known.tolist()

    def _want(self, rows: np.ndarray, known: np.ndarray) -> None:
        """Note which rows will be the newest at a control step; of the last one the next reading decides."""
        rows, known = np.concatenate([self._last[0], rows]), np.concatenate([self._last[1], known])
        asked = -(-known[:-1] // self._control) * self._control  # the first control step that may see it
        seen = asked < known[1:]
        if not self._known:
            seen[0] = True  # it is held before anything arrives
        self._wanted += rows[:-1][seen].tolist()
        self._last = (rows[-1:], known[-1:])
