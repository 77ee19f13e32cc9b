"""Pickles that hold nothing but plain containers and NumPy arrays. Anything else is refused before it can run."""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError

MAX_BYTES = 4 * 2**30


def _ndarray(*args: Any) -> Any:
    """Stands for the class ndarray, which pickles name but have no reason to call."""
    raise pickle.UnpicklingError("it makes an array in an unusual way")


def _reconstruct(cls: Any, shape: Any, kind: Any) -> np.ndarray:
    """An empty array, as NumPy's own pickles make it; a shape of any other size would only take memory."""
    if cls is not _ndarray or tuple(shape) != (0,):
        raise pickle.UnpicklingError("an array of an unusual kind")
    return np.ndarray((0,), np.int8)


def _scalar(dtype: Any, raw: Any = None) -> Any:
    """A NumPy number; objects are refused."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufU" or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("a NumPy value of an unusual kind")
    if len(raw) != dtype.itemsize:
        raise pickle.UnpicklingError("a damaged NumPy value")
    return np.frombuffer(raw, dtype)[0]


def _latin(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 2 and protocol 2 spell bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("bytes of an unusual kind")
    return text.encode("latin1")


def _bytearray(raw: Any = b"") -> bytearray:
    """Bytes from bytes; from a number they would only take memory."""
    if not isinstance(raw, bytes):
        raise pickle.UnpicklingError("bytes of an unusual kind")
    return bytearray(raw)


def _buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """An array from its bytes, as protocol 5 makes it."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufU":
        raise pickle.UnpicklingError("an array of objects")
    return np.frombuffer(bytearray(raw), dtype).reshape(shape, order=order)


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "bytearray"): _bytearray,
    ("builtins", "complex"): complex,
    ("_codecs", "encode"): _latin,
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): np.dtype,
}
for _package in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _reconstruct
    ALLOWED[f"{_package}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{_package}.numeric", "_frombuffer"] = _buffer


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside of it")


def load_plain(path: Path) -> Any:
    """Read a pickle of plain data: dict, list, tuple, set, text, numbers, None, NumPy arrays of numbers and text.

    Raises:
        DataError: the file is missing, too large, damaged, or asks for anything else; nothing of it has run.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: is larger than {MAX_BYTES >> 30} GiB")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _Plain(io.BytesIO(raw)).load()
    except pickle.UnpicklingError as error:
        raise DataError(f"{path}: is refused: {error}") from None
    except (EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError, MemoryError, RecursionError,
            OverflowError, ImportError, UnicodeDecodeError, SystemError) as error:  # fmt: skip
        raise DataError(f"{path}: is damaged ({type(error).__name__}: {error})") from None
