"""Two runs beside one another: their figures, their losses, their draws and their pace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fusion_aug.check import Row
from fusion_aug.run.account_report import change
from fusion_aug.run.checking import CheckedRun
from fusion_aug.run.html.checks import status, verdict_section
from fusion_aug.run.html.drawn import draws_of, told_applied
from fusion_aug.run.html.pace import pace_facts
from fusion_aug.run.html.whole import guarded_section, page_of
from fusion_aug.show.page import Html, joined, table, tag

NONE = "-"
SAME = 1e-9  # relative, of figures that are called equal
Both = tuple[CheckedRun, CheckedRun]


def comparison_page(one: CheckedRun, other: CheckedRun) -> str:
    """The page of two runs, A and B.

    Raises:
        DataError: a manifest or ``run.json`` is damaged.
    """
    both, title = (one, other), f"{one.folder.name or one.place} (A) and {other.folder.name or other.place} (B)"
    named = [
        joined([tag("h3", f"{letter}: {run.place}"), verdict_section(run)])
        for letter, run in zip("AB", both, strict=True)
    ]
    sections: dict[str, Callable[[Both], Html]] = {
        "Figures": _figures, "Losses": _losses, "Drawn": _drawn, "Throughput": _pace
    }  # fmt: skip
    made = {name: guarded_section(section, both)() for name, section in sections.items()}
    return page_of(title, joined(named), made)


def _figures(both: Both) -> Html:
    """Figures that hold in one run only, then those that differ, then the others."""
    one, other = ({(r.measurement, r.sensor): r for r in run.rows if r.compared} for run in both)
    names = list(dict.fromkeys((*one, *other)))
    rows = sorted(((n, one.get(n), other.get(n)) for n in names), key=lambda row: _rank(*row[1:]))
    head = ("measurement", "sensor", "max A", "max B", "unit", "limit", "A", "B")
    return table(head, (_cells(*row) for row in rows), head[2:4] + head[5:6], "figures of both runs")


def _rank(a: Row | None, b: Row | None) -> int:
    states = {NONE if r is None else r.status for r in (a, b)}
    if "FAIL" in states:
        return 1 if states == {"FAIL"} else 0
    return 3 if np.isclose(_max(a), _max(b), rtol=SAME, atol=0.0, equal_nan=True) else 2


def _max(row: Row | None) -> float:
    return float(np.max(row.values)) if row is not None and len(row.values) else float("nan")


def _cells(name: tuple[str, str], a: Row | None, b: Row | None) -> Iterator[object]:
    yield from name
    yield from (NONE if np.isnan(_max(r)) else f"{_max(r):.4g}" for r in (a, b))
    known = a or b
    assert known is not None
    yield from (known.unit, NONE if known.limit is None else f"{known.limit:g}")
    yield from (NONE if r is None else status(r, short=True) for r in (a, b))


def _losses(both: Both) -> Html:
    accounts = [run.manifest.header.get("account") or {} for run in both]
    samples = ["; ".join(f"{n:,} {word}" for word, n in a.get("samples", {}).items()) for a in accounts]
    streams: list[Mapping[str, Any]] = [a.get("streams", {}) for a in accounts]
    names = dict.fromkeys((*streams[0], *streams[1]))
    rows = ((name, *(part for own in streams for part in _stream(own.get(name)))) for name in names)
    head = ("stream", "items A", "points or boxes A", "items B", "points or boxes B")
    return joined(
        [tag("p", f"Samples of A: {samples[0]}. Of B: {samples[1]}."), table(head, rows, head[1:], "streams")]
    )


def _stream(own: Mapping[str, Any] | None) -> tuple[str, str]:
    return (NONE, NONE) if own is None else (change(own["items"]), change(own["rows"]) if "rows" in own else "")


def _drawn(both: Both) -> Html:
    """How often each transform was applied, and the median of what it drew, in both runs."""
    one, other = (draws_of(run) for run in both)
    rows = []
    for path in dict.fromkeys((*one, *other)):
        sides = [side.get(path) for side in (one, other)]
        applied = [NONE if s is None else told_applied(s, run) for s, run in zip(sides, both, strict=True)]
        rows.append((path, *applied, "", "", ""))
        for name in dict.fromkeys(n for s in sides if s is not None for n in s.numbers):
            middle = [
                f"{np.median(s.numbers[name]):.4g}" if s is not None and name in s.numbers else NONE for s in sides
            ]
            rows.append(("", "", "", name, *middle))
    head = ("transform", "applied A", "applied B", "parameter", "median A", "median B")
    return table(head, rows, (*head[1:3], *head[4:]), "draws of both runs")


def _pace(both: Both) -> Html:
    one, other = (dict(pace_facts(run)) for run in both)
    rows = ((name, one.get(name, NONE), other.get(name, NONE)) for name in dict.fromkeys((*one, *other)))
    return table(("", "A", "B"), rows, label="throughput of both runs")
