"""Space: the numbers of a pipeline as magnitudes from 0 to 1, for searches, curricula and random augmentation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from fusion_aug.core.compose import Compose, Container, check_magnitudes_inside, named_leaves
from fusion_aug.core.fields import kinds
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import own_transforms
from fusion_aug.core.strength import Strength, checked_magnitude
from fusion_aug.core.transform import Transform
from fusion_aug.errors import USER_ERRORS, ConfigError
from fusion_aug.policy.small_sample import small_copy
from fusion_aug.sample import Sample
from fusion_aug.streams.families import Photometric

Magnitudes = float | Mapping[str, float] | Sequence[float]


@dataclass(frozen=True)
class Dimension:
    """One number of a pipeline that can be searched.

    Attributes:
        path: of the transform in the pipeline. field: of the transform.
        strength: what a magnitude means for it.
        limits: that the field keeps.
        largest: of the strength's magnitudes the one that is 1 here, less where a search has narrowed the dimension.
    """

    path: str
    field: str
    strength: Strength
    limits: tuple[float, float] = (float("-inf"), float("inf"))
    largest: float = 1.0

    @property
    def name(self) -> str:
        """``path.field``, such as ``weather/fog.mor``."""
        return f"{self.path}.{self.field}"

    @property
    def low(self) -> float | None:
        """The value at magnitude 0; None where the field is left empty."""
        return self.strength.neutral

    @property
    def high(self) -> float | tuple[float, float]:
        """The value at magnitude 1, or those on either side."""
        value = self.value(1.0)
        return tuple(value["values"]) if isinstance(value, Mapping) else value  # type: ignore[return-value]

    @property
    def scale(self) -> str:
        """``linear``, ``log`` or ``inverse``."""
        return self.strength.scale

    def value(self, magnitude: float) -> Range | None:
        """The field at a magnitude from 0 to 1: a number, or a choice between two."""
        return self.strength.value(checked_magnitude(magnitude, self.name) * self.largest, self.limits)


@dataclass(frozen=True)
class Space:
    """A pipeline with the numbers of it that follow magnitudes.

    Attributes:
        pipeline: whose transforms they belong to; other fields, probabilities and choices stay as they are in it.
        dimensions: the numbers, in the order of the pipeline.
        left_out: of ``Space.fitting``: transform -> why it is not in the space.
    """

    pipeline: Compose
    dimensions: tuple[Dimension, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: Transform, every: bool = False) -> Self:
        """The space of a pipeline.

        Args:
            pipeline: whose fields are taken that it moves off neutral.
            every: also take the fields that it leaves neutral.

        Raises:
            ConfigError: no field of it has a strength.
        """
        whole = pipeline if isinstance(pipeline, Compose) else Compose([pipeline])
        check_magnitudes_inside(whole, "Space.of")
        found = tuple(d for path, leaf in named_leaves(whole) for d in dimensions_of(leaf, path, every))
        if not found:
            raise ConfigError(
                "Space.of: no number of the pipeline has a strength; give it a transform with a Range, or every=True"
            )
        return cls(whole, found)

    @classmethod
    def fitting(cls, sample: Sample, also: Collection[str] = ()) -> Self:
        """The space of all transforms of this package that do something to a sample, as their examples set them.

        Each is run once at magnitude 1, so that what misses something in the sample is found; on a copy with small and
        few pictures, which tells as much in seconds. Miscalibration, and faults after which labels are wrong, are left
        out (``Transform.needs_naming``).

        Args:
            sample: such as the first of a log; of a batch the first.
            also: names of transforms that are taken although they would be left out.

        Returns:
            the space; its ``left_out`` says why each of the others is not in it.

        Raises:
            ConfigError: a name is no transform of this package, or nothing is left.
        """
        own = own_transforms()
        if unknown := [name for name in also if name not in own]:
            raise ConfigError(f"Space.fitting: {unknown[0]!r} is no transform of this package")
        found: dict[str, Transform] = {}
        left_out: dict[str, str] = {}
        small = small_copy(sample)
        for name, kind in own.items():
            why = "" if name in also else _not_by_chance(kind)
            leaf = None if why else _by_example(kind)
            if leaf is not None and not (why := _nothing_done(leaf, small)):
                found[name] = leaf
            if name not in found:
                left_out[name] = why or "no number of it has a strength"
        return replace(cls.of(Compose(found)), left_out=left_out)

    def only(self, names: Collection[str]) -> Self:
        """The space of some of the dimensions; the other fields stay as they are in the pipeline.

        Raises:
            ConfigError: a name is no dimension.
        """
        for name in names:
            self._check(name, "only")
        return replace(self, dimensions=tuple(d for d in self.dimensions if d.name in names))

    @property
    def operations(self) -> tuple[str, ...]:
        """Paths of the transforms that have a dimension, in the order of the pipeline."""
        return tuple(dict.fromkeys(d.path for d in self.dimensions))

    def operation(self, path: str, magnitude: float) -> Transform:
        """One transform of the pipeline with all its dimensions at a magnitude.

        Args:
            path: of the transform. magnitude: 0 to 1; at 0 it is not applied at all.

        Raises:
            ConfigError: there is no such transform.
        """
        leaves = dict(named_leaves(self.pipeline))
        if path not in leaves:
            raise ConfigError(f"Space.operation: there is no {path!r} in the pipeline (it has {', '.join(leaves)})")
        strong = checked_magnitude(magnitude, path)
        return self._moved(leaves[path], path, {d.name: strong for d in self.dimensions}, strong > 0)

    def at(self, magnitudes: Magnitudes) -> Compose:
        """The pipeline with its dimensions at magnitudes.

        Probabilities and choices stay as in the pipeline, and so do transforms without a dimension, such as a mirror.
        Where all magnitudes are 0 nothing is applied, not even those. A Schedule in a field that follows a magnitude
        goes with the field's other values.

        Args:
            magnitudes: one number for all, a number for each dimension in their order, or name -> number; dimensions
                that are not named stay at 0.
        """
        strong = self.named(magnitudes)
        runs = any(strong.values())
        return _mapped(self.pipeline, lambda leaf, path: self._moved(leaf, path, strong, runs))

    def named(self, magnitudes: Magnitudes) -> dict[str, float]:
        """Magnitudes by the name of their dimension, all of them, checked.

        Raises:
            ConfigError: a name is no dimension, there are too many or too few, or one lies outside of 0 to 1.
        """
        names = [d.name for d in self.dimensions]
        if isinstance(magnitudes, Mapping):
            for name in magnitudes:
                self._check(name, "magnitudes")
            given: dict[str, Any] = dict.fromkeys(names, 0.0) | dict(magnitudes)
        elif isinstance(magnitudes, Sequence) and not isinstance(magnitudes, str):
            if len(magnitudes) != len(names):
                raise ConfigError(f"Space: {len(magnitudes)} magnitudes are given for {len(names)} dimensions")
            given = dict(zip(names, magnitudes, strict=True))
        else:
            given = dict.fromkeys(names, magnitudes)
        return {n: checked_magnitude(m, n) for n, m in given.items()}

    def vector(self, magnitudes: Magnitudes) -> tuple[float, ...]:
        """Magnitudes in the order of the dimensions."""
        return tuple(self.named(magnitudes).values())

    def to_config(self) -> dict[str, Any]:
        """The space as a plain mapping: the configuration of its pipeline, and ``largest`` of its dimensions."""
        return {"pipeline": self.pipeline.to_config(), "dimensions": {d.name: d.largest for d in self.dimensions}}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], build: Callable[[Any], Transform]) -> Self:
        """The space of a plain mapping.

        Args:
            config: of ``to_config``. build: makes a pipeline of its configuration, as ``run.config.build_pipeline``.

        Raises:
            ConfigError: something is missing, or a dimension is not in the pipeline.
        """
        if not isinstance(config, Mapping) or {*config} != {"pipeline", "dimensions"}:
            raise ConfigError(f"space: expected a mapping with pipeline and dimensions, got {config!r}")
        found, largest = cls.of(build(config["pipeline"]), every=True), config["dimensions"]
        return found.only(largest).up_to(largest)

    def up_to(self, largest: Mapping[str, float]) -> Self:
        """The space with dimensions that end at magnitudes of the present ones.

        Args:
            largest: name -> magnitude above 0 that is 1 from now on; dimensions that are not named stay as they are.

        Raises:
            ConfigError: a name is no dimension, or a magnitude is none.
        """
        ends = self.named({d.name: 1.0 for d in self.dimensions} | dict(largest))
        if gone := [n for n, m in ends.items() if m == 0]:
            raise ConfigError(f"Space.up_to: {gone[0]!r} ends at 0; leave it out by Space.only")
        return replace(self, dimensions=tuple(replace(d, largest=d.largest * ends[d.name]) for d in self.dimensions))

    def _moved(self, leaf: Transform, path: str, magnitudes: Mapping[str, float], runs: bool) -> Transform:
        """A transform with its dimensions at magnitudes; not applied where ``runs`` is false or all of them are 0."""
        mine = {d.field: (d, magnitudes[d.name]) for d in self.dimensions if d.path == path}
        values: dict[str, Any] = {name: d.value(m) for name, (d, m) in mine.items()}
        runs = runs and (not mine or any(m > 0 for _, m in mine.values()))
        return replace(leaf, **(values if runs else values | {"p": 0.0}))

    def _check(self, name: str, where: str) -> None:
        known = [d.name for d in self.dimensions]
        if name not in known:
            raise ConfigError(f"Space.{where}: {name!r} is no dimension of the space (it has {', '.join(known)})")


def dimensions_of(leaf: Transform, path: str, every: bool = False) -> list[Dimension]:
    """The fields of a transform that have a strength and are moved off neutral, or all that have one."""
    return [
        Dimension(path, name, strength, leaf.limits.get(name, Dimension.limits))
        for name, strength in type(leaf).strengths.items()
        if isinstance(strength, Strength) and (every or strength.moves(getattr(leaf, name)))
    ]


def _mapped(container: Any, change: Callable[[Transform, str], Transform], path: str = "") -> Any:
    """A container with every transform inside that is none changed by a function of it and its path."""
    inside = {}
    for name, child in container.children():
        own = f"{path}/{name}" if path else name
        inside[name] = _mapped(child, change, own) if isinstance(child, Container) else change(child, own)
    return type(container)(inside, **{k: getattr(container, k) for k in container.defaults()})


def _not_by_chance(kind: type[Transform]) -> str:
    """Why a transform is in no space that it was not named for; "" where it may be."""
    special = [n for n, other in own_transforms().items() if issubclass(other, kind) and other is not kind]
    return f"{', '.join(special)} stand for it" if kind.excludes and special else kind.needs_naming


def _by_example(kind: type[Transform]) -> Transform | None:
    """A transform with the numbers of its example; None where none of them has a strength."""
    given: dict[str, Any] = {n: v for n, v in kind.example.items() if kinds(kind)[n].name == "range"}
    if not any(isinstance(s, Strength) for s in kind.strengths.values()):
        return None
    if issubclass(kind, Photometric):
        given["cameras"] = None  # all but gels, which refuse a change of levels
    leaf = kind(**given)
    return leaf if dimensions_of(leaf, "") else None


def _nothing_done(leaf: Transform, sample: Sample) -> str:
    """Why a transform does nothing to a sample at magnitude 1; "" where it does something."""
    try:
        out = Space.of(leaf).at(1.0)(sample)
        out.realized()  # pictures change when they are used
    except USER_ERRORS as error:
        return str(error)
    same = out.streams.keys() == sample.streams.keys() and all(out.streams[n] is s for n, s in sample.streams.items())
    return "it changes nothing of the sample" if same and out.metas[0].rig is sample.metas[0].rig else ""
