"""Info files are pickles: this reads those that hold plain containers, numbers, text and arrays, and runs nothing."""

from __future__ import annotations

import collections
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.core import once_per_file
from fusion_aug.errors import DataError

MAX_BYTES = 4 * 2**30
PLAIN_KINDS = "biufU"  # of NumPy: flags, numbers and text


class _Word:
    """Stands for a function that a pickle names; it can do what its method says and nothing else."""

    __slots__ = ()

    def __call__(self, *args: Any) -> Any:
        raise pickle.UnpicklingError("it makes something in an unusual way")


class _Array(_Word):
    __slots__ = ()

    def __call__(self, cls: Any, shape: Any, kind: Any) -> np.ndarray:
        """An empty array, whose content follows."""
        if cls is not ARRAY or tuple(shape) != (0,):
            raise pickle.UnpicklingError("it makes an array in an unusual way")
        return np.ndarray((0,), np.int8)


class _Buffer(_Word):
    __slots__ = ()

    def __call__(self, raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
        """An array from its bytes."""
        if not isinstance(kind, np.dtype) or kind.kind not in PLAIN_KINDS:
            raise pickle.UnpicklingError("it holds an array of an unusual kind")
        return np.frombuffer(bytes(raw), kind).reshape(shape, order=order)


class _Number(_Word):
    __slots__ = ()

    def __call__(self, kind: Any, raw: Any = b"") -> Any:
        """A number of NumPy from its bytes."""
        if not isinstance(kind, np.dtype) or kind.kind not in PLAIN_KINDS or len(raw) != kind.itemsize:
            raise pickle.UnpicklingError("it holds a NumPy value of an unusual kind")
        return np.frombuffer(bytes(raw), kind)[0]


class _Latin(_Word):
    __slots__ = ()

    def __call__(self, text: str, coding: str = "latin1") -> bytes:
        """Bytes, as protocol 2 spells them."""
        return str(text).encode("latin1")


ARRAY = _Word()
KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _Latin(),
    ("numpy", "ndarray"): ARRAY,
    ("numpy", "dtype"): np.dtype,
}
for _numpy in ("numpy.core", "numpy._core"):
    KNOWN[f"{_numpy}.multiarray", "_reconstruct"] = _Array()
    KNOWN[f"{_numpy}.multiarray", "scalar"] = _Number()
    KNOWN[f"{_numpy}.numeric", "_frombuffer"] = _Buffer()


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data")
        return KNOWN[module, name]


@once_per_file
def read_pickle(path: Path) -> Any:
    """Content of a pickle of plain data.

    Raises:
        DataError: it is missing, too large, damaged, or asks for anything else.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: is larger than {MAX_BYTES >> 30} GiB")
        return _Plain(io.BytesIO(path.read_bytes())).load()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except DataError:
        raise
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(f"{path}: is not a pickle of plain data ({error})") from None
