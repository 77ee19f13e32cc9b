"""Pickles that hold nothing but plain containers and NumPy arrays. Anything else is refused before it can run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from calib.regular_files import read_regular, status
from fusion_aug.errors import DataError
from fusion_aug.safe.unpickling import Array, Kind, Ordered, refusal, unpickled, without_collector

MAX_BYTES = 4 * 2**30
MAX_DEPTH = 100
# parts that one part of a file may be named in, so that a few bytes do not stand for millions of entries
MAX_ENTRIES, ENTRIES_PER_BYTE = 2 * 10**6, 32
LEAVES = frozenset({str, int, float, bool, type(None), bytes, bytearray, complex})


def load_plain(path: Path) -> Any:
    """Read a pickle of plain data: dict, list, tuple, set, text, numbers, None, NumPy arrays of such.

    Ordered dictionaries become plain ones. Values are those that ``pickle.load`` gives.

    Raises:
        DataError: the file is missing, too large, damaged, or asks for anything else; nothing of it has run.
    """
    try:
        if status(path).st_size > MAX_BYTES:
            raise DataError(f"{path}: is larger than {MAX_BYTES >> 30} GiB")
        raw = read_regular(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    why = refusal(raw)
    if why is not None:
        raise DataError(f"{path}: is refused: it {why}")
    try:
        with without_collector():
            return _Settling(MAX_ENTRIES + ENTRIES_PER_BYTE * len(raw)).settled(unpickled(raw, _number))
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: is refused: {error}") from None
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{path}: is damaged ({type(error).__name__}: {error})") from None


def _number(kind: Kind, raw: bytes) -> Any:
    return np.frombuffer(raw, _dtype(kind))[0] if raw else np.str_("")


def _dtype(kind: Kind) -> np.dtype:
    order = "=" if kind.order in ("", "|") else kind.order
    return np.dtype(object if kind.code[0] == "O" else order + kind.code)


class _Settling:
    """Puts what they stand for in place of parts, in what was unpickled, and counts what that holds.

    An object that occurs in several places is looked at once and counts in each of them.

    Args:
        limit: entries that it may hold.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.sizes: dict[int, int] = {}  # of containers, by id; -1 within itself
        self.made: dict[int, Any] = {}  # what takes the place of an object, by the id of it
        self.replaced: list[Any] = []  # objects that keep their ids as long as this is looked up by them

    def settled(self, root: Any) -> Any:
        """Content with plain types only.

        Raises:
            pickle.UnpicklingError: it holds itself, is nested too deeply, or holds more than its file can.
        """
        self.size_of(root, 0)
        return self.made.get(id(root), root)

    def size_of(self, value: Any, depth: int) -> int:
        """Entries of a value; what takes its place is in ``made`` then, where that is another object."""
        kind, size = type(value), 1
        if kind in LEAVES or isinstance(value, np.generic):
            return 1
        known = self.sizes.get(id(value))
        if known is not None:
            if known < 0:
                raise pickle.UnpicklingError("it holds something that holds itself")
            return known
        if depth > MAX_DEPTH:
            raise pickle.UnpicklingError(f"it is nested more than {MAX_DEPTH} times")
        self.sizes[id(value)] = -1
        if kind is list:
            size += self.in_place(value, enumerate(value), len(value), depth)
        elif kind is dict or kind is Ordered:
            size += sum(self.size_of(key, depth + 1) for key in value if type(key) not in LEAVES)
            size += self.in_place(value, value.items(), len(value), depth)
            if kind is Ordered:
                self.made[id(value)] = dict(value)
        elif kind is tuple:
            size += sum(self.size_of(v, depth + 1) for v in value)
            if any(id(v) in self.made for v in value):
                self.made[id(value)] = tuple(self.made.get(id(v), v) for v in value)
        elif kind in (set, frozenset):
            size += sum(self.size_of(v, depth + 1) for v in value)
        elif kind is Array:
            size += self.array(value, depth)
        elif kind is Kind:
            self.made[id(value)] = _dtype(value)
        else:
            raise pickle.UnpicklingError(f"it holds a {kind.__name__}, which is not plain data")
        if size > self.limit:
            raise pickle.UnpicklingError("it holds the same things again and again, more than a file of its size can")
        self.sizes[id(value)] = size
        if id(value) in self.made:
            self.replaced.append(value)
        return size

    def in_place(self, holder: Any, items: Any, size: int, depth: int) -> int:
        """Settle the values of a list or a dictionary where they are; returns the entries."""
        for key, value in items:
            if type(value) not in LEAVES:
                size += self.size_of(value, depth + 1)
                if id(value) in self.made:
                    holder[key] = self.made[id(value)]
        return size

    def array(self, value: Array, depth: int) -> int:
        """Make an array; returns the entries."""
        if value.content is None:
            raise pickle.UnpicklingError("it holds an array without content")
        dtype = _dtype(value.kind)
        if dtype.kind != "O":
            flat: np.ndarray = np.frombuffer(value.content, dtype) if value.content else np.empty(0, dtype)
            shaped = flat.reshape(value.shape, order="F" if value.fortran else "C")
            self.made[id(value)] = shaped.astype(dtype.newbyteorder("="), order="K")
            return len(value.content) // 8
        if len(value.content) != int(np.prod(value.shape, dtype=object)):
            raise pickle.UnpicklingError("it holds an array that is not of the size of its content")
        size = self.in_place(value.content, enumerate(value.content), len(value.content), depth)
        objects = np.empty(len(value.content), object)
        for i, item in enumerate(value.content):
            objects[i] = item
        self.made[id(value)] = objects.reshape(value.shape)
        return size
