"""``grid``: every number of operations with every magnitude of RandAugment (Cubuk et al. 2019)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from fusion_aug.core.compose import leaves
from fusion_aug.errors import ConfigError
from fusion_aug.policy.search.engine import Engine, numbers, whole
from fusion_aug.policy.search.recipes import pipeline_of
from fusion_aug.policy.search.trials import Proposal


@dataclass(kw_only=True)
class Grid(Engine):
    """N x M trials: ``n`` operations at one magnitude, in rows of one ``n``.

    Attributes:
        n: numbers of operations that are tried. magnitudes: that are tried, 0 to 1. Of what is not given, as many as
            make a square of ``trials``: 1, 2, 3 operations at magnitudes 0.25, 0.5, 0.75 for 9 trials.
    """

    name: ClassVar[str] = "grid"
    n: Any = None
    magnitudes: Any = None

    def __post_init__(self) -> None:
        side = math.isqrt(super().trials)
        most = len(leaves(self.task.space.pipeline))
        given_n = range(1, side + 1) if self.n is None else numbers(self.n, "n", 1, most)
        self._n = [whole(n, "n", 1) for n in given_n]
        spaced = [round((j + 1) / (side + 1), 6) for j in range(side)]
        self._magnitudes = spaced if self.magnitudes is None else numbers(self.magnitudes, "magnitudes", 0, 1)
        asked, made = self.task.trials, len(self._n) * len(self._magnitudes)
        if asked is not None and asked != made:
            raise ConfigError(
                f"trials: {asked} is not the {len(self._n)} x {len(self._magnitudes)} of the grid; give a square "
                f"number, or n= and magnitudes="
            )
        if max(self._n) > most:
            raise ConfigError(f"n: {max(self._n)} operations are more than the {most} of the pipeline; give n=[1, ...]")
        pipeline_of(self.task.space, {"n": max(self._n), "magnitude": 1.0})  # refused where so many exclude each other

    @property
    def trials(self) -> int:
        """As many as the grid has places."""
        return len(self._n) * len(self._magnitudes)

    def ask(self, number: int) -> Proposal:
        """The place of a number."""
        row, column = divmod(number, len(self._magnitudes))
        return Proposal({"n": self._n[row], "magnitude": float(self._magnitudes[column])}, self.task.epochs)
