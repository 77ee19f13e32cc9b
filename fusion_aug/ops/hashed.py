"""Numbers for rows: a counter-based hash, the same for a row in any batch, subset and order, in NumPy and in torch.

The generator is SplitMix64 (Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators): the word of
a row is ``mix(start + row step)``, where a key gives both start and step, so that no two keys share a sequence.
``mix`` is a bijection and the step is odd: rows of one key never have equal words.

All arithmetic is that of int64, which wraps alike in NumPy and torch; a shift is masked, since theirs keep the sign.
Arrays and tensors of the CPU go through NumPy, block by block; tensors elsewhere are worked out where they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, wraps
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops.random import canonical, noise

Array = np.ndarray | Tensor
Kernel = Callable[["RowKey", Any], Any]
BLOCK = 1 << 14  # rows whose words stay in the processor's cache
FEWEST_CHANGES = 24  # between neighbouring bits of a step; with fewer, words of neighbours are alike (section 5)
# shifts, masks of what they leave, and factors (0xbf58476d1ce4e5b9 and 0x94d049bb133111eb with a sign)
MIX = (30, (1 << 34) - 1, -0x40A7B892E31B1A47, 27, (1 << 37) - 1, -0x6B2FB644ECCEEE15, 31, (1 << 33) - 1)
MIX_OF_NUMPY = tuple(np.array(number) for number in MIX)  # which takes these up in half of the time of numbers


class RowKey(NamedTuple):
    """What a sequence of words is made from: two signed numbers of 64 bits, or (n, 1) arrays, a key for each item."""

    start: Any
    step: Any


@lru_cache(maxsize=4096, typed=True)
def row_key(*parts: str | int) -> RowKey:
    """Key of a list of strings and integers: the 128 bits of its blake2b digest.

    Args:
        parts: the ``noise`` key of a transform's parameters, the stream, and what else tells one use from another:
            the stamp of a picture or scan, a word where a transform draws for several things.
    """
    halves = np.frombuffer(hashlib.blake2b(canonical(parts), digest_size=16).digest(), "<u8")
    start, step = (int(half) for half in halves)
    step |= 1
    if (step ^ (step >> 1)).bit_count() < FEWEST_CHANGES:
        step ^= 0xAAAAAAAAAAAAAAAA
    return RowKey(*(v - 2**64 if v >= 2**63 else v for v in (start, step)))


@dataclass(frozen=True)
class ItemNoise:
    """The noise of one item of a stream, such as a picture or a scan.

    Attributes:
        key: the ``noise`` key of the draw. stream: name. time: of capture, ns.
    """

    key: str
    stream: str
    time: int

    def rows(self, *purpose: str | int) -> RowKey:
        """Key of numbers for the item's rows; ``purpose`` tells several numbers of a row apart."""
        return row_key(self.key, self.stream, self.time, *purpose)

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random stream for what belongs to no row: a few numbers of the whole item, things that are added."""
        return noise(self.key, self.stream, self.time)


def item_keys(keys: Sequence[RowKey]) -> RowKey:
    """The keys of n items as one, of (n, 1) arrays where they differ, for rows (n, columns)."""
    if keys and all(key == keys[0] for key in keys):
        return keys[0]
    return RowKey(*np.array(keys, np.int64).reshape(-1, 2, 1).transpose(1, 0, 2))


def cells(rows: Array, columns: int) -> Any:
    """Counters (n, columns) int64, of the kind of ``rows`` (n,), which have several numbers each.

    They wrap without harm, so that stamps in nanoseconds may be rows.
    """
    if isinstance(rows, Tensor) and not rows.is_cpu:
        return rows[:, None] * columns + torch.arange(columns, device=rows.device)
    if isinstance(rows, Tensor):
        return torch.from_numpy(cells(rows.numpy(), columns))
    return rows[:, None] * columns + np.arange(columns)


def for_rows(dtype: type) -> Callable[[Kernel], Callable[..., Any]]:
    """Make a function of ``(key, rows, device=None)`` from a kernel of (key, rows) that NumPy and torch can run.

    ``rows`` are int64 numbers in an array or a tensor, of one dimension or more, or how many there are from 0 on. The
    result has their shape and kind; for a number of rows it is an array, or a tensor on a ``device`` that is given.

    Args:
        dtype: of the result.
    """

    def decorate(kernel: Kernel) -> Callable[..., Any]:
        @wraps(kernel)
        def evaluate(key: RowKey, rows: int | Array, device: torch.device | None = None) -> Any:
            if isinstance(rows, Tensor) and (not rows.is_cpu or isinstance(key.start, Tensor)):
                return kernel(RowKey(*(torch.as_tensor(k).to(rows.device) for k in key)), rows)
            if isinstance(rows, Tensor):
                return torch.from_numpy(evaluate(key, rows.numpy()))
            if device is None:
                return _in_blocks(kernel, key, rows, dtype)
            if device.type == "cpu":
                return torch.from_numpy(evaluate(key, rows))
            return evaluate(key, torch.arange(int(rows), device=device))

        return evaluate

    return decorate


def _in_blocks(kernel: Kernel, key: RowKey, rows: int | np.ndarray, dtype: type) -> Any:
    counted = isinstance(rows, int)
    total = rows if isinstance(rows, int) else rows.size
    if total <= BLOCK or not isinstance(key.start, int):
        return kernel(key, np.arange(total) if counted else rows)
    out: np.ndarray = np.empty(total, dtype)
    flat = None if isinstance(rows, int) else rows.reshape(-1)
    for start in range(0, total, BLOCK):
        stop = min(start + BLOCK, total)
        out[start:stop] = kernel(key, np.arange(start, stop) if flat is None else flat[start:stop])
    return out if isinstance(rows, int) else out.reshape(rows.shape)


def _counted(key: RowKey, rows: Any) -> Any:
    """Start and as many steps as the row's number, int64."""
    if isinstance(key.start, Tensor):
        return torch.addcmul(key.start, rows, key.step)
    z = rows * key.step
    z += key.start
    return z


def mixed(key: RowKey, rows: Any) -> Any:
    """The words of rows, in the place where these are, int64."""
    by1, mask1, factor1, by2, mask2, factor2, by3, mask3 = MIX if isinstance(rows, Tensor) else MIX_OF_NUMPY
    z = _counted(key, rows)
    z ^= (z >> by1) & mask1
    z *= factor1
    z ^= (z >> by2) & mask2
    z *= factor2
    z ^= (z >> by3) & mask3
    return z


@for_rows(np.int64)
def words(key: RowKey, rows: Any) -> Any:
    """64 random bits for every row, int64."""
    return mixed(key, rows)


@for_rows(np.int64)
def fractions(key: RowKey, rows: Any) -> Any:
    """A whole number from 0 to below 2^53 for every row, int64."""
    return (mixed(key, rows) >> 11) & ((1 << 53) - 1)


def uniform(key: RowKey, rows: int | Array, device: torch.device | None = None) -> Any:
    """A number in [0, 1) for every row, float64: a ``fraction`` over 2^53. Arguments as of ``words``."""
    whole = fractions(key, rows, device)
    return (whole.to(torch.float64) if isinstance(whole, Tensor) else whole) * 2.0**-53


def centred(key: RowKey, rows: Tensor) -> Tensor:
    """``uniform`` less a half for every row (n,), float32, of keys and rows on a device: the nearest to it."""
    return (mixed(key, rows) ^ -(1 << 63)).to(torch.float32) * 2.0**-64


def exponential(key: RowKey, rows: int | Array, device: torch.device | None = None) -> Any:
    """An exponential variate of mean 1 for every row, float64, by inversion. Arguments as of ``words``."""
    share = uniform(key, rows, device)
    return -torch.log1p(-share) if isinstance(share, Tensor) else -np.log1p(-share)


def chance(key: RowKey, rows: int | Array, share: Any, device: torch.device | None = None) -> Any:
    """Whether each row is hit, bool: whole numbers are compared, so that every device and processor decides alike.

    Args:
        key, rows, device: as of ``words``. share: probability, one or one for each row; NaN hits nothing.
    """
    least = np.ceil(np.fmin(np.fmax(np.asarray(share), 0.0), 1.0) * 2.0**53).astype(np.int64)
    whole = fractions(key, rows, device)
    return whole < (torch.as_tensor(least).to(whole.device) if isinstance(whole, Tensor) else least)
