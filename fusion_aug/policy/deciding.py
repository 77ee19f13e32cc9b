"""Containers in which a loss or a table decides what happens to a sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from fusion_aug.core.compose import Compose, Container, leaves
from fusion_aug.core.device.rules import asks_for_values
from fusion_aug.core.engine import Run
from fusion_aug.core.named_errors import who_of
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.names import full_name
from fusion_aug.sample import Sample, merge
from fusion_aug.sample.history import Record
from fusion_aug.train.window_items import WarpDraws
from fusion_aug.transforms.temporal.speed import WarpTransform

SomeTransforms = Transform | Mapping[str, Transform] | Sequence[Transform]


class Deciding(Container, abstract=True):
    """A container that decides by a loss or a table what its transforms do to each sample.

    What it decided is in the history: the records of the transforms as they were applied, under their own paths, and
    one of itself after them. So a replay needs neither loss nor table, and an inversion passes it by. Each sample of a
    batch is decided on its own. A sample that its ``p`` leaves out has no record of it.
    """

    keeps_magnitudes: ClassVar[str] = "a loss or a table decides what happens inside"
    exemptions: ClassVar[dict[str, str]] = {
        "equal_draws": "a computed number decides, which may differ in its last bits between processors; what it "
        "decided is recorded, and a replay is the same everywhere"
    }

    def __init__(self, transforms: SomeTransforms, **options: Any):
        super().__init__(_inside(transforms), **options)

    def decide(self, sample: Sample, run: Run, path: str, who: str) -> tuple[Sample, dict[str, Any]]:
        """Apply the transforms to one sample.

        Args:
            sample: one sample. run: a pass of its own, in which motions from before may be pending.
            path: of this container. who: how messages name it.

        Returns:
            the sample with nothing pending, and what is recorded of the decision; JSON-able.
        """
        raise NotImplementedError

    def walk(
        self, sample: Sample, run: Run, prefix: str, name: str | None = None, among: Sequence[int] | None = None
    ) -> Sample:
        """Decide for each sample of a batch on its own."""
        path = "/".join(p for p in (prefix, name or self.name or type(self).__name__) if p)
        on = run.gated_in(self, sample, path, among)
        if isinstance(run, WarpDraws) or not on:
            self._refuse_windows(run)
            return sample
        decided = [self._decided(sample, run, u, path) for u in on]
        rest = [u for u in range(len(sample.metas)) if u not in set(on)]
        others = [run.flush(sample).take(rest)] if rest else []
        run.pending, run.pending_paths = None, ()  # those of the others are applied, the rest went along
        return merge([*decided, *others], order=[*on, *rest]) if len(sample.metas) > 1 else decided[0]

    def _decided(self, sample: Sample, run: Run, index: int, path: str) -> Sample:
        """One sample of a batch, decided on its own; what is pending on it goes on with what is inside."""
        pending = None if run.pending is None else (run.pending[0], run.pending[1][index : index + 1])
        own = replace(run, pending=pending, told=())
        out, said = self.decide(sample.take([index]), own, path, who_of(type(self), sample, path, [index]))
        record = Record(path, full_name(type(self)), self.version, {"": said})
        return out.with_meta(0, history=(*out.meta.history, record))

    def run_inside(self, sample: Sample, run: Run, path: str) -> Sample:
        """One sample after all transforms, drawn under a path, with nothing pending."""
        for name, child in self.children():
            sample = child.walk(sample, run, path, name)
        return run.flush(sample)

    @classmethod
    def apply(cls, sample: Sample, parameters: Any, context: Any) -> Sample:
        """Nothing: in a replay the records before this one have done it all."""
        return sample

    def _refuse_windows(self, run: Run) -> None:
        warps = [type(t).__name__ for t in leaves(self) if isinstance(t, WarpTransform)]
        if isinstance(run, WarpDraws) and warps:
            raise ConfigError(
                f"{type(self).__name__}: windows of episodes are cut before anything is decided, so {warps[0]} cannot "
                f"be inside; put it before or after"
            )


asks_for_values(Deciding)


def _inside(transforms: SomeTransforms) -> Mapping[str, Transform] | Sequence[Transform]:
    """The named transforms of a pipeline, as a container takes them."""
    if not isinstance(transforms, Transform):
        return transforms
    plain = type(transforms) is Compose and transforms == Compose(dict(transforms.children()))
    return dict(transforms.children()) if isinstance(transforms, Compose) and plain else [transforms]


__all__ = ["Deciding", "SomeTransforms"]
