"""Which rows of a table have a value: an index of 128 bits for every value, and 4 bytes for every row."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np

DIGEST_BYTES = 16


def value_digest(value: Any) -> bytes:
    """16 bytes that stand for a value; nobody can make two values that have the same."""
    text = value if isinstance(value, str) else f"\0{value!r}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


class Index:
    """Finds rows by a value.

    Args:
        digests: ``value_digest`` of every row, one after the other.
    """

    def __init__(self, digests: bytes | bytearray):
        pairs = np.frombuffer(digests, np.uint64).reshape(-1, 2)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))  # stable: rows of one value stay in order
        pairs = pairs[order]
        is_new = np.ones(len(pairs), bool)
        is_new[1:] = (pairs[1:] != pairs[:-1]).any(1)
        first = np.flatnonzero(is_new)
        self._high, self._low = pairs[first, 0], pairs[first, 1]
        self._starts = np.append(first, len(pairs)).astype(np.uint32)
        self._order = order.astype(np.uint32)

    def __len__(self) -> int:
        """How many different values there are."""
        return len(self._high)

    def rows(self, value: Any) -> list[int]:
        """Numbers of the rows that have a value, in order; none where it does not occur."""
        i = self._place(value)
        return [] if i is None else self._order[self._starts[i] : self._starts[i + 1]].tolist()

    def first(self, value: Any) -> int | None:
        """Number of the first row that has a value; None where it does not occur."""
        i = self._place(value)
        return None if i is None else int(self._order[self._starts[i]])

    def __contains__(self, value: Any) -> bool:
        return self._place(value) is not None

    def _place(self, value: Any) -> int | None:
        high, low = struct.unpack("=QQ", value_digest(value))
        i = int(self._high.searchsorted(np.uint64(high)))
        while i < len(self._high) and self._high[i] == high:
            if self._low[i] == low:
                return i
            i += 1
        return None

    def count_beyond(self, other: Index) -> int:
        """How many different values do not occur in another index."""
        both = [np.concatenate([getattr(i, name) for i in (self, other)]) for name in ("_high", "_low")]
        return len(Index(np.stack(both, axis=1).tobytes())) - len(other)

    def is_first(self) -> np.ndarray:
        """Of every row, whether none before it has the same value; (rows,) bool."""
        first = np.zeros(len(self._order), bool)
        first[self._order[self._starts[:-1]]] = True
        return first

    def repeated(self) -> int | None:
        """Number of the first row whose value is that of an earlier one; None where all differ."""
        again = np.flatnonzero(~self.is_first())
        return int(again[0]) if len(again) else None
