"""Charts of a report: inline SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BELOW = 720, 240, 56, 28  # of the chart; what its axes leave
TICKS = 5  # numbers at the axis of scores, at most


def scores_chart(values: Sequence[Sequence[float]], best: int, label: str) -> str:
    """Scores (every seed a dot, means a line mark) of every trial, and the best mean so far.

    Args:
        values: of every trial one number for every seed. best: number of the trial that is the result.
        label: name of the score.
    """
    means = [math.fsum(v) / len(v) for v in values]
    low, high = _limits([x for row in values for x in row])

    def at(number: float, value: float) -> tuple[float, float]:
        x = LEFT + (number + 0.5) * (WIDTH - LEFT) / len(values)
        return x, 8 + (HEIGHT - BELOW - 8) * (high - value) / (high - low)

    parts = [_axes(low, high, len(values), at)]
    so_far = [max(means[: i + 1]) for i in range(len(means))]
    corners = [at(i, so_far[k]) for i in range(len(so_far)) for k in (max(i - 1, 0), i)]  # it rises where a trial is
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    parts.append(f'<polyline class="far" points="{line}"/>')
    radius = 2.5 if len(values) <= 100 else 1.2
    for i, (row, mean) in enumerate(zip(values, means, strict=True)):
        kind = "best" if i == best else "dot"
        if len(row) > 1:
            (x, top), (_, bottom) = at(i, max(row)), at(i, min(row))
            parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>')
        x, y = at(i, mean)
        title = escape(f"trial {i}: {mean:.4g}")
        size = radius * (1.8 if i == best else 1)
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"><title>{title}</title></circle>')
    return _svg(HEIGHT, f"{label} of every trial", "".join(parts))


def range_bar(low: float, high: float, best: float) -> str:
    """A bar from 0 to 1 with a range in it and a mark, for one row of a table."""
    inner = (
        f'<rect class="all" x="0" y="5" width="160" height="4"/>'
        f'<rect class="range" x="{160 * low:.1f}" y="3" width="{max(2.0, 160 * (high - low)):.1f}" height="8"/>'
        f'<rect class="best" x="{min(157.0, 160 * best):.1f}" y="0" width="3" height="14"/>'
    )
    return f'<svg class="bar" width="160" height="14" viewBox="0 0 160 14" role="img" aria-label="range">{inner}</svg>'


def _svg(height: int, label: str, inner: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label, quote=True)}">{inner}</svg>'


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """The span of an axis, a little wider than the numbers."""
    low, high = min(values), max(values)
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Even numbers inside an axis, one, two or five times a power of ten apart, with their texts, which all differ."""
    power = math.floor(math.log10((high - low) / TICKS))
    factor = next(m for m in (1, 2, 5, 10) if (high - low) / (m * 10.0**power) <= TICKS)
    step, digits = factor * 10.0**power, max(0, -power - (factor == 10))
    numbers = [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [(v, f"{v:.{digits}f}" if 1e-6 <= step < 1e6 else f"{v:.6g}") for v in numbers]


def _axes(low: float, high: float, count: int, at: object) -> str:
    """Lines and numbers of both axes."""
    parts = []
    for value, text in ticks(low, high):
        _, y = at(0, value)  # type: ignore[operator]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    every = max(1, math.ceil(count / 10))
    for number in range(0, count, every):
        x, _ = at(number, low)  # type: ignore[operator]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{number}</text>')
    return "".join(parts)
