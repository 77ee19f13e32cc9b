"""RandAugment and TrivialAugment: a few transforms by chance, at one magnitude, on all sensors of a sample together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from fusion_aug.core.compose import Compose, Container, check_magnitudes_inside, named_leaves
from fusion_aug.core.engine import Run
from fusion_aug.core.ranges import check_range, draw
from fusion_aug.core.schedules import at_epoch, is_number
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.policy.space import Space, dimensions_of
from fusion_aug.sample import Sample
from fusion_aug.streams.families import Family
from fusion_aug.transforms import Brightness, PointDropout

SomeTransforms = Space | Transform | Mapping[str, Transform] | Sequence[Transform]


class RandAugment(Container):
    """Apply ``n`` of the transforms, chosen for every sample, each at a magnitude drawn from ``magnitude``.

    What a magnitude means for a transform says ``Space``: the fields that it moves off neutral, or the ``dimensions``
    that are named, take their values of that magnitude; the rest of it, also its ``p``, stays as it is. A transform
    without such a field, as a mirror, is applied at any magnitude but 0. Containers among the transforms are taken
    apart: their own choices and probabilities are not made. What is chosen runs in the listed order, and at most one of
    those that exclude each other (``Transform.excludes``: two weathers, two viewpoints).

    Cubuk et al. 2020, with all sensors of a sample together.

    Attributes:
        n: how many.
        magnitude: a ``Range`` from 0 to 1, drawn anew for every transform; or a Schedule.
        weights: name of a transform or of a family (``Weather``, ``Photometric``, ``PointOp``, ...) -> how often it is
            chosen against the others. A family's weight is shared evenly by those of its transforms that are not named
            themselves. What is not named has weight 1.
        dimensions: ``name.field`` of the fields that follow the magnitude, or a mapping of them to the magnitude that
            they have at 1; None for all that the transforms move.
    """

    keeps_magnitudes: ClassVar[str] = "it draws magnitudes of its own"
    n: int
    magnitude: Any
    weights: Mapping[str, float] | None
    dimensions: Mapping[str, float] | tuple[str, ...] | None
    example: ClassVar[dict[str, Any]] = {
        "transforms": [Brightness(**Brightness.example), PointDropout(**PointDropout.example)]
    }

    def __init__(self, transforms: SomeTransforms, n: int = 2, magnitude: Any = 0.3, **options: Any):
        self._take(transforms, n=n, magnitude=magnitude, **options)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``n``, ``magnitude``, ``weights`` and ``dimensions``."""
        return {"n": 2, "magnitude": 0.3, "weights": None, "dimensions": None}

    def _take(self, transforms: SomeTransforms, **options: Any) -> None:
        """Take containers among the transforms apart; names are paths with "_" for "/", words in a configuration."""
        space = transforms if isinstance(transforms, Space) else None
        whole = space.pipeline if space else as_pipeline(transforms)  # type: ignore[arg-type]
        check_magnitudes_inside(whole, f"{type(self).__name__}.transforms")
        leaves = named_leaves(whole)
        if not leaves:
            raise ConfigError(f"{type(self).__name__}.transforms: there is none; give at least one")
        words = [path.replace("/", "_") for path, _ in leaves]
        if twice := [w for w, times in Counter(words).items() if times > 1]:
            raise ConfigError(f"{type(self).__name__}.transforms: two of them would be named {twice[0]!r}; rename one")
        if space and space.dimensions != tuple(d for p, leaf in leaves for d in dimensions_of(leaf, p)):
            largest = {f"{d.path.replace('/', '_')}.{d.field}": d.largest for d in space.dimensions}
            options["dimensions"] = tuple(largest) if all(m == 1 for m in largest.values()) else largest
        super().__init__(dict(zip(words, (leaf for _, leaf in leaves), strict=True)), **options)

    def __post_init__(self) -> None:
        super().__post_init__()
        who = type(self).__name__
        object.__setattr__(self, "magnitude", check_range(self.magnitude, f"{who}.magnitude", 0.0, 1.0))
        if self.dimensions is not None and not isinstance(self.dimensions, Mapping):
            object.__setattr__(self, "dimensions", tuple(self.dimensions))
        known = [d.name for n, t in self.children() for d in dimensions_of(t, n, every=True)]
        if unknown := [d for d in self.dimensions or () if d not in known]:
            raise ConfigError(
                f"{who}.dimensions: {unknown[0]!r} is no field with a strength (there are {', '.join(known)})"
            )
        self._check_weights()
        most = len({self._group(i) for i, share in enumerate(self.shares) if share > 0})
        if isinstance(self.n, bool) or not isinstance(self.n, int) or not 0 <= self.n <= most:
            raise ConfigError(
                f"{who}.n: expected a whole number from 0 to {most}, which can run together, got {self.n!r}"
            )

    def _check_weights(self) -> None:
        who = f"{type(self).__name__}.weights"
        if self.weights is not None and not isinstance(self.weights, Mapping):
            raise ConfigError(f"{who}: expected a mapping of names to numbers, got {self.weights!r}")
        known = {*self.names, *(family_name(t) for t in self.transforms)} - {""}
        for name, weight in (self.weights or {}).items():
            if name not in known:
                raise ConfigError(
                    f"{who}: {name!r} is no transform or family here (there are {', '.join(sorted(known))})"
                )
            if not is_number(weight) or weight < 0:
                raise ConfigError(f"{who}.{name}: expected a number of at least 0, got {weight!r}")

    @cached_property
    def space(self) -> Space:
        """The transforms, and the fields that follow the magnitude."""
        mine = [(n, t, dimensions_of(t, n, every=self.dimensions is not None)) for n, t in self.children()]
        chosen = (d for _, _, found in mine for d in found if self.dimensions is None or d.name in self.dimensions)
        whole = Space(Compose({n: t for n, t, _ in mine}), tuple(chosen))
        return whole.up_to(self.dimensions) if isinstance(self.dimensions, Mapping) else whole

    @cached_property
    def shares(self) -> tuple[float, ...]:
        """The weight of every transform."""
        weights = self.weights or {}
        families = [family_name(t) for t in self.transforms]
        unnamed = Counter(f for n, f in zip(self.names, families, strict=True) if n not in weights)
        return tuple(
            float(weights[n] if n in weights else weights[f] / unnamed[f] if f in weights else 1.0)
            for n, f in zip(self.names, families, strict=True)
        )

    def _group(self, index: int) -> str:
        """What a transform excludes itself with: its group, or its own name."""
        return type(self.transforms[index]).excludes or f"/{self.names[index]}"

    def can_run(self) -> list[bool]:
        """What has a weight, where any is chosen."""
        return [self.n > 0 and share > 0 for share in self.shares]

    def effects(self) -> dict[str, str]:
        """Effects of all that can be chosen, at the full magnitude."""
        able = [n for n, t, can in zip(self.names, self.transforms, self.can_run(), strict=True) if can and t.p > 0]
        return {e: f for n in able if self.p > 0 for e, f in self.space.operation(n, 1.0).effects().items()}

    def walk(
        self, sample: Sample, run: Run, prefix: str, name: str | None = None, among: Sequence[int] | None = None
    ) -> Sample:
        """Run each transform on the samples that it was chosen for; those with one magnitude go together."""
        own = name or self.name or (type(self).__name__ if prefix else "")
        path = "/".join(p for p in (prefix, own) if p)
        chosen = {u: self.choose(run, sample, u, path) for u in run.gated_in(self, sample, path, among)}
        for i, child in enumerate(self.names):
            together: dict[float, list[int]] = {}
            for u in (u for u, mine in chosen.items() if i in mine):
                together.setdefault(self._magnitude(run, sample, u, f"{path}/{child}" if path else child), []).append(u)
            for magnitude, indices in together.items():
                sample = self.space.operation(child, magnitude).walk(sample, run, path, child, indices)
        return sample

    def choose(self, run: Run, sample: Sample, index: int, path: str) -> list[int]:
        """``n`` transforms by their weights, no two that exclude each other, in the listed order."""
        rng = run.keys.generator(run.draw_owner(sample, index, self), path, "choice")
        left = [i for i, share in enumerate(self.shares) if share > 0]
        chosen: list[int] = []
        for _ in range(self.n):
            ends = np.cumsum([self.shares[i] for i in left])
            chosen.append(left[int((ends / ends[-1]).searchsorted(rng.random(), side="right"))])
            left = [i for i in left if self._group(i) != self._group(chosen[-1])]
        return sorted(chosen)

    def _magnitude(self, run: Run, sample: Sample, index: int, path: str) -> float:
        """The magnitude of one transform, drawn for the sample or its scene."""
        rng = run.keys.generator(run.draw_owner(sample, index, self), path, "choice")
        return draw(at_epoch(self.magnitude, run.keys.epoch), rng)


class TrivialAugment(RandAugment):
    """Apply one of the transforms, at a magnitude drawn evenly from 0 to 1 (Mueller and Hutter 2021).

    All else is as in ``RandAugment``.
    """

    n: int = 1
    magnitude: Any = (0.0, 1.0)

    def __init__(self, transforms: SomeTransforms, **options: Any):
        self._take(transforms, **options)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``weights`` and ``dimensions``."""
        return {"weights": None, "dimensions": None}


def family_name(transform: Transform) -> str:
    """Name of the family that a transform belongs to, such as ``Weather``; "" for one of none."""
    return next((base.__name__ for base in type(transform).__mro__ if Family in base.__bases__), "")


def as_pipeline(transforms: Transform | Mapping[str, Transform] | Sequence[Transform]) -> Compose:
    """A Compose of what a container may be given."""
    if isinstance(transforms, Transform):
        return transforms if isinstance(transforms, Compose) else Compose([transforms])
    return Compose(transforms)
