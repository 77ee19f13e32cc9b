"""The report of a search: one page that asks for nothing and runs nothing."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from html_page import Page
from searches import space

import fusion_aug as fa
from fusion_aug.policy.search.charts import ticks

ENGINES = {"grid": {}, "random": {}, "pbt": {"epochs": 9}, "optuna": {"score": ["<b>&", "fog"]}, "reinforce": {},
           "density": {"levels": [1.0]}}  # fmt: skip


def objective(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
    checkpoint.after.touch()
    value = (len(str(pipeline.to_config())) % 17) / 17 + 0.01 * seed
    return {"<b>&": value, "fog": 1 - value, "loss": 1 + value}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_page_of_every_engine(tmp_path: Path, engine: str) -> None:
    if engine == "optuna":
        pytest.importorskip("optuna")
    options: dict[str, Any] = {"score": None if engine == "density" else "<b>&"} | ENGINES[engine]
    found = fa.search_policy(objective, space(), engine, out=tmp_path / "s", seeds=2, **options)
    text = (tmp_path / "s" / "report.html").read_text()
    page = Page(text)
    kinds = {tag for tag, _ in page.tags}
    assert not kinds & {"script", "link", "img", "iframe", "object", "base", "b"} and "svg" in kinds
    assert not [a for _, attrs in page.tags for a in attrs if a in ("src", "href", "xlink:href") or a.startswith("on")]
    assert not re.search(r"url\(|@import|https?:", text)
    (policy,) = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "prefers-color-scheme:dark" in text and len(text) < 40_000
    words = page.text
    assert f"Result: trial {found.best.number}" in words or engine == "density"
    circles = [a for t, a in page.tags if t == "circle"]
    assert len(circles) == len(found.trials) * len(json.loads((tmp_path / "s" / "results.json").read_text())["score"])


def test_many_trials_stay_small(tmp_path: Path) -> None:
    fa.search_policy(objective, space(), "random", 120, out=tmp_path / "s", score="fog")
    text = (tmp_path / "s" / "report.html").read_text()
    assert len(text) < 60_000 and "Trials, the best 50" in text
    assert sum(tag == "tr" for tag, _ in Page(text).tags) == 1 + 50 + 1 + len(space().dimensions)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.59, 0.73, ["0.60", "0.65", "0.70"]),
        (0.99912, 0.99998, ["0.9992", "0.9994", "0.9996", "0.9998"]),
        (-3.0, 7.0, ["-2", "0", "2", "4", "6"]),
        (1234.5, 1234.9, ["1234.5", "1234.6", "1234.7", "1234.8", "1234.9"]),
        (1.9e-9, 4.2e-9, ["2e-09", "2.5e-09", "3e-09", "3.5e-09", "4e-09"]),
    ],
)
def test_numbers_at_an_axis_are_round_and_differ(low: float, high: float, texts: list[str]) -> None:
    found = ticks(low, high)
    assert [text for _, text in found] == texts
    assert all(low <= value <= high and float(text) == pytest.approx(value) for value, text in found)


@pytest.mark.quick
def test_long_recipes_are_folded_and_the_best_mean_rises_in_steps(tmp_path: Path) -> None:
    many = fa.Space.of(fa.Compose({f"turn{i}": fa.RotateScene(yaw_deg=[-45, 45]) for i in range(9)}))
    found = fa.search_policy(objective, many, "random", 4, out=tmp_path / "s", score="fog")
    page = Page((tmp_path / "s" / "report.html").read_text())
    assert sum(tag == "details" for tag, _ in page.tags) == 4
    whole = ", ".join(f"{n} {m:.3g}" for n, m in found.best.recipe["magnitudes"].items())
    assert whole in page.words and any(w.endswith(", …") and whole.startswith(w[:-3]) for w in page.words)
    (line,) = [a["points"] for t, a in page.tags if t == "polyline"]
    places = [tuple(map(float, p.split(","))) for p in str(line).split()]
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(places)) and len(places) == 8
    fa.search_policy(objective, many, out=tmp_path / "g", score="fog")
    words = Page((tmp_path / "g" / "report.html").read_text()).text
    assert "1 operation at magnitude 0.25" in words and "1 epoch each" in words and "1 operations" not in words


@pytest.mark.quick
def test_the_figures_hold_every_number(tmp_path: Path) -> None:
    found = fa.search_policy(objective, space(), out=tmp_path / "s", seeds=[1, 5], score="fog", about={"x": 1})
    facts = json.loads((tmp_path / "s" / "results.json").read_text())
    assert facts["best"]["trial"] == found.best.number and facts["about"] == {"x": 1} and facts["seeds"] == [1, 5]
    for trial, told in zip(found.trials, facts["trials_made"], strict=True):
        assert told["recipe"] == dict(trial.recipe)
        assert {n: tuple(s["seeds"]) for n, s in told["scores"].items()} == trial.scores
