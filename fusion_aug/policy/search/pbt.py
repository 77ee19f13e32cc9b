"""``pbt``: population-based training (Jaderberg et al. 2017; of augmentations: Ho et al. 2019).

A population of trainings runs in rounds of some epochs. After a round the worst go on from the checkpoints of the best,
with their pipelines perturbed; all others go on as they are. The result is what the best of the last round ended with;
the way there, a schedule of pipelines over the epochs, is in ``results.json``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.policy.search.engine import Engine, whole
from fusion_aug.policy.search.recipes import DIGITS, drawn_recipe
from fusion_aug.policy.search.trials import Proposal, Trial

SHARE = 4  # the worst and the best are a quarter each, at least one
ANEW = 0.25  # probability that a number is drawn anew instead of perturbed
STEP = 0.2  # by which it is perturbed at most, up or down


@dataclass(kw_only=True)
class Pbt(Engine):
    """Population-based training over ``trials`` = population x rounds trainings of ``epochs`` / rounds epochs each.

    Attributes:
        population: how many train side by side, at least 2; by default the largest number whose square is not above
            ``trials`` and that divides them.
    """

    name: ClassVar[str] = "pbt"
    needs_checkpoints: ClassVar[bool] = True
    population: Any = None
    _told: list[Trial] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        total = self.trials
        fitting = [n for n in range(2, math.isqrt(total) + 1) if total % n == 0]
        self._size = whole(self.population, "population", 2) if self.population is not None else max(fitting, default=0)
        if not self._size or total % self._size:
            said = f"a population of {self._size}" if self._size else "a population of two or more"
            raise ConfigError(f"trials: {total} trainings cannot be made in rounds of {said}; give a multiple of it")
        self._rounds = total // self._size
        if self.task.epochs < self._rounds:
            raise ConfigError(
                f"epochs: {self.task.epochs} cannot be shared by {self._rounds} rounds; give at least {self._rounds}, "
                f"or a larger population="
            )

    def ask(self, number: int) -> Proposal:
        """A member in its next round."""
        turn, member = divmod(number, self._size)
        start = self._epochs_before(turn)
        epochs = self._epochs_before(turn + 1) - start
        if turn == 0:
            return Proposal(drawn_recipe(self.task.space, self.task.draws("pbt", 0, member)), epochs)
        before = self._round(turn - 1)
        parent = self._parents(before)[member]
        recipe = dict(parent.recipe)
        if parent.number != before[member].number:
            recipe = perturbed(recipe, self.task.draws("pbt", turn, member))
        return Proposal(recipe, epochs, start, parent.number)

    def tell(self, trial: Trial) -> None:
        """Learn from a trial."""
        self._told.append(trial)

    def dispensable(self, number: int) -> range:
        """Of a whole round those of the round before."""
        turn, member = divmod(number, self._size)
        whole_round = member == self._size - 1 and turn > 0
        return range((turn - 1) * self._size, turn * self._size) if whole_round else range(0)

    def best(self, trials: Sequence[Trial]) -> Trial:
        """The best of the last round: only they were trained to the end."""
        return super().best(trials[-self._size :])

    def _epochs_before(self, turn: int) -> int:
        """Epochs before a round; all rounds have as many, give or take one."""
        return turn * self.task.epochs // self._rounds

    def _round(self, turn: int) -> list[Trial]:
        return self._told[turn * self._size : (turn + 1) * self._size]

    def _parents(self, trials: Sequence[Trial]) -> list[Trial]:
        """What each member of a round goes on from: itself, or of the worst one of the best."""
        (score,) = self.task.scores
        order = sorted(trials, key=lambda t: (-t.value(score), t.number))
        some = max(1, self._size // SHARE)
        instead = dict(zip((t.number for t in reversed(order[-some:])), order[:some], strict=True))
        return [instead.get(t.number, t) for t in trials]

    def facts(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """``schedule``: the pipelines that the best one came through, the first one first."""
        line = [self.best(trials)]
        while (parent := line[0].proposal.parent) is not None:
            line.insert(0, trials[parent])
        return {
            "schedule": [{"from_epoch": t.proposal.start, "trial": t.number, "recipe": dict(t.recipe)} for t in line]
        }


def perturbed(recipe: Mapping[str, Any], rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """A recipe with every number drawn anew, or moved up or down by ``STEP`` at most, within [0, 1]."""
    return {kind: {name: _moved(value, rng) for name, value in recipe[kind].items()} for kind in ("magnitudes", "p")}


def _moved(value: float, rng: np.random.Generator) -> float:
    anew, share = rng.random(2).tolist()
    return round(share if anew < ANEW else min(1.0, max(0.0, value + STEP * (2 * share - 1))), DIGITS)
