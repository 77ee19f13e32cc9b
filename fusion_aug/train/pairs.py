"""Views: several independent draws of one sample, for losses that compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.core.engine import run
from fusion_aug.core.random import whole_number
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample


def views(
    sample: Sample,
    pipeline: Transform | Sequence[Transform],
    n: int = 2,
    *,
    seed: int = 0,
    epoch: int = 0,
    resources: Mapping[str, Any] | None = None,
) -> tuple[Sample, ...]:
    """Draw views of a sample: the pipeline applied ``n`` times, each time with draws of its own.

    View 0 is what ``pipeline(sample, seed=seed, epoch=epoch)`` gives. The random paths of view k begin with
    ``view<k>/`` (``view1/yaw``), so its draws depend on its number and not on how many views there are. Each view has
    its history, which ``fa.replay`` applies as any other.

    Args:
        sample: a sample or a batch.
        pipeline: one for all views, or a sequence of one for each.
        n: how many views.
        seed, epoch: with the sample's id and the paths they decide every draw.
        resources: read-only things by name that some transforms need.

    Returns:
        (n,) samples, or batches of the same order.

    Raises:
        ConfigError: ``n`` is no whole number from 1 on, or there are as many pipelines as there are no views.
    """
    count = whole_number(n, "views.n")
    if count < 1:
        raise ConfigError(f"views.n: expected at least one view, got {count}")
    each = [pipeline] * count if isinstance(pipeline, Transform) else list(pipeline)
    if len(each) != count or not all(isinstance(p, Transform) for p in each):
        raise ConfigError(f"views.pipeline: expected one pipeline, or one for each of {count} views, got {len(each)}")
    # a container adds its name to the paths of what is in it
    named = [p if k == 0 else Compose({f"view{k}": p}) for k, p in enumerate(each)]
    return tuple(run(p, sample, seed=seed, epoch=epoch, resources=resources) for p in named)


__all__ = ["views"]
