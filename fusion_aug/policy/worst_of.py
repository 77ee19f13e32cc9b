"""WorstOf: of several draws the one of the highest loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from fusion_aug.core.engine import Run
from fusion_aug.errors import ConfigError
from fusion_aug.policy.deciding import Deciding, SomeTransforms
from fusion_aug.policy.scoring import Loss, checked_loss, function_of, highest, name_of_loss, number_of_loss
from fusion_aug.sample import Sample
from fusion_aug.transforms import Brightness, GaussianNoise

MANY = 1000  # candidates


class WorstOf(Deciding):
    """Draw the transforms ``k`` times, and keep the draw that a loss is highest of.

    Candidate i is drawn under the path ``WorstOf/i/...``, so that a higher ``k`` keeps the candidates there were.
    Losses that differ by less than 1e-6 of the highest count as equal, and the first candidate of them stays.

    The history holds the records of the chosen candidate, and one of ``WorstOf`` with its ``index`` and all ``losses``;
    a replay needs no loss and is bit-exact.

    Attributes:
        k: how many candidates.
        loss: a function of one sample, with its files decoded and nothing pending, that returns a finite number or a
            0-dim tensor: the higher, the worse for a model. It is called without gradients, k times a sample. In a
            configuration ``module:function``, of a module in ``plugins``, or the name of a resource that is one.
    """

    k: int
    loss: Loss | str
    example: ClassVar[dict[str, Any]] = {
        "transforms": [Brightness(**Brightness.example), GaussianNoise(**GaussianNoise.example)],
        "k": 3,
        "loss": "fusion_aug.policy.scoring:darkness",
    }

    def __init__(self, transforms: SomeTransforms, k: int = 4, loss: Loss | str | None = None, **options: Any):
        super().__init__(transforms, k=k, loss=loss, **options)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``k`` and ``loss``."""
        return {"k": 4, "loss": None}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 1 <= self.k <= MANY:
            raise ConfigError(f"WorstOf.k: expected a whole number from 1 to {MANY}, got {self.k!r}")
        object.__setattr__(self, "loss", checked_loss(self.loss, "WorstOf.loss"))

    def places(self, name: str) -> list[str]:
        """Under which paths a transform runs: one of every candidate."""
        return [f"{i}/{name}" for i in range(self.k)]

    def to_config(self) -> dict[str, Any]:
        """The container as a plain mapping with ``_target_``.

        Raises:
            ConfigError: the loss has no name in a module.
        """
        return {**super().to_config(), "loss": name_of_loss(self.loss, "WorstOf.loss")}

    def decide(self, sample: Sample, run: Run, path: str, who: str) -> tuple[Sample, dict[str, Any]]:
        """All candidates of one sample, of which that of the highest loss stays."""
        loss = function_of(self.loss, run.context, who)
        losses: list[float] = []
        kept, index = sample, 0
        for i in range(self.k):
            candidate = self.run_inside(sample, replace(run), f"{path}/{i}")
            losses.append(number_of_loss(candidate.realized(), loss, f"{who}: candidate {i}"))
            if highest(losses) == i:
                kept, index = candidate, i
        if index != highest(losses):  # an earlier one equals the highest, and did not equal those before it
            index = highest(losses)
            kept = self.run_inside(sample, replace(run), f"{path}/{index}")
        return kept, {"index": index, "losses": losses}
