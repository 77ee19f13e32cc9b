"""Rows and items that two views have in common, by the numbers that streams keep and never by where they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusion_aug.streams import Ragged, Stream

ROW_BITS = 34  # numbers of rows lie below 2**32, see ``streams.ragged``


@dataclass(frozen=True, eq=False)
class RowMatches:
    """Rows, or items, that two views have in common.

    Attributes:
        name_a, name_b: of the stream in the two views, which mirrors may change; empty where a view has none.
        rows_a, rows_b: (k,) int64, places in the values of the two streams; ``rows_a`` rises. Of a batch they count
            from the batch's first row.
    """

    name_a: str
    name_b: str
    rows_a: Tensor
    rows_b: Tensor

    def __len__(self) -> int:
        return len(self.rows_a)


def item_keys(stream: Stream, index: int) -> tuple[Tensor, Tensor]:
    """Items (k,) of one sample of a batch that were in the source and not dropped, and their numbers there, int64."""
    numbers = stream.item_numbers
    mine = ((stream.sample_index == index) & (numbers >= 0) & stream.present).nonzero()[:, 0]
    return mine, numbers[mine]


def row_keys(stream: Ragged, index: int) -> tuple[Tensor, Tensor]:
    """Rows (k,) of one sample of a batch that were in the source, and what tells them apart there (k,), int64."""
    row_item, rows = stream.row_item, stream.row_numbers
    items = stream.item_numbers[row_item]
    mine = ((stream.sample_index[row_item] == index) & (items >= 0) & (rows >= 0)).nonzero()[:, 0]
    return mine, (items[mine] << ROW_BITS) | rows[mine]


def track_keys(stream: Ragged, index: int) -> tuple[Tensor, list[str]]:
    """Rows (k,) of one sample of a batch that have an instance, and its id, one per row."""
    ids = stream.values["instance"] if "instance" in stream.values else [""] * stream.rows
    mine = stream.sample_index[stream.row_item] == index
    rows = [r for r in mine.nonzero()[:, 0].tolist() if str(ids[r])]
    return torch.tensor(rows, dtype=torch.int64), [str(ids[r]) for r in rows]


def common(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Places (k,) in two views whose keys are equal; of a key that comes again in b the first is taken.

    Args:
        a, b: places (n,) and keys (n,), int64.
    """
    (at_a, keys_a), (at_b, keys_b) = a, b
    if torch.equal(keys_a, keys_b):
        return at_a, at_b
    known, first = np.unique(keys_b.numpy(), return_index=True)
    place = np.searchsorted(known, keys_a.numpy()).clip(max=max(len(known) - 1, 0))
    found = known[place] == keys_a.numpy() if len(known) else np.zeros(len(keys_a), dtype=bool)
    return at_a[torch.from_numpy(found)], at_b[torch.from_numpy(first[place[found]])]


def common_tracks(a: tuple[Tensor, list[str]], b: tuple[Tensor, list[str]]) -> tuple[Tensor, Tensor]:
    """All pairs (k,) of places in two views whose instances are the same."""
    by_id: dict[str, list[int]] = {}
    for row, name in zip(b[0].tolist(), b[1], strict=True):
        by_id.setdefault(name, []).append(row)
    pairs = [(row, other) for row, name in zip(a[0].tolist(), a[1], strict=True) for other in by_id.get(name, ())]
    table = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
