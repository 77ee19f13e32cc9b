"""One call that tells the epoch to everything in front of training that draws by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fusion_aug.core.random import whole_number
from fusion_aug.errors import ConfigError

DATA = ("dataset", "datasets")  # under which torch's and other wrappers keep what they wrap
ORDER = ("sampler", "batch_sampler")


def set_epoch(target: Any, epoch: int) -> None:
    """Draw another epoch from now on: call it before each one.

    Every ``set_epoch`` in a loader is called: of the ``AugmentedDataset``s behind ``ConcatDataset``, ``Subset`` and
    other wrappers that keep what they wrap as ``dataset`` or ``datasets``, and of the samplers, such as
    ``DistributedSampler``, which shuffles by it. Running workers (``persistent_workers=True``) see it.

    Args:
        target: a ``DataLoader``, a data set or a sampler.
        epoch: 0, 1, 2, ...; with the seed and the sample's id it decides every draw.

    Raises:
        ConfigError: no data set in it takes an epoch, so all epochs would be the same; the epoch is no whole number.
    """
    epoch = whole_number(epoch, "epoch")
    data = [p for p in _parts([target], DATA) if hasattr(p, "set_epoch")]
    if not data:
        raise ConfigError(
            f"set_epoch: nothing behind {type(target).__name__} takes an epoch, so every epoch would be drawn alike; "
            f"give it the loader of an AugmentedDataset, or the AugmentedDataset itself where a wrapper hides it"
        )
    for part in {id(p): p for p in [*data, *_parts([target], ORDER)]}.values():
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch)


def _parts(roots: Sequence[Any], names: tuple[str, ...]) -> Iterator[Any]:
    """What can be reached from some objects by attributes of some names, each once and the objects themselves first."""
    waiting, seen = list(roots), set()
    while waiting:
        part = waiting.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        for name in names:
            inner = getattr(part, name, None)
            inner = list(inner.values()) if isinstance(inner, Mapping) else inner  # torch's StackDataset(name=...)
            waiting += [] if inner is None else inner if isinstance(inner, list | tuple) else [inner]
