"""Trainings of a search: every trial once for every seed, those that the journal knows taken from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.policy.search.checkpoints import Checkpoints
from fusion_aug.policy.search.journal import Journal
from fusion_aug.policy.search.objective import Objective, checked_scores
from fusion_aug.policy.search.trials import Proposal, Trial


@dataclass
class Trainings:
    """What makes the trials of a search.

    Attributes:
        objective: trains. seeds: of every trial. journal, checkpoints: of the search.
        wanted: the scores that the search needs. progress: is told after every training how many there were.
        names: of the scores, once one training has ended. made: how many have.
    """

    objective: Objective
    seeds: Sequence[int]
    journal: Journal
    checkpoints: Checkpoints
    wanted: Sequence[str]
    progress: Callable[[int], None]
    names: list[str] | None = field(default=None, init=False)
    made: int = field(default=0, init=False)

    def trial(self, number: int, proposal: Proposal, pipeline: Compose) -> Trial:
        """One trial.

        Raises:
            ConfigError: the objective returned something else than the scores that are needed.
        """
        rows = []
        for seed in self.seeds:
            rows.append(self._scores(number, seed, proposal, pipeline))
            self.made += 1
            self.progress(self.made)
        return Trial(number, proposal, {name: tuple(row[name] for row in rows) for name in rows[0]})

    def _scores(self, number: int, seed: int, proposal: Proposal, pipeline: Compose) -> dict[str, float]:
        """The scores of one training, which the journal holds before this returns."""
        where = f"trial {number}, seed {seed}"
        asked = {"trial": number, "seed": seed, **asdict(proposal)}
        returned: Any = self.journal.known(asked)
        is_new = returned is None
        if is_new:
            checkpoint = self.checkpoints.begin(number, seed, proposal)
            returned = self.objective(pipeline, seed, proposal.epochs, checkpoint)
            self.checkpoints.end(checkpoint, where)
        scores = checked_scores(returned, where, self.names)
        for name in self.wanted:
            Trial(number, proposal, {n: (s,) for n, s in scores.items()}).per_seed(name)  # refused now, not at the end
        if is_new:
            self.journal.append(asked | {"scores": scores})
        self.names = list(scores)
        return scores
