"""How many items and rows a stream has, without reading more of it than has been read already."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fusion_aug.streams.base import Stream
from fusion_aug.streams.lazy_columns import LazyColumns
from fusion_aug.streams.ragged import Ragged


class Counts(NamedTuple):
    """Items of a stream and the rows of each.

    Attributes:
        present: (n,) bool, which items were received. rows: (n,) int64; 0 of streams that have no rows of their own.
    """

    present: Tensor
    rows: Tensor

    @staticmethod
    def empty() -> Counts:
        """Of no stream."""
        return Counts(torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.int64))


def counts_of(stream: Stream, *, read: bool = False) -> Counts | None:
    """Items and rows of a stream.

    Args:
        stream: any.
        read: whether the rows of a cloud that still lies in its files are counted there too, file by file, so that
            no more than one of them is in memory.

    Returns:
        None where the rows lie in files that cannot be counted without reading them, and ``read`` is False.

    Raises:
        DataError: a file is damaged.
    """
    if not isinstance(stream, Ragged):
        return Counts(stream.present, torch.zeros(len(stream), dtype=torch.int64))
    if not isinstance(stream.values, LazyColumns):
        return Counts(stream.present, stream.counts)
    rows = stream.values.row_counts(read=read)
    return None if rows is None else Counts(stream.present, rows)


def share_counts(a: Stream, b: Stream) -> bool:
    """Whether two streams hold the very same items and rows, which costs nothing to see; False may be either."""
    if a.present is not b.present or a.sample_index is not b.sample_index:
        return False
    if not isinstance(a, Ragged) or not isinstance(b, Ragged):
        return not isinstance(a, Ragged) and not isinstance(b, Ragged)
    mine, theirs = _known_offsets(a), _known_offsets(b)
    return a.values is b.values or (mine is not None and mine is theirs)


def _known_offsets(stream: Ragged) -> Tensor | None:
    known: Tensor | None = stream.offsets if stream.offsets is not None else vars(stream.values).get("offsets")
    return known
