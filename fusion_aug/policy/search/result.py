"""What a search found, in Python and as files: a preset of a pipeline that runs take, figures, and a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fusion_aug.core.compose import Compose
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.policy.search.engine import Engine
from fusion_aug.policy.search.report import html_report
from fusion_aug.policy.search.trials import Trial, front_of, mean_of
from fusion_aug.policy.space import Space

PRESET = "pipeline/policy.yaml"
FIGURES, REPORT = "results.json", "report.html"


@dataclass(frozen=True)
class SearchResult:
    """What ``search_policy`` found.

    Attributes:
        pipeline: the best one; of ``density`` the one that was given, its ranges narrowed.
        best: the trial that it is of. trials: all of them.
        space: that was searched; of ``density`` the narrowed one.
        front: of several scores the trials that no other one beats in one without losing in another.
        facts: of the engine: ``schedule`` of pbt, ``largest`` of density.
        folder: with ``pipeline/policy.yaml``, ``results.json``, ``report.html``, the journal and the checkpoints.
    """

    pipeline: Compose
    best: Trial
    trials: tuple[Trial, ...]
    space: Space
    front: tuple[Trial, ...]
    facts: Mapping[str, Any]
    folder: Path


def found(engine: Engine, trials: list[Trial], pipeline: Compose, folder: Path) -> SearchResult:
    """The result of an engine whose trials have all ended; ``pipeline`` is that of its best trial."""
    best, space = engine.best(trials), engine.narrowed(trials)
    front = front_of(trials, engine.task.scores) if len(engine.task.scores) > 1 else [best]
    return SearchResult(
        pipeline if space is None else space.pipeline, best, tuple(trials), space or engine.task.space, tuple(front),
        engine.facts(trials), folder,
    )  # fmt: skip


def write_result(result: SearchResult, header: Mapping[str, Any]) -> None:
    """Write the files of a result, each whole or not at all; the figures come last.

    Args:
        result: to write. header: what decided the search.
    """
    (result.folder / PRESET).parent.mkdir(exist_ok=True)
    _write(preset_text(result, header), result.folder / PRESET)
    facts = figures(result, header)
    _write(html_report(result.space, facts), result.folder / REPORT)
    _write(json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n", result.folder / FIGURES)


def _write(text: str, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    write_new_text(part, text)
    part.replace(path)


def preset_text(result: SearchResult, header: Mapping[str, Any]) -> str:
    """The pipeline as a preset of Hydra."""
    engine, count = header["engine"], len(result.trials)
    about = f"# Found by fusion-aug search: engine {engine}, {count} trials, seed {header['seed']}; see ../{REPORT}"
    config = {"_target_": "fusion_aug.pipeline", "transforms": result.pipeline.to_config()["transforms"]}
    body = yaml.safe_dump(_plain(config), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)
    return f"{about}\n{body}"


def _plain(value: Any) -> Any:
    """Mappings as dictionaries and tuples as lists, which YAML has."""
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple | list) else value


def figures(result: SearchResult, header: Mapping[str, Any]) -> dict[str, Any]:
    """All figures of a search, JSON-able: what decided it, the best trial, and every trial."""
    facts: dict[str, Any] = {k: v for k, v in header.items() if k != "space"}
    facts["best"] = facts_of(result.best)
    if len(header["score"]) > 1:
        facts["front"] = [t.number for t in result.front]
    facts |= result.facts
    facts["space"] = {"before": header["space"], "left": space_facts(result.space)}
    facts["trials_made"] = [facts_of(t) for t in result.trials]
    return facts


def facts_of(trial: Trial) -> dict[str, Any]:
    """One trial, JSON-able: numbers of every seed, mean and standard deviation over the seeds."""
    scores = {
        name: {"mean": mean_of(values), "spread": trial.spread(name), "seeds": list(values)}
        for name, values in trial.scores.items()
    }
    p = trial.proposal
    return {
        "trial": trial.number, "recipe": dict(p.recipe), "epochs": p.epochs, "start": p.start, "parent": p.parent,
        "scores": scores,
    }  # fmt: skip


def space_facts(space: Space) -> dict[str, Any]:
    """What a space is, JSON-able: its pipeline, and what every dimension is at magnitude 1."""
    full = {d.name: d.value(1.0) for d in space.dimensions}
    return {"pipeline": _plain(space.pipeline.to_config()), "full": _plain(full)}
