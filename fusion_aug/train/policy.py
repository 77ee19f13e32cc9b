"""Batches of windows as the dictionaries of tensors that policies take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fusion_aug.errors import ConfigError, DataError
from fusion_aug.ops.modes import standard_modes
from fusion_aug.sample import Sample
from fusion_aug.streams import ImageStream, Ragged, Stream, Text

PAD, IDS = "_is_pad", "ids"


@standard_modes()
def to_policy(
    batch: Sample,
    *,
    names: Mapping[str, str] | None = None,
    channels_first: bool = False,
    dtype: torch.dtype = torch.float32,
) -> dict[str, Any]:
    """A batch (or one) of the windows of an ``AugmentedDataset`` as a dictionary.

    Args:
        batch: what ``collate`` returns, or one window; B windows, each with as many items of a stream.
        names: stream -> key of the dictionary, such as ``{"front": "observation.images.front"}``; the others are left
            out. By default every stream under its own name.
        channels_first: pictures as (3, H, W).
        dtype: of vectors.

    Returns:
        ``ids`` (list of B), and for every stream with n items in a window

        * pictures: (B, n, H, W, 3) in their own type, depth (B, n, H, W) float32, metres;
        * vectors: (B, n, k), the columns one after the other in the order of ``Stream.values``, which for vectors of a
          log is that of its numbers, in SI units;
        * text: list of B, the last of the window;
        * ``<key>_is_pad`` (B, n) bool: True where the item was repeated beyond the episode, or dropped by a transform.

    Raises:
        DataError: pictures or numbers of items differ between windows, or a stream is a cloud or the like.
        ConfigError: ``names`` names no stream, or two entries would have one key.
    """
    if not isinstance(batch, Sample):
        raise ConfigError(f"to_policy: expected a batch of collate, or a sample, got a {type(batch).__name__}")
    chosen = {n: n for n in batch.streams} if names is None else dict(names)
    missing = [n for n in chosen if n not in batch.streams]
    if missing:
        raise ConfigError(f"to_policy.names: there is no stream {missing[0]!r} (there are {', '.join(batch.streams)})")
    _refuse_same_keys(batch, chosen)
    size = len(batch.metas)
    out: dict[str, Any] = {IDS: [meta.id for meta in batch.metas]}
    for name, key in chosen.items():
        stream = batch.streams[name]
        counts = torch.bincount(stream.sample_index, minlength=size)
        if isinstance(stream, Text):
            last = counts.cumsum(0) - 1
            out[key] = [str(stream["text"][i]) for i in last.tolist()]
            continue
        if bool((counts != counts[0]).any()):
            raise DataError(f"to_policy: stream {name!r}: the windows have {sorted(set(counts.tolist()))} items")
        value = _items(stream, name, channels_first, dtype)
        out[key] = value.reshape(size, -1, *value.shape[1:])
        out[key + PAD] = ~stream.present.reshape(size, -1)
    return out


def _refuse_same_keys(batch: Sample, chosen: Mapping[str, str]) -> None:
    owners = {IDS: "the ids of the windows"}
    for name, key in chosen.items():
        if not isinstance(key, str):
            raise ConfigError(f"to_policy.names: {name}: expected a key of the dictionary, got {key!r}")
        for own in (key,) if isinstance(batch.streams[name], Text) else (key, key + PAD):
            if own in owners:
                raise ConfigError(
                    f"to_policy.names: {own!r} would hold {owners[own]} and stream {name!r}; give each a key of its own"
                )
            owners[own] = f"stream {name!r}"


def _items(stream: Stream, name: str, channels_first: bool, dtype: torch.dtype) -> Tensor:
    """One row for every item of a stream."""
    if isinstance(stream, ImageStream):
        shapes = {tuple(p.shape) for p in stream.pictures}
        if len(shapes) > 1:
            raise DataError(f"to_policy: stream {name!r}: pictures of {sorted(shapes)}; bring them to one size first")
        pictures = torch.stack(stream.pictures)
        return pictures.movedim(-1, -3) if channels_first and pictures.ndim == 4 else pictures
    numbers = [v for v in stream.values.values() if isinstance(v, Tensor)]
    if isinstance(stream, Ragged) or not numbers or len(numbers) < len(stream.values):
        raise DataError(
            f"to_policy: stream {name!r} ({type(stream).__name__}) is no vector of numbers; choose the others with "
            f"names, and take it from the batch itself"
        )
    return torch.cat([v.reshape(len(stream), -1).to(dtype) for v in numbers], 1)
