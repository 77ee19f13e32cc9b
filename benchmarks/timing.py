"""Medians of many runs on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        name: what was measured. milliseconds: median.
        against: the primitive beside it and its median in the same run.
        limit: largest allowed value of ``ratio`` (or of the milliseconds where there is no primitive).
    """

    name: str
    milliseconds: float
    against: str = ""
    primitive: float | None = None
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Times the primitive."""
        return None if self.primitive is None else self.milliseconds / self.primitive

    @property
    def holds(self) -> bool | None:
        """Whether the limit holds; None where there is none."""
        value = self.milliseconds if self.ratio is None else self.ratio
        return None if self.limit is None else value <= self.limit


def median_ms(work: Callable[[], object], runs: int = 30, warm: int = 3) -> float:
    """Median wall time of a function, milliseconds."""
    for _ in range(warm):
        work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def interleaved_ms(works: list[Callable[[], object]], runs: int = 30) -> list[float]:
    """Medians of several functions, run in turn so that a busy machine slows all of them alike."""
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(runs):
        for i, work in enumerate(works):
            start = time.perf_counter()
            work()
            times[i].append(time.perf_counter() - start)
    return [1e3 * float(np.median(t)) for t in times]
