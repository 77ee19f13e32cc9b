"""Running transforms: gates, draws, batches of samples that differ, and records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2

from fusion_aug.core.parameters import Drawn, ParameterRows, timestep_starts
from fusion_aug.core.random import Keys
from fusion_aug.core.registry import Context, find_transform
from fusion_aug.errors import USER_ERRORS, DataError, FusionAugError
from fusion_aug.names import full_name
from fusion_aug.sample import Sample, merge
from fusion_aug.sample.history import History, Record

TransformClass = Any  # a subclass of core.transform.Transform, which lies above this file


@dataclass
class Run:
    """One pass over one sample or batch.

    Attributes:
        keys: seed and epoch.
        context: resources.
        eager: carry out everything after every transform; for tests of fused against eager.
        pending: what transforms have declared and nobody has carried out yet, and by whom.
    """

    keys: Keys
    context: Context
    eager: bool = False
    pending: tuple[TransformClass, Any] | None = None

    def flush(self, sample: Sample) -> Sample:
        """Carry out what is pending."""
        if self.pending is None:
            return sample
        (cls, declared), self.pending = self.pending, None
        applied: Sample = cls.apply(sample, declared, self.context)
        return applied

    def step(self, cls: TransformClass, sample: Sample, drawn: Drawn, path: str) -> Sample:
        """Apply given parameters to all units, or declare them, and record it."""
        if self.pending is not None and not _same_family(self.pending[0], cls):
            sample = self.flush(sample)
        if cls.accumulates:
            declared = None if self.pending is None else self.pending[1]
            declared, before = cls.accumulate(sample, drawn, declared)
            self.pending = (cls, declared)
        else:
            before = [cls.before(sample, u, drawn[u]) for u in range(len(sample.metas))]
            sample = self._applied(cls, sample, drawn, path)
        for u in range(len(sample.metas)):
            sample = _recorded(sample, u, Record(path, full_name(cls), cls.version, drawn[u], True, before[u]))
        return self.flush(sample).realized() if self.eager else sample

    def _applied(self, cls: TransformClass, sample: Sample, drawn: Drawn, path: str) -> Sample:
        try:
            return cls.apply(sample, ParameterRows(drawn), self.context)
        except USER_ERRORS:
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError, AssertionError, cv2.error) as error:
            who = f"sample {', '.join(u.id for u in sample.metas)}: {cls.__name__} ({path})"
            raise FusionAugError(f"{who}: {type(error).__name__}: {error}") from error

    def draw_owner(self, sample: Sample, index: int, transform: Any) -> str:
        """Id that a transform's draws belong to."""
        shared = transform.per_scene or transform.scope == "scene"
        return sample.metas[index].scene if shared else sample.metas[index].id

    def gate(self, transform: Any, sample: Sample, path: str) -> list[int]:
        """Units on which a transform's probability says yes."""
        if transform.p >= 1:
            return list(range(len(sample.metas)))
        indices = range(len(sample.metas)) if transform.p > 0 else ()
        return [
            u
            for u in indices
            if self.keys.generator(self.draw_owner(sample, u, transform), path, "gate").random() < transform.p
        ]

    def draw(self, transform: Any, sample: Sample, index: int, path: str) -> dict[str, dict[str, Any]]:
        """Parameters of one unit: instance -> params."""
        if transform.scope == "sensor":
            instances = transform.instances(sample, index)
        elif transform.scope == "timestep":
            instances = timestep_starts(sample, index)
        else:
            instances = [""]
        owner = self.draw_owner(sample, index, transform)
        alone = sample if len(sample.metas) == 1 else sample.take([index])
        out = {}
        for instance in instances:
            rng = self.keys.generator(owner, path, "params", instance)
            out[instance] = transform.sample_params(rng, alone, self.context)
            if transform.dense_noise:
                # dense noise belongs to the sample even where the parameters are shared by the log
                out[instance]["noise"] = self.keys.key(sample.metas[index].id, path, "noise", instance)
        return out

    def on_subset(self, sample: Sample, indices: Sequence[int], work: Callable[[Sample], Sample]) -> Sample:
        """Run ``work`` on some units of a batch and put the result back in place."""
        if len(indices) == len(sample.metas):
            return work(sample)
        if not indices:
            return sample
        sample = self.flush(sample)
        rest = [u for u in range(len(sample.metas)) if u not in set(indices)]
        return merge([self.flush(work(sample.take(indices))), sample.take(rest)], order=[*indices, *rest])

    def leaf(self, transform: Any, sample: Sample, path: str) -> Sample:
        """Run one transform that is not a container."""
        on = self.gate(transform, sample, path)
        skipped = Record(path, full_name(type(transform)), transform.version, applied=False)
        for index in range(len(sample.metas)):
            if index not in on:
                sample = _recorded(sample, index, skipped)

        def work(chosen: Sample) -> Sample:
            if self.pending is not None and not _same_family(self.pending[0], type(transform)):
                chosen = self.flush(chosen)
            drawn = [self.draw(transform, chosen, u, path) for u in range(len(chosen.metas))]
            return self.step(type(transform), chosen, drawn, path)

        return self.on_subset(sample, on, work)


def _same_family(a: TransformClass, b: TransformClass) -> bool:
    """Whether two transforms declare to the same place."""
    return a.accumulates and b.accumulates and a.accumulate.__func__ is b.accumulate.__func__


def apply_rows(cls: TransformClass, sample: Sample, drawn: Drawn, context: Context, path: str = "") -> Sample:
    """Apply given parameters, one mapping (instance -> params) per unit, and record it."""
    run = Run(Keys(), context)
    return run.flush(run.step(cls, sample, drawn, path or cls.__name__))


def _recorded(sample: Sample, index: int, record: Record) -> Sample:
    return sample.with_meta(index, history=(*sample.metas[index].history, record))


def run(
    transform: Any,
    sample: Sample,
    *,
    seed: int = 0,
    epoch: int = 0,
    resources: Mapping[str, Any] | None = None,
    eager: bool = False,
) -> Sample:
    """Draw and apply a transform or a container of them."""

    pass_ = Run(Keys(seed, epoch), Context(resources or {}), eager)
    return pass_.flush(transform.walk(sample, pass_, ""))


def transform_class(record: Record) -> TransformClass:
    """The class behind a record. A bare name, as version 0.1 wrote it, is one of ours.

    Raises:
        DataError: it is not registered, or its meaning has changed since.
    """
    cls = find_transform(record.name)
    if cls is None and record.name.startswith("__main__."):
        raise DataError(
            f"history: {record.name} was defined in a script or notebook: it replays only where that has run"
        )
    if cls is None:
        raise DataError(f"history: transform {record.name!r} is not registered; import the plugin that defines it")
    if cls.version != record.version:
        raise DataError(f"history: {record.name} is of version {record.version}, this is version {cls.version}")
    return cls


def replay(sample: Sample, history: History, *, resources: Mapping[str, Any] | None = None) -> Sample:
    """Apply a recorded history to the sample it came from: bit-exact on the same device.

    Args:
        sample: one sample, as it was before.
        history: its records.
        resources: what was handed over when it was recorded.

    Raises:
        DataError: a transform is unknown or of another version.
    """
    again = Run(Keys(), Context(resources or {}))
    for record in history:
        if record.applied:
            sample = again.step(transform_class(record), sample, [record.params], record.path)
        else:
            sample = _recorded(sample, 0, record)
    return again.flush(sample)
