"""Transform: parameters are drawn in one phase and applied in another, and never otherwise."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from fusion_aug.core.device.absent import still_blank
from fusion_aug.core.device.rules import rule_for
from fusion_aug.core.engine import Run, apply_parameters, run
from fusion_aug.core.fields import checked, kinds
from fusion_aug.core.parameters import DrawnParameters, ParameterRows
from fusion_aug.core.ranges import draw
from fusion_aug.core.registry import TRANSFORMS, Call, Context, handler_for, is_invariant, resolve, works_by_item
from fusion_aug.core.schedules import as_config, at_epoch, checked_probability, over_epochs, schedules_in
from fusion_aug.core.strength import Strengths
from fusion_aug.errors import ConfigError, UnhandledStream
from fusion_aug.names import full_name
from fusion_aug.sample import Sample
from fusion_aug.sample.some_of_batch import looked_at, names_in, with_changed_streams
from fusion_aug.sample.to_device import lies_on_device
from fusion_aug.streams import Opaque, Stream
from fusion_aug.streams.dropped import with_dropped

COMMON_FIELDS = ("name", "p", "scope", "per_scene")
OLD_SCOPES = {"log": "scene", "rig": "sample", "step": "timestep"}  # what version 0.1 called them


@dataclass(frozen=True, kw_only=True)
class Transform:
    """Base of all transforms. The fields of a subclass are its configuration.

    Fields annotated ``Range`` take a number (fixed), ``[low, high]`` (uniform) or a ``distribution:`` mapping.

    Attributes:
        name: name in the random path; the class by default.
        p: probability that it is applied at all; a number, or a Schedule.
        scope: how widely one draw is shared: scene, sample, sensor or timestep.
        per_scene: draw once per scene instead of once per sample, with the scope's sharing among sensors kept. A run
            sets it for geometry where a format keeps calibration per scene.
    """

    name: str | None = None
    p: Any = 1.0
    scope: str = "sample"
    per_scene: bool = False

    version: ClassVar[int] = 1
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample")
    limits: ClassVar[dict[str, tuple[float, float]]] = {}  # field -> allowed values
    dense_noise: ClassVar[bool] = False  # whether params carry a key for per-pixel or per-point noise
    inverse: ClassVar[str] = "none"  # exact, lossy or none
    keeps_geometry_of: ClassVar[tuple[type, ...]] = ()  # kinds that it changes, but not their geometry
    keeps_values: ClassVar[bool] = False  # whether it changes only times, or which items there are
    needs_neighbours: ClassVar[bool] = False  # whether what becomes of a picture depends on other pictures
    accumulates: ClassVar[bool] = False  # whether a run of its family is accumulated and applied at once
    only_rig: ClassVar[bool] = False  # whether it changes nothing but the rig, so that values may lie anywhere
    exemptions: ClassVar[dict[str, str]] = {}  # promise -> reason
    rounded: ClassVar[tuple[str, ...]] = ()  # drawn numbers that are rounded, so that no gradient passes through them
    loss_reason: ClassVar[str] = ""  # why points, boxes or items are lost by it, where its name does not say so
    changes_calibration: ClassVar[str] = ""  # what it changes of the calibration, where its family does not say so
    strengths: ClassVar[Strengths] = {}  # Range field -> what a magnitude means for it, or why it is no strength
    excludes: ClassVar[str] = ""  # group of transforms of which one sample takes at most one by chance, as weather
    needs_naming: ClassVar[str] = ""  # why nobody gets it by chance who has not asked for it by name
    example: ClassVar[dict[str, Any]] = {}  # keyword arguments of one that does something, for tests and documents

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not abstract:
            TRANSFORMS.add(full_name(cls), cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Raise where the fields of a class are not fields yet: a decorator was forgotten."""
        if "__dataclass_fields__" not in cls.__dict__:
            own = [n for n, kind in inspect.get_annotations(cls).items() if "ClassVar" not in str(kind)]
            if own:
                raise ConfigError(
                    f"{full_name(cls)}: its field {own[0]!r} is not taken, since the class is no dataclass; write "
                    f"@dataclass(frozen=True, kw_only=True) above it"
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        who = type(self).__name__
        for name, kind in kinds(type(self)).items():
            value = checked(kind, getattr(self, name), f"{who}.{name}", self.limits.get(name, ()))
            object.__setattr__(self, name, value)
        object.__setattr__(self, "p", checked_probability(self.p, f"{who}.p"))
        if self.scope not in self.scopes:
            now = f"; it is called {OLD_SCOPES[self.scope]} now" if self.scope in OLD_SCOPES else ""
            raise ConfigError(f"{who}.scope: {self.scope!r} is not one of {', '.join(self.scopes)}{now}")
        if self.name is not None and ("/" in self.name or not self.name):
            raise ConfigError(f"{who}.name: {self.name!r} must be a word without '/'")

    # --- the two phases -----------------------------------------------------------------------------------------------
    def sample_params(self, rng: np.random.Generator, sample: Sample, context: Context) -> dict[str, Any]:
        """Draw the parameters of one scope instance: a JSON-able dictionary that ``apply`` needs nothing beside.

        By default every ``Range`` field is drawn in order and every other field is copied.
        """
        out: dict[str, Any] = {}
        for name, kind in kinds(type(self)).items():
            if name in COMMON_FIELDS:
                continue
            value = getattr(self, name)
            if value is not None and kind.name in ("range", "made"):
                out[name] = draw(value, rng) if kind.name == "range" else value.recorded()
            else:
                out[name] = list(value) if isinstance(value, tuple) else value
        return out

    @classmethod
    def apply(cls, sample: Sample, parameters: Any, context: Context) -> Sample:
        """Apply drawn parameters. Pure: the sample is not modified and nothing else is read.

        Args:
            sample: a sample or a batch.
            parameters: ``ParameterRows``; where the class ``accumulates``, what ``accumulate`` gave last.
            context: resources.
        """
        return cls.visit(sample, parameters, context)

    @classmethod
    def accumulate(
        cls, sample: Sample, drawn: DrawnParameters, pending: Any, told: Sequence[Mapping[str, Any]] = ()
    ) -> tuple[Any, list[dict[str, Any]]]:
        """Add drawn parameters to what is pending on the sample, without touching it (where it ``accumulates``).

        Args:
            sample: a sample or a batch.
            drawn: parameters of every sample of the batch; None of one that is left as it is.
            pending: what this gave for the transform before; None at the start of a run of them.
            told: of every sample what ``Record.before`` holds, where a record is replayed.

        Returns:
            what is pending now, for ``apply``, and for every sample what ``Record.before`` is to hold.
        """
        raise NotImplementedError

    @classmethod
    def has_own_walk(cls) -> bool:
        """Whether it does more to a sample than its handlers do."""
        return any(getattr(cls, n).__func__ is not getattr(Transform, n).__func__ for n in ("apply", "visit"))

    @classmethod
    def takes_rows(cls, sample: Sample) -> bool:
        """Whether it leaves samples of a batch that have no parameters as they are, so that none is taken out."""
        if cls.accumulates:
            return True
        if cls.has_own_walk():
            return False  # a rule of its own, which may look for parameters of every sample
        try:
            met = [type(s) for name, s in looked_at(sample) if handler_for(cls, s, name) is not None]
        except UnhandledStream:  # perhaps of a sample that it does not run on
            return False
        return all(works_by_item(cls, kind) for kind in met)

    # --- what families override ---------------------------------------------------------------------------------------
    def effects(self) -> dict[str, str]:
        """What the transform can bring into data that not every format can hold.

        Writers list the same words in ``unsupported_effects``; an effect that no writer lists is never refused.

        Returns:
            effect (``homography``, ``box_tilt``, ``skew``, ...) -> the field that brings it.
        """
        return {}

    @classmethod
    def before(cls, sample: Sample, index: int, params: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """State of the sample before, as an inversion needs it; JSON-able.

        Args:
            sample: a sample or a batch. index: of the sample in it. params: instance -> drawn parameters.
        """
        return {}

    @classmethod
    def instances(cls, sample: Sample, index: int) -> list[str]:
        """Sensors that take a draw of their own at scope ``sensor``."""
        names: dict[str, None] = {}
        streams, mine = dict(looked_at(sample)), names_in(sample, index)
        for name in mine:
            stream = streams[name]
            kind = stream.kind_if_understood if isinstance(stream, Opaque) else type(stream)
            if resolve(cls, kind) and not is_invariant(cls, kind):
                names[stream.instance(name)] = None
        return list(names)

    @classmethod
    def visit(cls, sample: Sample, parameters: ParameterRows, context: Context, family_state: Any = None) -> Sample:
        """Apply every stream's handler.

        Args:
            sample: a sample or a batch.
            parameters: of every sample and instance.
            context: resources.
            family_state: what the family computed once for all streams; handlers find it in ``Call.family_state``.

        Raises:
            UnhandledStream: a strict family meets a stream that has neither a handler nor declares an invariance.
        """
        changed: dict[str, Stream] = {}
        for name, kind in looked_at(sample):
            handler = handler_for(cls, kind, name)
            if handler is None:
                continue
            stream = sample.streams[name]
            there = context.program is not None and lies_on_device(stream)
            handler = rule_for(cls, type(stream)) if there else handler
            moved = handler(stream, Call(cls, sample, name, parameters, context, family_state))
            if moved is not stream:
                if moved.is_continuous and there:  # dropped items stay 0, whatever a transform adds to them
                    moved = still_blank(moved, sample, context.program)
                elif moved.is_continuous and not bool(moved.present.all()):
                    moved = with_dropped(moved, ~moved.present)
                changed[name] = moved
        return with_changed_streams(sample, changed)

    # --- use ----------------------------------------------------------------------------------------------------------
    def __call__(
        self, sample: Sample, *, seed: int = 0, epoch: int = 0, resources: Mapping[str, Any] | None = None
    ) -> Sample:
        """Draw and apply.

        Args:
            sample: a sample or a batch.
            seed, epoch: with the sample's id and the transform's path they decide every draw.
            resources: read-only things by name that some transforms need.
        """
        return run(self, sample, seed=seed, epoch=epoch, resources=resources)

    @classmethod
    def apply_params(
        cls, sample: Sample, params: Mapping[str, Any], *, resources: Mapping[str, Any] | None = None
    ) -> Sample:
        """Apply chosen parameters to a sample or batch, shared by all sensors, instead of drawing them.

        Args:
            sample: a sample or a batch.
            params: what ``sample_params`` would give. Numbers may be tensors that carry a gradient: calibration,
                points and boxes then have a gradient in them.
            resources: read-only things by name that some transforms need.
        """
        return apply_parameters(cls, sample, [{"": params}] * len(sample.metas), Context(resources or {}))

    def to_config(self) -> dict[str, Any]:
        """The transform as a plain mapping with ``_target_``; Hydra builds it back."""
        config: dict[str, Any] = {"_target_": full_name(type(self))}
        for f in fields(self):
            value = getattr(self, f.name)
            if value != f.default:
                made = kinds(type(self))[f.name].name == "made" and value is not None
                config[f.name] = value.to_config() if made else as_config(value)
        return config

    # --- numbers that change from epoch to epoch ----------------------------------------------------------------------
    @cached_property
    def scheduled(self) -> tuple[str, ...]:
        """Names of the fields that hold a Schedule."""
        return tuple(f.name for f in fields(self) if schedules_in(getattr(self, f.name)))

    def at_epoch(self, epoch: int) -> Self:
        """The transform with the numbers that its schedules have at an epoch."""
        if not self.scheduled:
            return self
        return replace(self, **{name: at_epoch(getattr(self, name), epoch) for name in self.scheduled})

    def over_epochs(self, epochs: range | None = None) -> Self:
        """The transform with ranges that cover what its schedules take, for what is planned before a run.

        Args:
            epochs: that will run; all by default.
        """
        if not self.scheduled:
            return self
        wide = {name: over_epochs(getattr(self, name), epochs) for name in self.scheduled}
        return replace(self, **(wide | ({"p": wide["p"][1]} if "p" in wide else {})))

    def children(self) -> Iterable[tuple[str, Transform]]:
        """Named transforms inside a container."""
        return ()

    def walk(
        self, sample: Sample, run: Run, prefix: str, name: str | None = None, among: Sequence[int] | None = None
    ) -> Sample:
        """Run on a sample, at the random path ``prefix/name``.

        Args:
            sample: a sample or a batch. run: the pass that draws, records and keeps what is pending.
            prefix: path of the container. name: in it; the transform's own name by default.
            among: indices of the samples of a batch that a container has chosen for it; all by default.
        """
        own = name or self.name or type(self).__name__
        return run.run_transform(self, sample, "/".join(p for p in (prefix, own) if p), among)
