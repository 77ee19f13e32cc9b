"""How many points of every class a cloud has, before and after: part of the account of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fusion_aug.streams import LazyColumns, Points, Stream

LABELS = "labels"  # key of an account
MOST_NUMBERS = 2**16
MOST_CLASSES = 256  # of a cloud; a column with more numbers is none of classes, and would fill the manifest


def labels_before_and_after(source: Stream | None, written: Stream | None) -> dict[str, list[int]]:
    """Points by class in the source and in what is written; empty where there are none, or nobody has read them.

    Nothing is read for it but the labels of the source of a cloud that is in memory: a transform has read them before.
    A cloud of more than ``MOST_CLASSES`` classes is not counted.

    Args:
        source, written: the same stream; None where it is not there.

    Returns:
        number of the class, with its name where it has one ("17 vehicle.car"; "-1": unlabelled) -> [before, after].
    """
    clouds = [s for s in (source, written) if isinstance(s, Points) and "label" in s.values]
    if not clouds or not _in_memory(clouds[-1]) or not all(_has_numbers(c) for c in clouds):
        return {}
    sums: dict[int, list[int]] = {}
    for side, stream in enumerate((source, written)):
        if not isinstance(stream, Points) or "label" not in stream.values:
            continue
        for number, count in points_by_class(stream.values["label"]).items():
            sums.setdefault(number, [0, 0])[side] = count
    if len(sums) > MOST_CLASSES:
        return {}
    return {_key(number, [c.label_names for c in clouds]): sums[number] for number in sorted(sums)}


def points_by_class(label: Tensor) -> dict[int, int]:
    """Points (n,) of every class that occurs."""
    if not len(label):
        return {}
    low, high = int(label.min()), int(label.max())
    if high - low > MOST_NUMBERS:
        classes, counts = torch.unique(label, return_counts=True)
        return dict(zip(classes.tolist(), counts.tolist(), strict=True))
    counts = torch.bincount(label.to(torch.int64) - low)  # without sorting the points
    return {low + i: n for i, n in enumerate(counts.tolist()) if n}


def _in_memory(cloud: Points) -> bool:
    return not isinstance(cloud.values, LazyColumns) or "columns" in cloud.values.__dict__


def _has_numbers(cloud: Points) -> bool:
    """Whether ``label`` holds numbers of classes: a cloud of any log may have a column of that name."""
    label = cloud.values["label"]
    return isinstance(label, Tensor) and not label.is_floating_point() and label.ndim == 1


def _key(number: int, tables: Sequence[tuple[str, ...]]) -> str:
    """The number with the first name that it has: a file may hold classes that the source does not name."""
    name = next((names[number] for names in tables if 0 <= number < len(names) and names[number]), "")
    return f"{number} {name}" if name else str(number)


def is_label_account(value: Any) -> bool:
    """Whether a value from a file is what ``labels_before_and_after`` returns."""
    return isinstance(value, dict) and all(
        isinstance(pair, list) and len(pair) == 2 and all(type(n) is int for n in pair) and number_of(key) is not None
        for key, pair in value.items()
    )


def number_of(key: str) -> int | None:
    """The number of the class of an entry; None where it is none."""
    word = key.partition(" ")[0]
    return int(word) if word.removeprefix("-").isdecimal() and len(word) < 20 else None


def added(total: dict[str, list[int]], more: dict[str, list[int]]) -> dict[str, list[int]]:
    """The sums of two accounts, by class."""
    keys = sorted({*total, *more}, key=lambda k: (number_of(k) or 0, k))
    zero = [0, 0]
    return {k: [a + b for a, b in zip(total.get(k, zero), more.get(k, zero), strict=True)] for k in keys}
