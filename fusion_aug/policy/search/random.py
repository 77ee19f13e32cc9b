"""``random``: the magnitude of every dimension and the probability of every operation, drawn by key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fusion_aug.policy.search.engine import Engine
from fusion_aug.policy.search.recipes import drawn_recipe
from fusion_aug.policy.search.trials import Proposal


@dataclass(kw_only=True)
class Random(Engine):
    """Independent draws: trial 5 of a seed is the same one, however many trials there are."""

    name: ClassVar[str] = "random"

    def ask(self, number: int) -> Proposal:
        """A draw of its own."""
        return Proposal(drawn_recipe(self.task.space, self.task.draws("random", number)), self.task.epochs)
