"""Trials: what was tried and scored, and the arithmetic of their comparison, which no last bit of a float decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fusion_aug.errors import ConfigError

MEAN = "mean"


@dataclass(frozen=True)
class Proposal:
    """What an engine wants to have tried.

    Attributes:
        recipe: JSON-able; ``recipes.pipeline_of`` makes a pipeline of it.
        epochs: how many epochs are trained.
        start: how many epochs the training goes on from. parent: number of the trial that it goes on from, or None.
    """

    recipe: Mapping[str, Any]
    epochs: int
    start: int = 0
    parent: int | None = None


@dataclass(frozen=True)
class Trial:
    """A proposal that was trained, once for every seed.

    Attributes:
        number: from 0 on. proposal: what was tried.
        scores: name -> one number for every seed, higher is better.
    """

    number: int
    proposal: Proposal
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Of the proposal."""
        return self.proposal.recipe

    def per_seed(self, score: str) -> tuple[float, ...]:
        """One number for every seed of a score by name, or of the mean of all of them.

        Raises:
            ConfigError: the objective gives no such score.
        """
        if score == MEAN and MEAN not in self.scores:
            return tuple(mean_of(row) for row in zip(*(self.scores[n] for n in sorted(self.scores)), strict=True))
        if score not in self.scores:
            raise ConfigError(f"score: the objective gives no {score!r} (it gives {', '.join(sorted(self.scores))})")
        return self.scores[score]

    def value(self, score: str) -> float:
        """The mean over the seeds, rounded as ``rounded`` does."""
        return rounded(mean_of(self.per_seed(score)))

    def spread(self, score: str) -> float | None:
        """Standard deviation over the seeds; None of one seed."""
        values = self.per_seed(score)
        if len(values) < 2:
            return None
        middle = mean_of(values)
        return math.sqrt(math.fsum((v - middle) ** 2 for v in values) / (len(values) - 1))


def mean_of(values: Sequence[float]) -> float:
    """The mean, summed exactly, so that no order of the numbers matters."""
    return math.fsum(values) / len(values)


def rounded(value: float) -> float:
    """A number to 1e-6 of itself: what differs by less is equal."""
    return float(f"{value:.6e}")


def best_of(trials: Sequence[Trial], score: str) -> Trial:
    """The trial with the highest value; of equal ones the first."""
    return max(trials, key=lambda t: (t.value(score), -t.number))


def mean_value(trial: Trial, scores: Sequence[str]) -> float:
    """The mean of several scores' values."""
    return rounded(mean_of([trial.value(s) for s in scores]))


def front_of(trials: Sequence[Trial], scores: Sequence[str]) -> list[Trial]:
    """The trials that no other one beats in one score without losing in another (the Pareto front), by number."""
    points = [tuple(t.value(s) for s in scores) for t in trials]
    return [
        trial
        for trial, point in zip(trials, points, strict=True)
        if not any(other != point and all(o >= p for o, p in zip(other, point, strict=True)) for other in points)
    ]
