"""Batches: samples packed, not padded, and whatever ``convert=`` made of them, in one buffer between processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.utils.data import get_worker_info

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample import Sample, merge
from fusion_aug.sample.packing import in_one_block


def collate(items: Sequence[Any]) -> Any:
    """Join items of an ``AugmentedDataset`` to one batch, for ``DataLoader(collate_fn=collate)``.

    A batch of samples is a Sample with several ``metas``. Every stream holds the items of all samples one after
    another; ``sample_index`` gives the sample of each, and points and boxes are packed with row offsets. Sweeps are
    items like keyframes, so ``bounds`` of a cloud has an entry for every sweep; ``to_dense`` makes one table of each
    sample. A pipeline takes a batch as it takes a sample, and draws for each sample what it would draw for it alone.

    What ``convert=`` made is joined field by field where it is dictionaries or tuples (named ones too): samples to one
    batch, all else to a list. Everything else, also lists, is listed as it is.

    In a worker the batch is laid into one block of shared memory, which takes one file descriptor while any of its
    tensors is kept. It is the same batch there: a collate function of your own can call this one and add to it.

    Args:
        items: samples, whose streams of one name are of one class (pictures may differ in size), or what was made of
            them.

    Returns:
        The batch.

    Raises:
        DataError: dictionaries or tuples with different fields, or streams of one name that are of different classes;
            in a worker also what cannot be sent from it, such as a lambda or a tensor inside a graph of gradients.
        ConfigError: it is no list of items, or an empty one.
    """
    if not isinstance(items, list | tuple) or not items:
        what = "no items" if isinstance(items, list | tuple) else f"one {type(items).__name__}"
        raise ConfigError(
            f"collate: expected a list of items, got {what}; DataLoader(batch_size=None) makes no batches: leave out "
            f"collate_fn there, or give a batch_size"
        )
    return _sent_in_one_buffer(_joined(items))


def in_one_buffer(collate_fn: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """A collate function whose batches come from a worker in one buffer, whatever holds their tensors.

    torch hands every tensor of a batch to the parent process at the price of a file descriptor, so a loader of many
    small ones reaches the usual limit of 1,024. ``collate`` does this by itself.

    Args:
        collate_fn: items -> batch, such as ``torch.utils.data.default_collate``. For workers that are spawned it must
            be a function of a module.

    Returns:
        the collate function for the ``DataLoader``; batches are what ``collate_fn`` gives.
    """
    return functools.partial(_collate_and_pack, collate_fn)


def _collate_and_pack(collate_fn: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    return _sent_in_one_buffer(collate_fn(items))


def _sent_in_one_buffer(batch: Any) -> Any:
    """The batch; in a worker a copy that is ready to be sent, made here so that what goes wrong comes up."""
    return batch if get_worker_info() is None else in_one_block(batch, "batch")


def _joined(items: Sequence[Any]) -> Any:
    first = items[0]
    if all(isinstance(i, Sample) for i in items):
        return merge(list(items))
    if isinstance(first, Mapping):
        if any(not isinstance(i, Mapping) or i.keys() != first.keys() for i in items):
            names = ", ".join(map(str, first))
            raise DataError(f"collate: the items of a batch have different fields (the first has {names})")
        return {name: _field([i[name] for i in items]) for name in first}
    if isinstance(first, tuple):
        if any(not isinstance(i, tuple) or len(i) != len(first) for i in items):
            raise DataError(f"collate: the items of a batch are not all tuples of {len(first)}, as the first is")
        fields = [_field([i[n] for i in items]) for n in range(len(first))]
        return type(first)(*fields) if hasattr(first, "_fields") else tuple(fields)
    return list(items)


def _field(values: list[Any]) -> Any:
    return merge(values) if all(isinstance(v, Sample) for v in values) else values
