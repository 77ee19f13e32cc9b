"""Pickles that hold nothing but plain containers and NumPy arrays. Anything else is refused before it can run."""

from __future__ import annotations

import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError

MAX_BYTES = 4 * 2**30


class _Maker:
    """Replaces a function that pickles name. It has no state that a pickle could change."""

    __slots__ = ()

    def __call__(self, *args: Any) -> Any:
        raise pickle.UnpicklingError("it makes something in an unusual way")


class _Reconstruct(_Maker):
    """An empty array, as NumPy's own pickles make it; a shape of any other size would only take memory."""

    __slots__ = ()

    def __call__(self, cls: Any, shape: Any, kind: Any) -> np.ndarray:
        if cls is not NDARRAY or tuple(shape) != (0,):
            raise pickle.UnpicklingError("it makes an array in an unusual way")
        return np.ndarray((0,), np.int8)


class _Scalar(_Maker):
    """A NumPy number; objects are refused."""

    __slots__ = ()

    def __call__(self, dtype: Any, raw: Any = None) -> Any:
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biufU" or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("it holds a NumPy value of an unusual kind")
        if len(raw) != dtype.itemsize:
            raise pickle.UnpicklingError("it holds a damaged NumPy value")
        return np.frombuffer(raw, dtype)[0]


class _Encode(_Maker):
    """How protocol 2 spells bytes."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise pickle.UnpicklingError("it holds bytes of an unusual kind")
        return text.encode("latin1")


class _Bytes(_Maker):
    """Bytes from bytes, or none; from a number they would only take memory."""

    __slots__ = ()

    def __call__(self, raw: Any = b"") -> bytes:
        if not isinstance(raw, bytes):
            raise pickle.UnpicklingError("it holds bytes of an unusual kind")
        return raw


class _Buffer(_Maker):
    """An array from its bytes, as protocol 5 makes it."""

    __slots__ = ()

    def __call__(self, raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        if not isinstance(dtype, np.dtype) or dtype.kind not in "biufU":
            raise pickle.UnpicklingError("it holds an array of an unusual kind")
        return np.frombuffer(bytearray(raw), dtype).reshape(shape, order=order)


NDARRAY = _Maker()
ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _Encode(),
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): np.dtype,
}
for _package in ("builtins", "__builtin__"):  # protocol 2 uses the names of Python 2
    ALLOWED |= {(_package, t.__name__): t for t in (set, frozenset, complex)}
    ALLOWED |= {(_package, "bytes"): _Bytes(), (_package, "bytearray"): _Bytes()}
for _package in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_package}.multiarray", "_reconstruct"] = _Reconstruct()
    ALLOWED[f"{_package}.multiarray", "scalar"] = _Scalar()
    ALLOWED[f"{_package}.numeric", "_frombuffer"] = _Buffer()


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside of it")


def load_plain(path: Path) -> Any:
    """Read a pickle of plain data: dict, list, tuple, set, text, numbers, None, NumPy arrays of such.

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
