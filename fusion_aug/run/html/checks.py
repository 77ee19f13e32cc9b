"""The verdict, the figures over their limits with the samples in which they are worst, and all figures."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fusion_aug.check import Row
from fusion_aug.run.checking import Checked, CheckedRun
from fusion_aug.show.page import Html, joined, table, tag

MOST_ROWS = 1000  # of one table
MOST_FAILED = 200  # figures over their limits, with samples each
HEAD = ("measurement", "sensor", "n", "median", "max", "unit", "limit", "verdict")
NUMBERS = ("n", "median", "max", "limit")


def verdict_section(found: Checked) -> Html:
    """One line: whether all figures hold."""
    word, kind = ("FAIL", "bad") if found.failed else ("PASS", "good")
    return tag("p", tag("span", word, class_=kind), f": {found.verdict}", class_=f"verdict {kind}", role="status")


def failed_section(found: Checked) -> Html:
    """Every figure over its limit, the farthest first, with the samples in which it is worst."""
    failed = sorted(found.failed, key=_excess, reverse=True)
    parts = [_failed(found, row) for row in failed[:MOST_FAILED]]
    return joined([*parts, _more(len(failed), MOST_FAILED)])


def _excess(row: Row) -> float:
    """How far a figure is over its limit, in limits; what may not be at all, or is no number, is the farthest."""
    highest = float(np.max(row.values))
    return highest / row.limit if row.limit and not np.isnan(highest) else np.inf


def _failed(found: Checked, row: Row) -> Html:
    title = tag("h3", tag("span", "FAIL ", class_="bad"), f"{row.measurement}, {row.sensor}")
    unit = "" if row.unit == "-" else f" {row.unit}"
    figure = f"up to {np.max(row.values):.4g}{unit}, where {row.limit:g} is allowed"
    parts: list[object] = [title, tag("p", figure)]
    if row.measurement == "unreadable":
        parts.append(tag("p", row.reason))
    over = found.worst.of(row)
    if isinstance(found, CheckedRun) and over.samples:
        count = (
            f"In {over.samples} of {found.compared} samples that were compared; the worst, and how to make each again:"
        )
        rows = [(name, f"{value:.4g}", commands(found, name)) for value, name in over.worst]
        parts += [tag("p", count), table(("sample", f"max ({row.unit})", "again"), rows, (f"max ({row.unit})",), count)]
    elif isinstance(found, CheckedRun):
        parts.append(tag("p", "Of the log as a whole, and of no single sample.", class_="dim"))
    return tag("section", *parts, class_="failed")


def commands(found: CheckedRun, sample: str) -> Html:
    """The commands that make a sample again and that draw it, to copy."""
    out, words = found.place, [w for w in found.words if not w.startswith("log.select=")]
    again = ["fusion-aug", "replay", out, sample, "out=again", *words]
    drawn = ["fusion-aug", "show", out, f"index={found.index(sample)}", "out=sample.png", *words]
    return joined([tag("div", tag("code", shlex.join(line))) for line in (again, drawn)])


def figures_section(rows: Sequence[Row]) -> Html:
    """Tables of all figures: those over their limits on top; folded what was not compared or not there."""
    order = {"FAIL": 0, "PASS": 1, "intended": 2}
    measured = sorted((r for r in rows if r.status in order), key=lambda r: order[r.status])
    absent = [r for r in rows if r.compared and r.status not in order]
    apart = [r for r in rows if not r.compared]
    parts: list[object] = [table(HEAD, map(_cells, measured[:MOST_ROWS]), NUMBERS, "all figures"), _more(len(measured))]
    for title, some in (("not compared", apart), ("nothing to measure", absent)):
        if some:
            inner = table(("measurement", "sensor", "why"), ((r.measurement, r.sensor, r.reason) for r in _most(some)))
            parts.append(tag("details", tag("summary", f"{len(some)} {title}"), inner, _more(len(some))))
    return joined(parts)


def _most(rows: Sequence[Row]) -> Iterable[Row]:
    return rows[:MOST_ROWS]


def _more(count: int, most: int = MOST_ROWS) -> Html:
    """What is said below a table that holds the first rows only."""
    return tag("p", f"and {count - most:,} more", class_="dim") if count > most else Html("")


def _cells(row: Row) -> Iterator[object]:
    yield from (row.measurement, row.sensor, f"{len(row.values):,}")
    yield from (f"{np.median(row.values):.3g}", f"{np.max(row.values):.3g}", row.unit)
    yield "-" if row.limit is None else f"{row.limit:g}"
    yield status(row)


def status(row: Row, short: bool = False) -> Html:
    """The verdict of a row, in its colour; a short one gives no reason."""
    word = row.status.partition(":")[0] if short else row.status
    return tag("span", word, class_={"PASS": "good", "FAIL": "bad"}.get(row.status, "dim"))
