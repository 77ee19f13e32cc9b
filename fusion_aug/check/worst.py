"""Where figures are over their limits: how many samples, and those in which they are worst."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from fusion_aug.check.measurement import Row

MOST = 5  # samples that are kept of one figure


@dataclass
class Over:
    """The samples in which one figure is over its limit.

    Attributes:
        samples: how many. worst: (figure, id) of the worst, the worst first.
    """

    samples: int = 0
    worst: list[tuple[float, str]] = field(default_factory=list)


class Worst:
    """Samples in which figures are over their limits, gathered sample by sample."""

    def __init__(self) -> None:
        self._over: dict[tuple[str, str], Over] = {}

    def add(self, sample: str, rows: Iterable[Row]) -> None:
        """Take the rows of a sample; a row of several parts counts it once."""
        figures: dict[tuple[str, str], float] = {}
        for row in rows:
            if row.status == "FAIL":
                highest = float(np.max(row.values))
                key = (row.measurement, row.sensor)
                figures[key] = max(figures.get(key, -math.inf), math.inf if math.isnan(highest) else highest)
        for key, figure in figures.items():
            over = self._over.setdefault(key, Over())
            over.samples += 1
            # of equal figures the first samples stay
            over.worst = heapq.nsmallest(MOST, [*over.worst, (figure, sample)], key=lambda pair: -pair[0])

    def of(self, row: Row) -> Over:
        """The samples in which the figure of a row is over its limit."""
        return self._over.get((row.measurement, row.sensor), Over())
