"""``reinforce``: policy gradients (Williams 1992) over sub-policies as AutoAugment has them (Cubuk et al. 2018).

There is one table and no recurrent controller: it holds one row of logits for the operation and one for the magnitude
of every step of every sub-policy. A trial draws one of each by key. What it scored above a moving baseline, in units of
the moving spread of the scores, pushes the logits of what it drew up, or down. It needs 100 trials and more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from fusion_aug.core.compose import named_leaves
from fusion_aug.errors import ConfigError
from fusion_aug.policy.search.engine import Engine, numbers, whole
from fusion_aug.policy.search.trials import Proposal, Trial

MEMORY = 20  # trials that the moving baseline and spread look back


@dataclass(kw_only=True)
class Reinforce(Engine):
    """A table of logits. The last trial, and so the result, is the most probable of everything that it has learnt.

    Attributes:
        policies: how many sub-policies, of which every sample gets one. steps: operations of each.
        levels: how many magnitudes, from 0 (which is doing nothing) to 1, or a list of them.
        rate: how far a score that lies one spread above the baseline moves a logit.
    """

    name: ClassVar[str] = "reinforce"
    policies: Any = 2
    steps: Any = 4
    levels: Any = 6
    rate: Any = 0.4
    _picked: dict[int, list[tuple[int, int]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        rows = whole(self.policies, "policies", 1) * whole(self.steps, "steps", 1)
        if isinstance(self.levels, int):
            count = whole(self.levels, "levels", 2)
            self._levels: tuple[float, ...] = tuple(round(i / (count - 1), 6) for i in range(count))
        else:
            self._levels = numbers(self.levels, "levels", 0, 1)
        if not isinstance(self.rate, int | float) or isinstance(self.rate, bool) or not 0 < self.rate <= 10:
            raise ConfigError(f"rate: expected a number above 0 and up to 10, got {self.rate!r}")
        self._paths = [path for path, leaf in named_leaves(self.task.space.pipeline) if leaf.p != 0]
        self._operations = np.zeros((rows, len(self._paths)))
        self._magnitudes = np.zeros((rows, len(self._levels)))
        self._baseline = Baseline()

    def ask(self, number: int) -> Proposal:
        """A draw from the table; the last trial takes the most probable."""
        return self.proposed(number, self.likely() if number == self.trials - 1 else self.drawn(number))

    def likely(self) -> list[tuple[int, int]]:
        """Of every row the most probable operation and magnitude."""
        return [(_most(a), _most(b)) for a, b in zip(self._operations, self._magnitudes, strict=True)]

    def drawn(self, number: int) -> list[tuple[int, int]]:
        """Of every row an operation and a magnitude, drawn by their probabilities."""
        rng = self.task.draws("reinforce", number)
        rows = zip(self._operations, self._magnitudes, strict=True)
        return [(_pick(a, rng.random()), _pick(b, rng.random())) for a, b in rows]

    def proposed(self, number: int, picked: list[tuple[int, int]]) -> Proposal:
        """The proposal of a choice of operations and magnitudes."""
        self._picked[number] = picked
        steps = [[self._paths[a], self._levels[b]] for a, b in picked]
        policies = [steps[i : i + self.steps] for i in range(0, len(steps), self.steps)]
        return Proposal({"policies": policies}, self.task.epochs)

    def tell(self, trial: Trial) -> None:
        """Move the logits."""
        (score,) = self.task.scores
        push = float(self.rate) * self._baseline.advantage(trial.value(score))
        for row, (operation, magnitude) in enumerate(self._picked.pop(trial.number)):
            for logits, chosen in ((self._operations[row], operation), (self._magnitudes[row], magnitude)):
                logits -= push * shares(logits)
                logits[chosen] += push

    def best(self, trials: Sequence[Trial]) -> Trial:
        """The last one, whose pipeline all of the others decided; the best score of many is mostly luck."""
        return trials[-1]


@dataclass
class Baseline:
    """Moving mean and moving spread of scores, which begin with plain ones."""

    seen: int = 0
    mean: float = 0.0
    square: float = 0.0

    def advantage(self, value: float) -> float:
        """How many spreads a score lies above the mean so far, -3 to 3; then it counts, too."""
        apart = value - self.mean
        spread = math.sqrt(self.square)
        found = max(-3.0, min(3.0, apart / spread)) if self.seen > 1 and spread > 1e-12 * abs(self.mean) else 0.0
        self.seen += 1
        share = 1 / min(self.seen, MEMORY)
        self.mean += share * apart
        if self.seen > 1:
            self.square += share * (apart * (value - self.mean) - self.square)
        return found


def shares(logits: np.ndarray) -> np.ndarray:
    """Probabilities (n,) of a row of logits; they are summed in the order of the row."""
    raised = [math.exp(v) for v in (logits - logits.max()).tolist()]
    return np.array(raised) / math.fsum(raised)


def _pick(logits: np.ndarray, share: float) -> int:
    """The place in a row that a number in [0, 1) falls to, by the probabilities rounded to 1e-6."""
    ends = np.round(np.cumsum(shares(logits)), 6)
    return min(int(np.searchsorted(ends, share, side="right")), len(logits) - 1)


def _most(logits: np.ndarray) -> int:
    """The place of the largest, after rounding to 1e-6; of equal ones the first."""
    return int(np.argmax(np.round(logits, 6)))
