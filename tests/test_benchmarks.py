"""Benchmarks that call what runs are made of still do: the smallest of each gives its figures."""

from __future__ import annotations

import pytest

from benchmarks import many_episodes, many_tasks, sim_steps, windows


@pytest.mark.usefixtures("own_names")  # it registers a format
def test_many_tasks() -> None:
    found = many_tasks.figures(3)
    assert set(found) == {"plan", "merge", "plan_peak", "merge_peak"} and min(found.values()) > 0


@pytest.mark.parametrize("kind", many_episodes.FORMATS)
def test_many_episodes(kind: str) -> None:
    assert many_episodes.figures(kind, 10)["merging"] > 0


def test_windows() -> None:
    fast, slow = windows.windows(1, 1)[0], windows.naive(1, 1)[0]
    assert all(a.equal(b) for n in ("front", "wrist") for a, b in zip(fast[n].pictures, slow[n].pictures, strict=True))  # type: ignore[attr-defined]


def test_sim_steps() -> None:
    assert min(sim_steps.figures(1, 3).values()) > 0
