"""Running transforms: gates, draws, batches of samples that differ, and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fusion_aug.errors import DataError
from fusion_aug.history import History, Record
from fusion_aug.random import Keys
from fusion_aug.registry import TRANSFORMS, Context
from fusion_aug.sample import Sample, merge
from fusion_aug.transforms.base import Rows, Transform, step_stamps


@dataclass(frozen=True)
class Run:
    """One pass over one sample or batch.

    Attributes:
        keys: seed and epoch.
        context: resources.
        eager: carry out pending maps after every transform; for tests of fused against eager.
    """

    keys: Keys
    context: Context
    eager: bool = False

    def unit_key(self, sample: Sample, unit: int, scope: str) -> str:
        """Id that a draw of a scope belongs to."""
        return sample.units[unit].scene if scope == "log" else sample.units[unit].id

    def gate(self, transform: Transform, sample: Sample, path: str) -> list[int]:
        """Units on which a transform's probability says yes."""
        if transform.p >= 1:
            return list(range(len(sample.units)))
        units = range(len(sample.units)) if transform.p > 0 else ()
        return [
            u
            for u in units
            if self.keys.generator(self.unit_key(sample, u, transform.scope), path, "gate").random() < transform.p
        ]

    def draw(self, transform: Transform, sample: Sample, unit: int, path: str) -> dict[str, dict[str, Any]]:
        """Parameters of one unit: instance -> params."""
        if transform.scope == "sensor":
            instances = transform.instances(sample, unit)
        elif transform.scope == "step":
            instances = step_stamps(sample, unit)
        else:
            instances = [""]
        owner = self.unit_key(sample, unit, transform.scope)
        alone = sample if len(sample.units) == 1 else sample.take([unit])
        out = {}
        for instance in instances:
            rng = self.keys.generator(owner, path, "params", instance)
            out[instance] = transform.sample_params(rng, alone, self.context)
            if transform.dense_noise:
                # dense noise belongs to the sample even where the parameters are shared by the log
                out[instance]["noise"] = self.keys.key(sample.units[unit].id, path, "noise", instance)
        return out

    def on_subset(self, sample: Sample, units: Sequence[int], work: Any) -> Sample:
        """Run ``work`` on some units of a batch and put the result back in place."""
        if len(units) == len(sample.units):
            return work(sample)
        if not units:
            return sample
        rest = [u for u in range(len(sample.units)) if u not in set(units)]
        return merge([work(sample.take(units)), sample.take(rest)], order=[*units, *rest])

    def leaf(self, transform: Transform, sample: Sample, path: str) -> Sample:
        """Run one transform that is not a container."""
        on = self.gate(transform, sample, path)
        skipped = Record(path, type(transform).__name__, transform.version, applied=False)
        for unit in range(len(sample.units)):
            if unit not in on:
                sample = _recorded(sample, unit, skipped)

        def work(chosen: Sample) -> Sample:
            drawn = [self.draw(transform, chosen, u, path) for u in range(len(chosen.units))]
            return apply_rows(type(transform), chosen, drawn, self.context, path)

        out = self.on_subset(sample, on, work)
        return out.realized() if self.eager and out is not sample else out


def apply_rows(
    cls: type[Transform],
    sample: Sample,
    drawn: Sequence[Mapping[str, Mapping[str, Any]]],
    context: Context,
    path: str = "",
) -> Sample:
    """Apply given parameters, one mapping (instance -> params) per unit, and record it."""
    before = [cls.before(sample, u, drawn[u]) for u in range(len(sample.units))]
    out = cls.apply(sample, Rows(drawn, before), context)
    for u in range(len(sample.units)):
        record = Record(path or cls.__name__, cls.__name__, cls.version, drawn[u], True, before[u])
        out = _recorded(out, u, record)
    return out


def _recorded(sample: Sample, unit: int, record: Record) -> Sample:
    return sample.with_unit(unit, history=(*sample.units[unit].history, record))


def run(
    transform: Transform,
    sample: Sample,
    *,
    seed: int = 0,
    epoch: int = 0,
    resources: Mapping[str, Any] | None = None,
    eager: bool = False,
) -> Sample:
    """Draw and apply a transform or a container of them."""
    from fusion_aug.transforms.compose import walk

    return walk(transform, sample, Run(Keys(seed, epoch), Context(resources or {}), eager), "")


def transform_class(record: Record) -> type[Transform]:
    """The class behind a record.

    Raises:
        DataError: it is not registered, or its meaning has changed since.
    """
    cls = TRANSFORMS.get(record.name)
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
    context = Context(resources or {})
    for record in history:
        if record.applied:
            sample = apply_rows(transform_class(record), sample, [record.params], context, record.path)
        else:
            sample = replace(sample, units=(replace(sample.unit, history=(*sample.history, record)),))
    return sample
