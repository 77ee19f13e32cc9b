"""Small charts of bars: inline SVG that takes its colours from the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_aug.show.page import Html, tag

BINS = 24  # of a small histogram
MOST = 200  # bars of a chart


def histogram(values: Sequence[float], label: str) -> Html:
    """How often values fall into equal parts of their span, as a small chart for one row of a table.

    Args:
        values: finite numbers, at least one. label: for those who hear the page.
    """
    low, high = min(values), max(values)
    spread = max(high - low, 1e-9 * max(abs(low), abs(high), 1e-300))
    counts = np.histogram(values, BINS, (low, low + spread))[0]
    return bars(counts.tolist(), label, width=160, height=18, kind="bar")


def over_time(values: Sequence[float], label: str) -> Html:
    """Values in their order; of many neighbours that share a bar the largest is drawn."""
    parts = np.array_split(np.asarray(values, np.float64), min(MOST, len(values)))
    return bars([float(p.max()) for p in parts], label, width=720, height=80, kind="wide")


def bars(heights: Sequence[float], label: str, *, width: int, height: int, kind: str) -> Html:
    """A chart of bars.

    Args:
        heights: not negative. label: for those who hear the page. width, height: pixels. kind: class of the element.
    """
    step, top = width / len(heights), max(heights) or 1.0
    inner = (
        tag(
            "rect", class_="range", x=f"{i * step:.1f}", width=f"{max(0.6, step - 0.6):.1f}",
            y=f"{height * (1 - h / top):.1f}", height=f"{height * h / top:.1f}",
        )
        for i, h in enumerate(heights) if h
    )  # fmt: skip
    return tag("svg", *inner, class_=kind, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
