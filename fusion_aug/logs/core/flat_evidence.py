"""Evidence of another layout in a flat file of float32 numbers, from the numbers themselves.

Two facts hold for every cloud and are lost in another layout. Coordinates are finite and of a size that a sensor can
measure: read byte-swapped, or as halves of a float64, a quarter of them is not. And every column has a distribution of
its own, so that the column tells something about the value (mutual information, Cover and Thomas 2006, section 2.3):
read with another number of columns, every column holds a mixture of all, and tells nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

LARGEST, SMALLEST = 1e5, 1e-20  # metres; what is not 0 lies between
ABSURD_SHARE = 0.02  # of the numbers; a file may hold a few marks of its own
BLOCKS = 2**5  # that are looked at, spread evenly over a file
SHORT, LONG = 2**6, 2**9  # numbers of a block: of a first look, and where it shows anything
FIRST_LOOK = 0.5  # of the evidence that is asked for, which the first look has to stay below
BINS = 16
FEW = 128  # with fewer numbers, chance is as large as what they tell
CHANCE = 20.0  # nats times numbers, that another width has to tell more besides
WIDTHS = range(2, 17)
MORE = 0.12  # nats that another width has to tell more
MUCH_MORE = 0.45  # nats, for a multiple of the width: alternating beams also differ from row to row

Array = np.ndarray[Any, Any]


def other_layout(raw: bytes, width: int, axes: Sequence[int]) -> str:
    """Return what a file looks like; empty if it looks like ``width`` little-endian float32 numbers per point.

    Args:
        raw: the file, a multiple of 4 width bytes.
        width: numbers per point. axes: places of x, y and z among them.
    """
    numbers = np.frombuffer(raw, "<f4")
    if len(numbers) > BLOCKS * LONG and not _evidence(numbers, width, axes, SHORT, FIRST_LOOK):
        return ""
    return _evidence(numbers, width, axes, LONG)


def _evidence(numbers: Array, width: int, axes: Sequence[int], block: int, part: float = 1.0) -> str:
    """What a file looks like, by blocks of its numbers.

    Args:
        numbers: of the file. width, axes: see ``other_layout``. block: numbers of a block. part: of the evidence that
            is asked for.
    """
    index = _sample(len(numbers), block)
    values = numbers[index]
    share = absurd(values[np.isin(np.arange(width), axes)[index % width]])
    if share > part * ABSURD_SHARE or (len(values) >= FEW and _are_halves(numbers, index)):
        for dtype, name in ((">f4", "big-endian float32"), ("<f8", "float64"), (">f8", "big-endian float64")):
            if numbers.nbytes % np.dtype(dtype).itemsize == 0 and absurd(numbers.view(dtype)) <= ABSURD_SHARE:
                return f"it looks like {name}"
        return f"{share:.0%} of its coordinates are not of a size that a sensor measures"
    if len(values) < FEW:
        return ""
    finite = np.isfinite(values)
    bins, places = binned(values[finite]), index[finite]
    told = {m: column_information(bins, places, m) for m in WIDTHS if len(numbers) % m == 0}
    own = told.get(width, 0.0)
    chance = CHANCE / len(bins) if len(bins) else 0.0
    better = [m for m, nats in told.items() if nats > own + part * (MUCH_MORE if m % width == 0 else MORE) + chance]
    if not better:
        return ""
    best = max(better, key=lambda m: told[m])
    least = min(m for m in better if best % m == 0 and told[m] > told[best] - MUCH_MORE)
    return f"it looks like {least} numbers per point"


def _are_halves(numbers: Array, index: Array) -> bool:
    """Whether numbers are those of float64 with few digits, of which every first half is 0."""
    words = numbers.view("<u4")
    return not words[index[index % 2 == 0]].any() and bool(words[1::2].any() and not words[::2].any())


def absurd(values: Array) -> float:
    """Share of the finite numbers that are neither 0 nor of a size between ``SMALLEST`` and ``LARGEST``."""
    size = np.abs(values[np.isfinite(values)].astype(np.float64))
    return float(np.mean((size > LARGEST) | ((size < SMALLEST) & (size > 0)))) if len(size) else 0.0


def binned(values: Array) -> Array:
    """Bin (n,) of every number (n,), from 0, such that about as many are in each."""
    if not len(values):
        return np.zeros(0, np.int64)
    edges = np.unique(np.sort(values)[len(values) * np.arange(1, BINS) // BINS])
    return np.searchsorted(edges, values, side="right")


def column_information(bins: Array, places: Array, width: int) -> float:
    """Return what the column of a number tells about its bin, nats, without the part that chance tells.

    Args:
        bins: (n,) of numbers. places: (n,) where they lie in the file. width: numbers per row.
    """
    if not len(bins):
        return 0.0
    counts = np.bincount((places % width) * BINS + bins, minlength=width * BINS).reshape(width, BINS)
    of_bins = counts.sum(0)
    nats = (_with_logarithms(counts) - _with_logarithms(counts.sum(1)) - _with_logarithms(of_bins)) / len(bins)
    used = np.count_nonzero(of_bins)
    return nats + math.log(len(bins)) - (width - 1) * (used - 1) / (2 * len(bins))  # Miller and Madow 1955


def _with_logarithms(counts: Array) -> float:
    """Sum of all counts times their logarithms."""
    return float((counts * np.log(np.maximum(counts, 1))).sum())


def _sample(count: int, block: int) -> Array:
    """Places of blocks that are spread evenly over a file, or of all numbers of a small one."""
    if count <= BLOCKS * block:
        return np.arange(count)
    starts = np.linspace(0, count - block, BLOCKS).astype(np.int64)
    return (starts[:, None] + np.arange(block)).ravel()
