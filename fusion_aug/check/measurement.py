"""One row of a check, and the open registry of what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fusion_aug.names import Registry
from fusion_aug.sample import Sample


@dataclass(frozen=True)
class Row:
    """A measured quantity on one sensor.

    Attributes:
        measurement, sensor: what and where.
        unit: of the figures.
        limit: largest allowed value; None for a figure that is only reported.
        values: what was measured.
        reason: why there is nothing, where ``values`` is empty.
        compared: False where something is there that was not compared; ``reason`` says why.
    """

    measurement: str
    sensor: str
    unit: str
    limit: float | None
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    reason: str = "nothing to measure"
    compared: bool = True

    @classmethod
    def not_compared(cls, measurement: str, sensor: str, reason: str) -> Row:
        """A row for what is there and was not compared."""
        return cls(measurement, sensor, "-", None, reason=reason, compared=False)

    @property
    def status(self) -> str:
        """PASS, FAIL, "intended" (reported only), "n/a: reason" or "not compared: reason"."""
        if not self.compared:
            return f"not compared: {self.reason}"
        if len(self.values) == 0:
            return f"n/a: {self.reason}"
        if self.limit is None:
            return "intended"
        # a NaN is a failure: it compares false with every limit
        return "PASS" if bool(np.max(self.values) <= self.limit) else "FAIL"


@dataclass(frozen=True)
class Pair:
    """A sample before and after a pipeline's geometry, and the parameters of its weathers, which are measured apart."""

    source: Sample
    augmented: Sample
    weather: tuple[Mapping[str, Any], ...] = ()


Measure = Callable[[Sequence[Pair]], Iterable[Row]]
MEASUREMENTS: Registry[Measure] = Registry("measurement")


def measurement(name: str) -> Callable[[Measure], Measure]:
    """Register a measurement for ``fusion-aug check``: a function of pairs that gives rows.

    Args:
        name: one word or more, by which the measurement is known.

    Raises:
        ConfigError: another function measures under this name.
    """

    def register(function: Measure) -> Measure:
        return MEASUREMENTS.add(name, function)

    return register


def combine(rows: Sequence[Row]) -> list[Row]:
    """Join rows of the same measurement and sensor; what was not compared stays a row of its own."""
    alike: dict[tuple[str, str, bool], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.measurement, row.sensor, row.compared), []).append(row)
    return [
        replace(same[0], values=np.concatenate([r.values for r in same]), reason=same[-1].reason)
        for same in alike.values()
    ]
