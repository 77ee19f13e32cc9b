"""The report of a search: one page that asks for nothing and runs nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from searches import space

import fusion_aug as fa

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Elements and words of a page; every element has to be closed."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


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
    words = " ".join(page.words)
    assert f"Result: trial {found.best.number}" in words or engine == "density"
    circles = [a for t, a in page.tags if t == "circle"]
    assert len(circles) == len(found.trials) * len(json.loads((tmp_path / "s" / "results.json").read_text())["score"])


def test_many_trials_stay_small(tmp_path: Path) -> None:
    fa.search_policy(objective, space(), "random", 120, out=tmp_path / "s", score="fog")
    text = (tmp_path / "s" / "report.html").read_text()
    assert len(text) < 60_000 and "Trials, the best 50" in text
    assert sum(tag == "tr" for tag, _ in Page(text).tags) == 1 + 50 + 1 + len(space().dimensions)


@pytest.mark.quick
def test_the_figures_hold_every_number(tmp_path: Path) -> None:
    found = fa.search_policy(objective, space(), out=tmp_path / "s", seeds=[1, 5], score="fog", about={"x": 1})
    facts = json.loads((tmp_path / "s" / "results.json").read_text())
    assert facts["best"]["trial"] == found.best.number and facts["about"] == {"x": 1} and facts["seeds"] == [1, 5]
    for trial, told in zip(found.trials, facts["trials_made"], strict=True):
        assert told["recipe"] == dict(trial.recipe)
        assert {n: tuple(s["seeds"]) for n, s in told["scores"].items()} == trial.scores
