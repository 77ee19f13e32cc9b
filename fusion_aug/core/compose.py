"""Containers: Compose, RandomApply, OneOf, SomeOf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from fusion_aug.core.engine import Run
from fusion_aug.core.schedules import as_config, at_epoch, is_number, over_epochs, schedules_in
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.names import full_name
from fusion_aug.sample import Sample
from fusion_aug.streams.families import Mix


@dataclass(frozen=True, init=False, kw_only=True)
class Container(Transform, abstract=True):
    """A transform made of others. Paths of the children begin with the container's own."""

    transforms: tuple[Transform, ...] = ()
    names: tuple[str, ...] = ()
    scopes = ("scene", "sample")
    keeps_magnitudes: ClassVar[str] = ""  # why nothing outside can set the magnitudes of what is inside

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Without the check of ``Transform``: what a container takes is said by ``options``, not by fields."""
        return object.__new__(cls)

    def __init__(self, transforms: Sequence[Transform] | Mapping[str, Transform], **options: Any):
        named = transforms.items() if isinstance(transforms, Mapping) else [(None, t) for t in transforms]
        given: list[tuple[str | None, Transform]] = [(n, t) for n, t in named if t is not None]
        for label, t in given:
            if not isinstance(t, Transform):
                raise ConfigError(f"{type(self).__name__}.transforms: {label or t!r} is not a transform")
            if label is not None and (not label or "/" in label):
                raise ConfigError(f"{type(self).__name__}.transforms: the name {label!r} must be a word without '/'")
        names = _unique_names([n or t.name or type(t).__name__ for n, t in given])
        defaults = self.defaults()
        unknown = [k for k in options if k not in defaults]
        if unknown:
            raise ConfigError(f"{type(self).__name__}: unknown parameter {unknown[0]!r}")
        for key, value in (defaults | options).items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "transforms", tuple(t for _, t in given))
        object.__setattr__(self, "names", tuple(names))
        self.__post_init__()
        _last_other(self, "", "")

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Further keyword parameters and their defaults."""
        return {}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """All keyword parameters and their defaults."""
        return {"name": None, "p": 1.0, "scope": "sample", "per_scene": False} | cls.options()

    def children(self) -> Iterable[tuple[str, Transform]]:
        """Named transforms inside."""
        return zip(self.names, self.transforms, strict=True)

    def places(self, name: str) -> list[str]:
        """Paths, below its own, under which a child runs: its name, unless the container runs it several times."""
        return [name]

    def map_children(self, change: Callable[[Transform], Transform]) -> Self:
        """The container with every leaf transform changed, names and paths kept."""
        inside = {n: t.map_children(change) if isinstance(t, Container) else change(t) for n, t in self.children()}
        return type(self)(inside, **{k: getattr(self, k) for k in self.defaults()})

    def at_epoch(self, epoch: int) -> Self:
        """The container with everything inside as it is at an epoch."""
        return self._with_numbers(lambda t: t.at_epoch(epoch), lambda value: at_epoch(value, epoch))

    def over_epochs(self, epochs: range | None = None) -> Self:
        """The container with everything inside as it may be in some epochs, all by default."""
        return self._with_numbers(lambda t: t.over_epochs(epochs), lambda value: over_epochs(value, epochs))

    def _with_numbers(self, child: Callable[[Transform], Transform], number: Callable[[Any], Any]) -> Self:
        options = {k: getattr(self, k) for k in self.defaults()}
        new = {k: number(v) if schedules_in(v) else v for k, v in options.items()}
        if isinstance(new["p"], tuple):
            new["p"] = new["p"][1]
        return type(self)({n: child(t) for n, t in self.children()}, **new)

    def effects(self) -> dict[str, str]:
        """Effects of all that can run inside."""
        able = [t for t, can in zip(self.transforms, self.can_run(), strict=True) if can and t.p > 0 and self.p > 0]
        return {e: f for t in able for e, f in t.effects().items()}

    def can_run(self) -> list[bool]:
        """Whether each child can be chosen at all."""
        return [True] * len(self.transforms)

    def to_config(self) -> dict[str, Any]:
        """The container as a plain mapping with ``_target_``."""
        config: dict[str, Any] = {"_target_": full_name(type(self))}
        config |= {k: as_config(getattr(self, k)) for k, d in self.defaults().items() if getattr(self, k) != d}
        return config | {"transforms": {n: t.to_config() for n, t in self.children()}}

    def walk(
        self, sample: Sample, run: Run, prefix: str, name: str | None = None, among: Sequence[int] | None = None
    ) -> Sample:
        """Run each child on the samples chosen for it; the outermost container adds nothing to the path."""
        own = name or self.name or (type(self).__name__ if prefix else "")
        path = "/".join(p for p in (prefix, own) if p)
        on = run.gated_in(self, sample, path, among)
        chosen = {u: set(self.choose(run, sample, u, path)) for u in on}
        for i, (child_name, child) in enumerate(self.children()):
            if indices := [u for u in on if i in chosen[u]]:
                sample = child.walk(sample, run, path, child_name, indices)
        return sample

    def choose(self, run: Run, sample: Sample, index: int, path: str) -> list[int]:
        """Indices of the children that run on one sample of a batch."""
        return list(range(len(self.transforms)))


class Compose(Container):
    """All of the transforms, one after another."""


class RandomApply(Container):
    """All of the transforms together with probability ``p`` (0.5 by default), else none."""

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``p`` is one half by default."""
        return {"p": 0.5}


class OneOf(Container):
    """Exactly one of the transforms, chosen with ``weights`` (equal by default)."""

    weights: tuple[float, ...] | None

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``weights``, one non-negative number per transform."""
        return {"weights": None}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.transforms:
            raise ConfigError("OneOf.transforms: needs at least one transform")
        w = self.weights
        if w is not None and not (isinstance(w, Sequence) and all(map(is_number, w))):
            raise ConfigError(f"OneOf.weights: expected a list of numbers, got {w!r}")
        if w is not None and (len(w) != len(self.transforms) or min(w) < 0 or sum(w) <= 0):
            raise ConfigError(f"OneOf.weights: expected {len(self.transforms)} non-negative numbers, got {w}")

    def can_run(self) -> list[bool]:
        """A child of weight 0 is never chosen."""
        return [w > 0 for w in self.weights] if self.weights else super().can_run()

    def choose(self, run: Run, sample: Sample, index: int, path: str) -> list[int]:
        """One child, drawn for the sample or its scene."""
        rng = run.keys.generator(run.draw_owner(sample, index, self), path, "choice")
        return [int(self._bounds.searchsorted(rng.random(), side="right"))]

    @cached_property
    def _bounds(self) -> np.ndarray:
        """(n,) upper ends of the shares of [0, 1) that choose each child, as ``Generator.choice`` lays them out."""
        w = self.weights or (1.0,) * len(self.transforms)
        bounds = np.cumsum([x / sum(w) for x in w])
        return bounds / bounds[-1]


class SomeOf(Container):
    """A random subset of ``n`` transforms (a number or ``[low, high]``), in the listed order."""

    n: Any

    @classmethod
    def options(cls) -> dict[str, Any]:
        """``n``: how many."""
        return {"n": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = (self.n,) if isinstance(self.n, int) else self.n
        if not isinstance(ends, Sequence) or len(ends) not in (1, 2) or not all(type(e) is int for e in ends):
            raise ConfigError(f"SomeOf.n: expected a whole number or two, got {self.n!r}")
        low, high = self.bounds()
        if not 0 <= low <= high <= len(self.transforms):
            raise ConfigError(f"SomeOf.n: {self.n} does not fit {len(self.transforms)} transforms")

    def can_run(self) -> list[bool]:
        """None where the subset is always empty."""
        return [self.bounds()[1] > 0] * len(self.transforms)

    def bounds(self) -> tuple[int, int]:
        """Smallest and largest number of transforms that run."""
        return (self.n, self.n) if isinstance(self.n, int) else (int(self.n[0]), int(self.n[1]))

    def choose(self, run: Run, sample: Sample, index: int, path: str) -> list[int]:
        """A sorted subset, drawn for the sample or its scene."""
        rng = run.keys.generator(run.draw_owner(sample, index, self), path, "choice")
        low, high = self.bounds()
        count = int(rng.integers(low, high + 1))
        return sorted(rng.permutation(len(self.transforms))[:count].tolist())


def pipeline(transforms: Mapping[str, Transform] | Sequence[Transform] | None = None, **main_values: Any) -> Compose:
    """Build a Compose from a configuration.

    Args:
        transforms: an ordered mapping of names to transforms; the names are the random paths.
        main_values: the preset's main numbers, which the transforms refer to by interpolation; not used here.
    """
    return Compose(transforms or {})


def _unique_names(names: list[str]) -> list[str]:
    """The second of a name becomes ``name#2``, or the next that is free."""
    out: list[str] = []
    for name in names:
        number, own = 1, name
        while own in out:
            number += 1
            own = f"{name}#{number}"
        out.append(own)
    return out


def _last_other(transform: Transform, path: str, before: str) -> str:
    """Path of the last transform that is no mix, of those up to and with this one; ``before`` is that ahead of it.

    Raises:
        ConfigError: a mix stands behind one: it meets samples as they are in their logs.
    """
    own = path or type(transform).__name__
    if isinstance(transform, Mix) and before:
        raise ConfigError(
            f"{own}: takes parts of another sample, as both are in their logs, so it stands before all transforms that "
            f"do not; move it in front of {before}"
        )
    if not isinstance(transform, Container):
        return before if isinstance(transform, Mix) else own
    last, alone = before, isinstance(transform, OneOf)
    for name, child in transform.children():
        last = _last_other(child, f"{path}/{name}" if path else name, before if alone else last) or last
    return last


def leaves(transform: Transform) -> list[Transform]:
    """Every transform inside that is not a container."""
    return [leaf for _, leaf in named_leaves(transform)]


def named_leaves(transform: Transform, path: str = "") -> list[tuple[str, Transform]]:
    """Path and transform of everything inside that is not a container."""
    if not isinstance(transform, Container):
        return [(path, transform)]
    return [
        pair
        for name, child in transform.children()
        for place in transform.places(name)
        for pair in named_leaves(child, f"{path}/{place}" if path else place)
    ]


def check_magnitudes_inside(transform: Transform, who: str, path: str = "") -> None:
    """Raise where a container is inside that has magnitudes of its own.

    Args:
        transform: a pipeline. who: asks, for messages. path: of it.

    Raises:
        ConfigError: naming the container.
    """
    if not isinstance(transform, Container):
        return
    if transform.keeps_magnitudes:
        kind = type(transform).__name__
        raise ConfigError(
            f"{who}: {path or kind}: magnitudes cannot be set inside {kind}, since {transform.keeps_magnitudes}; put "
            f"the space's pipeline inside {kind} instead"
        )
    for name, child in transform.children():
        check_magnitudes_inside(child, who, f"{path}/{name}" if path else name)


__all__ = ["Compose", "Container", "OneOf", "RandomApply", "SomeOf", "leaves", "named_leaves", "pipeline"]
