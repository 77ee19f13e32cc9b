"""Trainings of a search: every trial once for every seed, those that the journal knows taken from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.errors import ConfigError, DataError, FusionAugError
from fusion_aug.policy.search.checkpoints import Checkpoints, remove
from fusion_aug.policy.search.journal import Journal
from fusion_aug.policy.search.objective import Objective, checked_scores, name_of
from fusion_aug.policy.search.trials import Proposal, Trial

LONGEST = 300  # characters of what an objective raised


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
            FusionAugError: it raised something; that is its cause.
        """
        rows = []
        for seed in self.seeds:
            rows.append(self._scores(number, seed, proposal, pipeline))
            self.made += 1
            self.progress(self.made)
        return Trial(number, proposal, {name: tuple(row[name] for row in rows) for name in rows[0]})

    def _scores(self, number: int, seed: int, proposal: Proposal, pipeline: Compose) -> dict[str, float]:
        """The scores of one training, which the journal holds before this returns."""
        asked = {"trial": number, "seed": seed, **asdict(proposal)}
        known = self.journal.known(asked)
        if known is None:
            scores = self._trained(number, seed, proposal, pipeline)
            self.journal.append(asked | {"scores": scores})
        else:
            scores = self._checked(known, number, seed, proposal)
        self.names = list(scores)
        return scores

    def _trained(self, number: int, seed: int, proposal: Proposal, pipeline: Compose) -> dict[str, float]:
        """The scores of one training that is made now; where it fails nothing is left of it."""
        checkpoint = self.checkpoints.begin(number, seed, proposal)
        try:
            try:
                returned = self.objective(pipeline, seed, proposal.epochs, checkpoint)
            except (Exception, SystemExit) as error:  # foreign code, which may raise anything
                raise self._failure(error, _where(number, seed)) from error
            self.checkpoints.end(checkpoint, _where(number, seed))
            return self._checked(returned, number, seed, proposal)
        except BaseException:
            remove(checkpoint.after)
            raise

    def _checked(self, returned: Any, number: int, seed: int, proposal: Proposal) -> dict[str, float]:
        scores = checked_scores(returned, _where(number, seed), self.names)
        for name in self.wanted:
            Trial(number, proposal, {n: (s,) for n, s in scores.items()}).per_seed(name)  # refused now, not at the end
        return scores

    def _failure(self, error: BaseException, where: str) -> FusionAugError:
        """What an objective raised, with the training in which it did and what to do about it."""
        kind = next((k for k in (ConfigError, DataError) if type(error) is k), FusionAugError)
        said = " ".join(str(error).split())[:LONGEST]
        return kind(
            f"objective: {name_of(self.objective)} failed in {where} ({type(error).__name__}: {said}); mend it and "
            f"search again with the same arguments, which goes on with this training: the {self.made} before it are "
            f"kept in {self.journal.path}"
        )


def _where(number: int, seed: int) -> str:
    return f"trial {number}, seed {seed}"
