"""What was drawn and what a sample holds, in lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fusion_aug.sample import Sample
from fusion_aug.sample.history import History, Record
from fusion_aug.streams import Ragged

MOST_PARTS = 4  # entries of a parameter that is a list, each a figure of its own; longer ones are no figures
LONGEST = 24  # characters of a word that is told; keys of noise are longer
Figure = float | str


def figures(params: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Figure]]:
    """Names and values of what is a number or a word in drawn parameters.

    Args:
        params: of one scope instance. name: of the parameter that holds them.
    """
    for key, value in params.items():
        own = f"{name}.{key}" if name else str(key)
        if isinstance(value, Mapping):
            yield from figures(value, own)
        elif isinstance(value, list | tuple) and len(value) <= MOST_PARTS:
            yield from figures({f"{own}[{i}]": v for i, v in enumerate(value)})
        elif isinstance(value, bool):
            yield own, str(value).lower()
        elif isinstance(value, str) or (isinstance(value, int | float) and abs(value) < 2**53):
            yield own, value


def drawn_lines(history: History) -> list[str]:
    """A line for every transform that was applied: its path and what it drew, of several instances least to most."""
    return [_line(record) for record in history if record.applied]


def _line(record: Record) -> str:
    values: dict[str, list[Figure]] = {}
    for params in record.params.values():
        for name, value in figures(params):
            values.setdefault(name, []).append(value)
    told = ((name, _span(some)) for name, some in values.items())
    return f"{record.path}: {', '.join(f'{name} {span}' for name, span in told if span)}".rstrip(": ")


def _span(values: list[Figure]) -> str:
    words = {v for v in values if isinstance(v, str)}
    if words:
        return " or ".join(sorted(words)) if max(map(len, words)) <= LONGEST and len(words) <= MOST_PARTS else ""
    low, high = (f"{f(values):.3g}" for f in (min, max))
    return low if low == high else f"{low} to {high}"


def held_lines(sample: Sample) -> list[str]:
    """A line for every stream: its kind, and how many items and rows it has."""
    lines = []
    for name, stream in sample.streams.items():
        rows = f", {stream.rows:,} rows" if isinstance(stream, Ragged) else ""
        lines.append(f"{name}: {type(stream).__name__}, {len(stream):,} item{'s' if len(stream) != 1 else ''}{rows}")
    return lines
