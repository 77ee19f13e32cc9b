"""``density``: which ranges leave the data something that a model can know (the affinity of Gontijo-Lopes et al. 2020).

A frozen model, trained without augmentation, is not trained on: its loss is measured on clean data, then with one
dimension after the other at rising magnitudes. Where the loss is more than ``factor`` times the clean one, the labels
are as good as gone, and the range ends before. It is a filter. As an objective it would converge to doing nothing,
since no augmentation is as close to the clean data as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fusion_aug.errors import ConfigError
from fusion_aug.policy.search.engine import Engine, numbers
from fusion_aug.policy.search.narrowing import narrowed
from fusion_aug.policy.search.trials import Proposal, Trial, rounded
from fusion_aug.policy.space import Space

LOSS = "loss"


@dataclass(kw_only=True)
class Density(Engine):
    """Every dimension alone at every level. The objective does not train (``epochs`` is 0) and returns ``loss``.

    Attributes:
        levels: magnitudes that are tried, rising. factor: how many times the clean loss is still kept.
    """

    name: ClassVar[str] = "density"
    default_score: ClassVar[str] = LOSS
    levels: Any = (0.2, 0.4, 0.6, 0.8, 1.0)
    factor: Any = 2.0

    def __post_init__(self) -> None:
        self._levels = sorted(numbers(self.levels, "levels", 0, 1))
        if self._levels[0] <= 0:
            raise ConfigError("levels: 0 is the clean data, which is measured anyway; leave it out")
        if not isinstance(self.factor, int | float) or isinstance(self.factor, bool) or not self.factor > 1:
            raise ConfigError(f"factor: expected a number above 1, got {self.factor!r}")
        if self.task.scores != (LOSS,):
            raise ConfigError(f"score: the engine density takes the objective's {LOSS!r} alone; leave score out")
        if self.task.trials is not None and self.task.trials != self.trials:
            raise ConfigError(
                f"trials: the engine density makes one for the clean data and one for every level of every dimension, "
                f"here {self.trials}; leave trials out"
            )

    @property
    def trials(self) -> int:
        """One for the clean data, and one for every level of every dimension."""
        return 1 + len(self._levels) * len(self.task.space.dimensions)

    def ask(self, number: int) -> Proposal:
        """Clean data, then one dimension at one level."""
        if number == 0:
            return Proposal({"magnitudes": {}}, 0)
        place, level = divmod(number - 1, len(self._levels))
        return Proposal({"magnitudes": {self.task.space.dimensions[place].name: float(self._levels[level])}}, 0)

    def tell(self, trial: Trial) -> None:
        """Refuse a clean loss that nothing can be compared with."""
        if trial.number == 0 and trial.value(LOSS) <= 0:
            raise ConfigError(
                f"objective: the loss of the clean data is {trial.value(LOSS):g}; measure it on data that the model "
                f"was not trained on, with a loss above 0"
            )

    def best(self, trials: Sequence[Trial]) -> Trial:
        """The clean data: nothing is better by this measure, which is why it is no objective."""
        return trials[0]

    def narrowed(self, trials: Sequence[Trial]) -> Space:
        """The space up to the largest magnitudes that are kept."""
        return narrowed(self.task.space, self.largest(trials))

    def facts(self, trials: Sequence[Trial]) -> dict[str, Any]:
        """``largest``: of every dimension the largest magnitude that is kept."""
        return {"largest": self.largest(trials)}

    def largest(self, trials: Sequence[Trial]) -> dict[str, float]:
        """The largest magnitude of every dimension up to which no loss is too high; 0 where the first one is."""
        limit, kept = float(self.factor) * trials[0].value(LOSS), {}
        losses = [t.value(LOSS) for t in trials[1:]]
        for i, dimension in enumerate(self.task.space.dimensions):
            mine = losses[i * len(self._levels) : (i + 1) * len(self._levels)]
            held = next((k for k, loss in enumerate(mine) if rounded(loss) > rounded(limit)), len(mine))
            kept[dimension.name] = float(self._levels[held - 1]) if held else 0.0
        return kept
