"""Medians of many runs on one thread, always against something else in the same run.

Milliseconds say nothing on another machine, so no limit is given in them. A figure is a ratio: to a bare primitive that
does the same kind of work (a blend of the same picture, a gather of as many points) or to what others offer. The two
run in turn, and what counts is the time that the processor gave them, so that a busy machine changes little.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Work = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes:
        name: what was measured.
        milliseconds: its median.
        against: the primitive beside it.
        primitive: median of that in the same run, milliseconds.
        limit: largest allowed value of ``ratio``; None where none was set.
        note: more about it.
    """

    name: str
    milliseconds: float
    against: str
    primitive: float
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Times the primitive."""
        return self.milliseconds / self.primitive

    @property
    def holds(self) -> bool | None:
        """Whether the limit holds; None where there is none."""
        return None if self.limit is None else self.ratio <= self.limit


def measured(
    name: str,
    work: Work,
    against: tuple[str, Work],
    limit: float | None = None,
    runs: int = 30,
    peers: Sequence[tuple[str, Work]] = (),
    note: str = "",
) -> Figure:
    """Measure a function against another one, and others for the note, in turn.

    Args:
        name: what ``work`` does.
        work: ours.
        against: name of the primitive, and what does it.
        limit: of the ratio.
        runs: of each.
        peers: name and function of what others offer for the same; their milliseconds go into the note.
        note: more about it.
    """
    ours, primitive, *others = interleaved_ms([work, against[1], *(w for _, w in peers)], runs)
    beside = [f"{n} {ms:.3g} ms" for (n, _), ms in zip(peers, others, strict=True)]
    return Figure(name, ours, against[0], primitive, limit, "; ".join([note] * bool(note) + beside))


def interleaved_ms(works: Sequence[Work], runs: int = 30) -> list[float]:
    """Median time on the processor of several functions, milliseconds, run in turn."""
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(runs):
        for i, work in enumerate(works):
            times[i].append(process_ms(work))
    return [float(np.median(t)) for t in times]


def process_ms(work: Work) -> float:
    """Time on the processor of a function, milliseconds."""
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def calls(work: Callable[[], object]) -> int:
    """Functions of Python that a work calls."""
    count = 0

    def seen(_: Any, event: str, __: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
