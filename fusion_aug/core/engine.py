"""Running transforms: gates, draws, batches of samples that differ, and records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calib.replacing import replace_unchecked
from fusion_aug.core.device.running import plan_for, run_plan, steps_in, steps_of
from fusion_aug.core.gradients import check_parameters, check_streams
from fusion_aug.core.named_errors import named, who_of
from fusion_aug.core.parameters import DrawnParameters, ParameterRows, timestep_starts
from fusion_aug.core.random import Keys, Owner, owner_of
from fusion_aug.core.registry import Context, transform_class
from fusion_aug.core.schedules import at_epoch
from fusion_aug.core.tally import with_changes
from fusion_aug.errors import USER_ERRORS, DataError
from fusion_aug.names import full_name
from fusion_aug.ops.modes import standard_modes
from fusion_aug.safe.guard import print_traceback
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History, Record
from fusion_aug.sample.picture_sizes import check_picture_sizes
from fusion_aug.sample.some_of_batch import put_back, some_of

TransformClass = Any  # a subclass of core.transform.Transform, which lies above this file


@dataclass
class Run:
    """One pass over one sample or batch.

    Attributes:
        keys: seed and epoch.
        context: resources.
        eager: apply everything pending after every transform; for tests of fused against eager.
        count: whether gains and losses of items and rows are counted, into ``SampleMeta.changes``.
        pending: what was accumulated and is not applied yet, after the class of transform that will apply it.
        pending_paths: of the transforms that are pending; what they change together counts as of the last.
        told: of every sample what the record that is replayed holds of it before.
    """

    keys: Keys
    context: Context
    eager: bool = False
    count: bool = False
    pending: tuple[TransformClass, Any] | None = None
    pending_paths: tuple[str, ...] = ()
    told: Sequence[Mapping[str, Any]] = ()

    def flush(self, sample: Sample) -> Sample:
        """Apply what is pending."""
        if self.pending is None:
            return sample
        (cls, accumulated), self.pending = self.pending, None
        paths, self.pending_paths = self.pending_paths, ()
        return self._applied(cls, sample, accumulated, who_of(cls, sample), paths[-1])

    def apply_drawn(
        self, cls: TransformClass, sample: Sample, drawn: DrawnParameters, path: str, who: str = ""
    ) -> Sample:
        """Apply drawn parameters to all samples of a batch, or accumulate them, and record it.

        Args:
            cls: the transform's class. sample: or batch. drawn: of every sample. path: of the transform.
            who: how messages name it.
        """
        if self.pending is not None and not _same_family(self.pending[0], cls):
            sample = self.flush(sample)
        asked = [u for u, params in enumerate(drawn) if params is not None]
        who = who or who_of(cls, sample, path, asked)
        if cls.accumulates:
            accumulated = None if self.pending is None else self.pending[1]
            with named(who, sample):
                accumulated, before = cls.accumulate(sample, drawn, accumulated, self.told)
            self.pending, self.pending_paths = (cls, accumulated), (*self.pending_paths, path)
            check_parameters(who, drawn, accumulated)
        else:
            with named(who, sample):
                before = [{} if params is None else cls.before(sample, u, params) for u, params in enumerate(drawn)]
            sample = self._applied(cls, sample, ParameterRows(drawn), who, path)
            check_parameters(who, drawn, sample)
        new = {u: Record(path, full_name(cls), cls.version, drawn[u] or {}, True, before[u]) for u in asked}
        sample = _with_records(sample, new)
        return self.flush(sample).realized() if self.eager else sample

    def _applied(self, cls: TransformClass, sample: Sample, parameters: Any, who: str, path: str) -> Sample:
        if self.context.program is not None:
            self.context.program.begin()
        with named(who, sample):
            out: Sample = cls.apply(sample, parameters, self.context)
        check_streams(who, sample, out)
        return with_changes(sample, out, path) if self.count else out

    def draw_owner(self, sample: Sample, index: int, transform: Any) -> Owner:
        """What a transform's draws belong to: the sample or its scene, by the sample's occurrence in the epoch."""
        meta = sample.metas[index]
        shared = transform.per_scene or transform.scope == "scene"
        return owner_of(meta.scene if shared else meta.id, meta.occurrence)

    def gated_in(self, transform: Any, sample: Sample, path: str, among: Sequence[int] | None = None) -> list[int]:
        """Indices of the samples, of those ``among`` or all, that a transform's probability ``p`` lets it run on."""
        indices = range(len(sample.metas)) if among is None else among
        p = at_epoch(transform.p, self.keys.epoch)
        if p >= 1:
            return list(indices)
        return [
            u
            for u in (indices if p > 0 else ())
            if self.keys.generator(self.draw_owner(sample, u, transform), path, "gate").random() < p
        ]

    def draw(self, transform: Any, sample: Sample, index: int, path: str) -> dict[str, dict[str, Any]]:
        """Parameters of one sample of a batch: instance -> params."""
        transform = transform.at_epoch(self.keys.epoch)
        if transform.scope == "sensor":
            instances = transform.instances(sample, index)
        elif transform.scope == "timestep":
            instances = timestep_starts(sample, index)
        else:
            instances = [""]
        shared_by, meta = self.draw_owner(sample, index, transform), sample.metas[index]
        alone = some_of(sample, [index])
        out = {}
        for instance in instances:
            rng = self.keys.generator(shared_by, path, "params", instance)
            out[instance] = transform.sample_params(rng, alone, self.context)
            if transform.dense_noise:
                # dense noise belongs to the sample even where the scene shares the parameters
                own = owner_of(meta.id, meta.occurrence)
                out[instance]["noise"] = self.keys.key(own, path, "noise", instance)
        return out

    def on_subset(self, sample: Sample, indices: Sequence[int], work: Callable[[Sample], Sample]) -> Sample:
        """Run ``work`` on some samples of a batch and put the results back in place."""
        if len(indices) == len(sample.metas):
            return work(sample)
        if not indices:
            return sample
        sample = self.flush(sample)
        part = some_of(sample, indices)
        return put_back(sample, indices, part, self.flush(work(part)))

    def run_transform(self, transform: Any, sample: Sample, path: str, among: Sequence[int] | None = None) -> Sample:
        """Run one transform that is not a container on the samples ``among`` those of a batch; on all by default."""
        cls, on = type(transform), self.gated_in(transform, sample, path, among)
        if off := set(range(len(sample.metas)) if among is None else among) - set(on):
            left_out = Record(path, full_name(cls), cls.version, applied=False)
            sample = _with_records(sample, dict.fromkeys(off, left_out))

        def work(part: Sample, some: Collection[int] | None = None) -> Sample:
            if self.pending is not None and not _same_family(self.pending[0], cls):
                part = self.flush(part)
            everything = range(len(part.metas))
            asked = everything if some is None else some
            who = who_of(cls, part, path, asked)
            with named(who, part):
                drawn = [self.draw(transform, part, u, path) if u in asked else None for u in everything]
            return self.apply_drawn(cls, part, drawn, path, who)

        planned = self.context.program is not None  # then no sample is taken out of the batch
        rows = 0 < len(on) < len(sample.metas) and (planned or cls.takes_rows(sample))
        return work(sample, on) if rows else self.on_subset(sample, on, work)


def _same_family(a: TransformClass, b: TransformClass) -> bool:
    """Whether two transforms accumulate in the same way, so that they are applied together."""
    return a.accumulates and b.accumulates and a.accumulate.__func__ is b.accumulate.__func__


@standard_modes()
def apply_parameters(
    cls: TransformClass, sample: Sample, drawn: DrawnParameters, context: Context, path: str = ""
) -> Sample:
    """Apply given parameters, one mapping (instance -> params) per sample, and record it."""
    program = plan_for(steps_of(cls, drawn), sample)
    run = Run(Keys(), Context(context.resources, program))
    out = run.flush(run.apply_drawn(cls, sample, drawn, path or cls.__name__))
    return out if program is None else run_plan(out, program)


def _with_records(sample: Sample, records: Mapping[int, Record]) -> Sample:
    """A record at the end of the history of some samples of a batch."""
    if not records:
        return sample
    metas = list(sample.metas)
    for index, record in records.items():
        metas[index] = replace_unchecked(metas[index], history=(*metas[index].history, record))
    return replace_unchecked(sample, metas=tuple(metas))


@standard_modes()
def run(
    transform: Any,
    sample: Sample,
    *,
    seed: int = 0,
    epoch: int = 0,
    resources: Mapping[str, Any] | None = None,
    eager: bool = False,
    count: bool = False,
) -> Sample:
    """Draw and apply a transform or a container of them; with ``count`` its gains and losses are counted."""

    check_picture_sizes(sample)
    program = plan_for(steps_in(transform), sample)
    pass_ = Run(Keys(seed, epoch), Context(resources or {}, program), eager, count)
    out = pass_.flush(transform.walk(sample, pass_, ""))
    return out if program is None else run_plan(out, program)


@standard_modes()
def replay(sample: Sample, history: History, *, resources: Mapping[str, Any] | None = None) -> Sample:
    """Apply a recorded history to the sample it came from: bit-exact on the same device.

    Args:
        sample: one sample, as it was before.
        history: its records.
        resources: the same as when it was recorded.

    Raises:
        DataError: a transform is unknown or of another version, or a record holds what no transform draws.
    """
    name = sample.id
    try:
        told = [step for r in history if r.applied for step in steps_of(transform_class(r), [r.params])]
        program = plan_for(told, sample)
        again = Run(Keys(), Context(resources or {}, program))
        for record in history:
            if record.applied:
                again.told = (record.before,)
                sample = again.apply_drawn(transform_class(record), sample, [record.params], record.path)
            else:
                sample = _with_records(sample, {0: record})
        out = again.flush(sample)
        return out if program is None else run_plan(out, program)
    except USER_ERRORS as error:
        if error.__cause__ is None:
            raise
        raise DataError(f"sample {name!r}: its history cannot be applied ({error})") from None  # see ``named``
    except Exception as error:  # parameters of a damaged record may make anything fail
        print_traceback()
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"sample {name!r}: its history cannot be applied ({what})") from None
