"""Adversary: drawn numbers moved to where a loss is higher."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from fusion_aug.core.compose import leaves, named_leaves
from fusion_aug.core.engine import Run
from fusion_aug.core.schedules import is_number
from fusion_aug.errors import ConfigError
from fusion_aug.policy.ascent import Ascent
from fusion_aug.policy.deciding import Deciding, SomeTransforms
from fusion_aug.policy.moving import moving_numbers, ranges_of
from fusion_aug.policy.scoring import Loss, checked_loss, function_of, name_of_loss
from fusion_aug.sample import Sample
from fusion_aug.transforms import Brightness, GaussianNoise

GRADIENTS = ("auto", "exact", "spsa")
MANY = 1000  # steps


class ZeroGradient(UserWarning):
    """A loss does not change with a number that an ``Adversary`` was to move."""


class Adversary(Deciding):
    """Draw the transforms, then move the numbers that they drew from a range uphill in a loss, inside that range.

    Gates, choices, keys of noise and what is fixed stay as drawn. Distances are shares of a range (in logarithms where
    it is ``log_uniform``; three standard deviations to either side of a ``normal`` one). A step goes ``step`` along the
    sign of the gradient; where that is no gain it is taken back, and the next is half as long. So the loss is never
    below that of the draw.

    A gradient is exact where the number and everything after it up to the loss carries it: float pictures and light,
    poses and K through ``lidar2img`` or a projection, points, boxes, fog in pictures. A backward pass counts as two
    passes. The gradient of the others is estimated together, by differences along random signs, both ways (SPSA, Spall
    1992): two passes a step. A loss that cuts a part of the way off (voxels of moved points) has a gradient of the rest
    alone, which looks exact: name such fields ``spsa``.

    The history holds the records of the transforms with the numbers where they ended, and one of ``Adversary``: how
    the ``gradient`` of each number was found, the names of those with ``zero`` gradient (which is warned of, but for
    ranges left at their defaults, as of a wind's direction) and of those ``still`` as drawn, ``start`` values,
    ``losses`` at the start and after each step, and ``passes`` of the loss. A replay is bit-exact and needs no loss.

    Attributes:
        loss: a function of one sample, with its files decoded and nothing pending, that returns a finite number or a
            0-dim tensor with a gradient: the higher, the worse for a model. In a configuration ``module:function``, of
            a module in ``plugins``, or the name of a resource that is one.
        steps: how many.
        gradient: ``exact``, which refuses what carries none, ``spsa``, or ``auto``: exact where it can be. Or a mapping
            of patterns of ``path.field`` to these words, of which the first that matches counts; else ``auto``.
        step: how far, a share of every range.
    """

    loss: Loss | str
    steps: int
    gradient: str | Mapping[str, str]
    step: float
    example: ClassVar[dict[str, Any]] = {
        "transforms": [Brightness(**Brightness.example), GaussianNoise(**GaussianNoise.example)],
        "loss": "fusion_aug.policy.scoring:darkness",
        "steps": 1,
    }

    def __init__(self, transforms: SomeTransforms, loss: Loss | str | None = None, steps: int = 3, **options: Any):
        super().__init__(transforms, loss=loss, steps=steps, **options)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``loss``, ``steps``, ``gradient`` and ``step``."""
        return {"loss": None, "steps": 3, "gradient": "auto", "step": 0.5}

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "loss", checked_loss(self.loss, "Adversary.loss"))
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or not 1 <= self.steps <= MANY:
            raise ConfigError(f"Adversary.steps: expected a whole number from 1 to {MANY}, got {self.steps!r}")
        if not is_number(self.step) or not 0 < self.step <= 1:
            raise ConfigError(f"Adversary.step: expected a share of a range above 0 and up to 1, got {self.step!r}")
        if not any(ranges_of(t.over_epochs()) for t in leaves(self)):
            raise ConfigError("Adversary.transforms: no number of them has a range; give a field [low, high]")
        self._check_gradient()

    def _check_gradient(self) -> None:
        words = self.gradient if isinstance(self.gradient, Mapping) else {"*": self.gradient}
        fields = [f"{p}.{f}" for p, t in named_leaves(self) for f in ranges_of(t.over_epochs())]
        for pattern, word in words.items():
            if word not in GRADIENTS:
                raise ConfigError(f"Adversary.gradient: {word!r} is not one of {', '.join(GRADIENTS)}")
            if not any(fnmatchcase(f, str(pattern)) for f in fields):
                raise ConfigError(
                    f"Adversary.gradient: {pattern!r} names no field with a range (there are {', '.join(fields)})"
                )

    def to_config(self) -> dict[str, Any]:
        """The container as a plain mapping with ``_target_``.

        Raises:
            ConfigError: the loss has no name in a module.
        """
        return {**super().to_config(), "loss": name_of_loss(self.loss, "Adversary.loss")}

    def decide(self, sample: Sample, run: Run, path: str, who: str) -> tuple[Sample, dict[str, Any]]:
        """One sample with its draw moved uphill."""
        drawn = self.run_inside(sample, replace(run, count=False), path)
        records = drawn.meta.history[len(sample.meta.history) :]
        inside = {p: t.at_epoch(run.keys.epoch) for p, t in named_leaves(self, path)}
        numbers, still = moving_numbers(records, inside, path, sample.meta)
        loss = function_of(self.loss, run.context, who)
        ascent = Ascent(sample, run, records, loss, path, who, {n: self._asked(n.name) for n in numbers})
        said = ascent.climb(self.steps, self.step, run.draw_owner(sample, 0, self))
        if unfelt := [n.name for n in numbers if n.chosen and n.name in said["zero"]]:
            warnings.warn(f"{who}: the loss does not change with {', '.join(unfelt)}", ZeroGradient, stacklevel=2)
        return ascent.outcome(), {**said, "still": still}

    def _asked(self, name: str) -> str:
        """The word of ``gradient`` for a number."""
        if isinstance(self.gradient, str):
            return self.gradient
        field = name.partition("@")[0]
        return next((w for pattern, w in self.gradient.items() if fnmatchcase(field, pattern)), "auto")
