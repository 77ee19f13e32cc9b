"""ByDifficulty: how strongly a sample is augmented, by how hard it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from fusion_aug.core.compose import Compose
from fusion_aug.core.engine import Run
from fusion_aug.core.schedules import at_epoch, checked_probability
from fusion_aug.errors import ConfigError
from fusion_aug.policy.deciding import Deciding, SomeTransforms
from fusion_aug.policy.hard_examples import HardExamples
from fusion_aug.policy.space import Space
from fusion_aug.sample import Sample
from fusion_aug.transforms import Brightness, PointDropout


class ByDifficulty(Deciding):
    """Apply the transforms at a magnitude that follows from the difficulty of the sample.

    What a magnitude means for a transform says ``Space``: all fields that the transforms move off neutral take their
    values of that magnitude. The history holds the records of the transforms, and one of ``ByDifficulty`` with the
    ``magnitude``; a replay needs no table.

    Attributes:
        table: a ``HardExamples``, or the name of a resource that is one; configurations name a resource.
        easy, hard: magnitudes of the easiest and of the hardest sample, 0 to 1, or Schedules; on a line between for the
            others.
        dimensions: ``name.field`` -> the magnitude that is 1 of it, of the fields that follow the magnitude where these
            are not all that the transforms move, as in a ``Space`` that was narrowed.
    """

    table: HardExamples | str
    easy: Any
    hard: Any
    dimensions: Mapping[str, float] | None
    example: ClassVar[dict[str, Any]] = {
        "transforms": [Brightness(**Brightness.example), PointDropout(**PointDropout.example)]
    }

    def __init__(self, transforms: SomeTransforms | Space, table: HardExamples | str = "hard_examples", **options: Any):
        if isinstance(transforms, Space):
            if transforms.dimensions != Space.of(transforms.pipeline).dimensions:
                options["dimensions"] = {d.name: d.largest for d in transforms.dimensions}
            transforms = transforms.pipeline
        super().__init__(transforms, table=table, **options)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``table``, ``easy``, ``hard`` and ``dimensions``."""
        return {"table": "hard_examples", "easy": 0.5, "hard": 0.1, "dimensions": None}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.table, HardExamples | str):
            raise ConfigError(f"ByDifficulty.table: expected HardExamples or a resource's name, got {self.table!r}")
        for name in ("easy", "hard"):
            value = checked_probability(getattr(self, name), f"ByDifficulty.{name}", "magnitude")
            object.__setattr__(self, name, value)
        self.space  # noqa: B018  (raises where no number has a strength)

    @cached_property
    def space(self) -> Space:
        """The transforms, and their fields that follow the magnitude."""
        inside = Compose(dict(self.children()))
        if self.dimensions is None:
            return Space.of(inside)
        return Space.of(inside, every=True).only(self.dimensions).up_to(self.dimensions)

    def to_config(self) -> dict[str, Any]:
        """The container as a plain mapping with ``_target_``.

        Raises:
            ConfigError: the table is no resource.
        """
        if not isinstance(self.table, str):
            raise ConfigError("ByDifficulty.table: no configuration can hold a table; name a resource that is it")
        return super().to_config()

    def decide(self, sample: Sample, run: Run, path: str, who: str) -> tuple[Sample, dict[str, Any]]:
        """One sample at its magnitude."""
        table = run.context.resource(self.table, who) if isinstance(self.table, str) else self.table
        if not isinstance(table, HardExamples):
            raise ConfigError(f"{who}: the resource {self.table!r} is no HardExamples, but {table!r}")
        easy, hard = (at_epoch(end, run.keys.epoch) for end in (self.easy, self.hard))
        magnitude = table.magnitude_of(sample.id, easy, hard)
        own = replace(run)
        for name, child in self.space.at(magnitude).children():
            sample = child.walk(sample, own, path, name)
        return own.flush(sample), {"magnitude": magnitude}
