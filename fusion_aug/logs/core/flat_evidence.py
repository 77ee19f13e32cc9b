"""Evidence of another layout in a flat file of float32 numbers, from the numbers themselves.

Two facts hold for every cloud and are lost in another layout. Coordinates are finite and of a size that a sensor can
measure: read byte-swapped, or as halves of a float64, a quarter of them is not. And every column has a distribution of
its own, so that the column tells something about the value (mutual information, Cover and Thomas 2006, section 2.3):
read with another number of columns, every column holds a mixture of all, and tells nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

LARGEST, SMALLEST = 1e5, 1e-20  # metres; what is not 0 lies between
ABSURD_SHARE = 0.02  # of the numbers; a file may hold a few marks of its own
SAMPLE = 2**14  # numbers that are looked at
BLOCK = 2**9
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
    index = _sample(len(numbers))
    values = numbers[index]
    share = absurd(values[np.isin(index % width, axes)])
    words = numbers.view("<u4")
    # of float64 with few digits
    halves = len(values) >= FEW and bool(words[1::2].any() and not words[::2].any())
    if share > ABSURD_SHARE or halves:
        for dtype, name in ((">f4", "big-endian float32"), ("<f8", "float64"), (">f8", "big-endian float64")):
            if len(raw) % np.dtype(dtype).itemsize == 0 and absurd(np.frombuffer(raw, dtype)) <= ABSURD_SHARE:
                return f"it looks like {name}"
        return f"{share:.0%} of its coordinates are not of a size that a sensor measures"
    if len(values) < FEW:
        return ""
    finite = np.isfinite(values)
    bins, places = binned(values[finite]), index[finite]
    told = {m: column_information(bins, places, m) for m in WIDTHS if len(numbers) % m == 0}
    own = told.get(width, 0.0)
    chance = CHANCE / len(bins) if len(bins) else 0.0
    better = [m for m, nats in told.items() if nats > own + (MUCH_MORE if m % width == 0 else MORE) + chance]
    if not better:
        return ""
    best = max(better, key=lambda m: told[m])
    least = min(m for m in better if best % m == 0 and told[m] > told[best] - MUCH_MORE)
    return f"it looks like {least} numbers per point"


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
    shares = counts / len(bins)
    expected = shares.sum(1, keepdims=True) * shares.sum(0)
    some = shares > 0
    nats = float((shares[some] * np.log(shares[some] / expected[some])).sum())
    used = int((shares.sum(0) > 0).sum())
    return nats - (width - 1) * (used - 1) / (2 * len(bins))  # Miller and Madow 1955


def _sample(count: int) -> Array:
    """Places of blocks that are spread evenly over a file, or of all numbers of a small one."""
    if count <= SAMPLE:
        return np.arange(count)
    starts = np.linspace(0, count - BLOCK, SAMPLE // BLOCK).astype(np.int64)
    return (starts[:, None] + np.arange(BLOCK)).ravel()
