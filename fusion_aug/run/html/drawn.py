"""What the transforms of a run drew: how often each was applied, and the spread of every parameter over the samples."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from fusion_aug.run.checking import CheckedRun
from fusion_aug.sample.history import Record
from fusion_aug.show.bars import histogram
from fusion_aug.show.numbers import figures
from fusion_aug.show.page import Html, table, tag

MOST_WORDS = 5  # values of a parameter that is a word
MOST_ROWS = 200
HEAD = ("transform", "applied", "parameter", "least", "median", "most", "spread")


class Drawn:
    """Draws of one transform over all samples.

    Attributes:
        applied: in how many samples. numbers, words: of every parameter all values.
    """

    def __init__(self) -> None:
        self.applied = 0
        self.numbers: dict[str, list[float]] = defaultdict(list)
        self.words: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, record: Record) -> None:
        """Take a record of one sample; every scope instance (sensor, timestep) gives values of its own."""
        self.applied += record.applied
        if record.applied:
            for params in record.params.values():
                for name, value in figures(params):
                    if isinstance(value, str):
                        self.words[name][value] += 1
                    elif math.isfinite(value):
                        self.numbers[name].append(value)


def draws_of(found: CheckedRun) -> dict[str, Drawn]:
    """Draws of every transform, by its path."""
    transforms: dict[str, Drawn] = defaultdict(Drawn)
    for entry in found.manifest.entries:
        for record in entry.history:
            transforms[record.path].add(record)
    return transforms


def drawn_section(found: CheckedRun) -> Html:
    """A row for every parameter of every transform."""
    transforms = draws_of(found)
    if not transforms:
        return tag("p", "Nothing was drawn: the pipeline holds no transform.")
    rows = [row for path, drawn in transforms.items() for row in _rows(path, drawn, found)]
    more = f"; of {len(rows):,} parameters the first {MOST_ROWS}" if len(rows) > MOST_ROWS else ""
    about = f"Over {len(found.manifest.entries):,} samples{more}."
    return Html(tag("p", about, class_="dim") + table(HEAD, rows[:MOST_ROWS], HEAD[3:6], "what was drawn"))


def told_applied(drawn: Drawn, found: CheckedRun) -> str:
    """In how many samples of a run a transform was applied, in words."""
    return f"{drawn.applied:,} of {len(found.manifest.entries):,}"


def _rows(path: str, drawn: Drawn, found: CheckedRun) -> Iterator[tuple[object, ...]]:
    first: tuple[object, object] = (path, told_applied(drawn, found))
    for name, values in drawn.numbers.items():
        low, middle, high = (f"{v:.4g}" for v in (min(values), float(np.median(values)), max(values)))
        chart = histogram(values, f"{len(values)} values of {name}") if low != high else ""
        yield *first, name, low, middle, high, chart
        first = ("", "")
    for name, counts in drawn.words.items():
        if len(counts) <= MOST_WORDS or len(counts) < counts.total():  # else the keys of noise, say, one a sample
            yield *first, name, "", "", "", _told(counts)
            first = ("", "")
    if first[0]:
        yield *first, "", "", "", "", ""


def _told(counts: Counter[str]) -> str:
    if len(counts) > MOST_WORDS:
        return f"{len(counts):,} different values"
    return ", ".join(f"{word} ({n:,})" for word, n in counts.most_common())
