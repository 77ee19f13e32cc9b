"""Unpickling without running anything of the file: what pickles name is replaced by parts of our own.

A pickle calls what it names, and hands a state to what it has made. Here it can name a dozen parts, each of which
checks every argument and every field of its state and keeps it; arrays are made from them later, see ``pickles``.

What the unpickler does in C cannot be bounded from within: keys that hash or compare for ever, a memo of 16 GiB. So a
pickle is tried in a process of its own first, with limits of time, memory and stack. That process runs this file as
a script, which needs the standard library only.
"""

from __future__ import annotations

import gc
import io
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import prod
from typing import Any

# the smallest files may take this, and larger ones more in proportion
CPU_SECONDS, BYTES_PER_SECOND = 4, 2 * 2**20
MEMORY_BYTES, MEMORY_PER_BYTE = 768 * 2**20, 64
STACK_BYTES = 2**20  # less than the smallest that a thread has
TOO_MUCH = 3  # exit code: no memory
MAX_DIMENSIONS = 32
_CODE = re.compile(r"(b1|i[1248]|u[1248]|f[248]|c8|c16|O[48]?|[US](\d{1,9}))")


class Part:
    """Stands for a function or a class that pickles name; it has no state that a pickle could change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any] | None = None):
        self._make = make

    def __call__(self, *args: Any) -> Any:
        """What the file gets for calling it."""
        if self._make is None:
            raise pickle.UnpicklingError("it makes something in an unusual way")
        return self._make(*args)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes a class or a function")


class Ordered(dict[Any, Any]):
    """An ordered dictionary, without attributes."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it gives attributes to a dictionary")


class Kind:
    """The type of NumPy numbers, text or objects, from its code (``f8``, ``U5``, ``O8``), and its state.

    Attributes:
        code: as NumPy takes it, without the order of bytes. order: ``<``, ``>``, ``=`` or ``|``.
    """

    __slots__ = ("code", "order")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, code: Any, align: Any = False, copy: Any = True):
        if not isinstance(code, str) or not _CODE.fullmatch(code) or align or copy not in (0, 1):
            raise pickle.UnpicklingError("it holds a NumPy value of an unusual kind")
        self.code, self.order = code, ""

    @property
    def itemsize(self) -> int:
        """Bytes of one number or text; 0 of objects."""
        number = int(self.code[1:] or 0)
        return {"O": 0, "U": 4 * number, "b": 1}.get(self.code[0], number)

    def __setstate__(self, state: Any) -> None:
        """Takes the one state that NumPy writes of such a type, once."""
        letter = self.code[0]
        size = (self.itemsize, 4 if letter == "U" else 1) if letter in "US" else (-1, -1)
        flags = {"O": (63,), "U": (0, 8)}.get(letter, (0,))
        whole = type(state) is tuple and len(state) == 8 and all(type(v) in (int, str, type(None)) for v in state)
        if self.order or not whole or state[0] != 3 or state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("it holds a NumPy type of an unusual kind")
        if state[2:5] != (None,) * 3 or state[5:7] != size or state[7] not in flags:
            raise pickle.UnpicklingError("it holds a NumPy type of an unusual kind")
        self.order = state[1]


class Array:
    """An array that is not made yet.

    Attributes:
        kind: of its numbers. shape: of it. fortran: whether its bytes are column by column.
        content: its bytes, or the list of its objects, row by row.
    """

    __slots__ = ("content", "fortran", "kind", "shape")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, cls: Any, shape: Any, code: Any):
        if cls is not NDARRAY or shape != (0,) or code not in (b"b", "b"):
            raise pickle.UnpicklingError("it makes an array in an unusual way")
        self.content: Any = None

    def __setstate__(self, state: Any) -> None:
        """Takes what NumPy writes of an array, once."""
        if self.content is not None or type(state) is not tuple or len(state) != 5 or state[0] != 1:
            raise pickle.UnpicklingError("it holds an array of an unusual kind")
        self.fill(*state[1:])

    def fill(self, shape: Any, kind: Any, fortran: Any, content: Any) -> Array:
        """Check and keep shape, kind, order and content."""
        if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS or not isinstance(kind, Kind):
            raise pickle.UnpicklingError("it holds an array of an unusual kind")
        if not all(type(n) is int and 0 <= n < 2**48 for n in shape) or type(fortran) not in (int, bool):
            raise pickle.UnpicklingError("it holds an array of an unusual shape")
        if type(content) is not (list if kind.code[0] == "O" else bytes):
            raise pickle.UnpicklingError("it holds an array of an unusual content")
        if len(content) != prod(shape) * (1 if kind.code[0] == "O" else kind.itemsize):
            raise pickle.UnpicklingError("it holds an array that is not of the size of its content")
        self.shape, self.kind, self.fortran, self.content = shape, kind, bool(fortran), content
        return self


def _buffer(raw: Any, kind: Any, shape: Any, order: Any) -> Array:
    """An array from its bytes, as protocol 5 makes it."""
    if type(raw) not in (bytes, bytearray) or order not in ("C", "F"):
        raise pickle.UnpicklingError("it holds an array of an unusual kind")
    return Array(NDARRAY, (0,), b"b").fill(shape, kind, order == "F", bytes(raw))


def _latin(text: Any, encoding: Any = "latin1") -> bytes:
    """Bytes, as protocol 2 spells them."""
    if type(text) is not str or encoding != "latin1":
        raise pickle.UnpicklingError("it holds bytes of an unusual kind")
    return text.encode("latin1")


def _bytes(raw: Any = b"", encoding: Any = None) -> bytes:
    """Bytes from bytes, or none; from a number they would only take memory."""
    if encoding is not None:
        return _latin(raw, encoding)
    if type(raw) is not bytes:
        raise pickle.UnpicklingError("it holds bytes of an unusual kind")
    return raw


def _collection(make: Callable[..., Any]) -> Part:
    """A set or the like, of a list or a tuple."""

    def made(items: Any = ()) -> Any:
        if type(items) not in (list, tuple):
            raise pickle.UnpicklingError("it makes something in an unusual way")
        return make(items)

    return Part(made)


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise pickle.UnpicklingError("it makes a number in an unusual way")
    return complex(real, imaginary)


NDARRAY = Part()
PARTS: dict[tuple[str, str], Part] = {
    ("collections", "OrderedDict"): _collection(Ordered),
    ("_codecs", "encode"): Part(_latin),
    ("numpy", "ndarray"): NDARRAY,
    ("numpy", "dtype"): Part(Kind),
}
for _package in ("builtins", "__builtin__"):  # protocol 2 uses the names of Python 2
    PARTS[_package, "set"], PARTS[_package, "frozenset"] = _collection(set), _collection(frozenset)
    PARTS[_package, "complex"], PARTS[_package, "bytes"] = Part(_complex), Part(_bytes)
    PARTS[_package, "bytearray"] = Part(lambda *args: bytearray(_bytes(*args)))
for _package in ("numpy.core", "numpy._core"):
    PARTS[f"{_package}.multiarray", "_reconstruct"] = Part(Array)
    PARTS[f"{_package}.numeric", "_frombuffer"] = Part(_buffer)


class _Plain(pickle.Unpickler):
    """Args: raw: the pickle. scalar: makes a NumPy number of its kind and its bytes, which are of its size."""

    def __init__(self, raw: bytes, scalar: Callable[[Kind, bytes], Any]):
        super().__init__(io.BytesIO(raw))
        self._scalar = scalar

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return Part(self._number)
        try:
            return PARTS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not plain data") from None

    def _number(self, kind: Any, raw: Any = None) -> Any:
        if not isinstance(kind, Kind) or kind.code[0] not in "biufU" or type(raw) is not bytes:
            raise pickle.UnpicklingError("it holds a NumPy value of an unusual kind")
        if len(raw) != kind.itemsize:
            raise pickle.UnpicklingError("it holds a damaged NumPy value")
        return self._scalar(kind, raw)

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside of it")


@contextmanager
def without_collector() -> Iterator[None]:
    """While much is made and nothing is given up, the garbage collector would look through all of it for nothing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def unpickled(raw: bytes, scalar: Callable[[Kind, bytes], Any]) -> Any:
    """Content of a pickle, with ``Ordered``, ``Kind`` and ``Array`` in place of what they stand for.

    Raises:
        pickle.UnpicklingError: it asks for anything but plain data. Exception: it is damaged.
    """
    with without_collector():
        return _Plain(raw, scalar).load()


def refusal(raw: bytes) -> str | None:
    """Why a pickle cannot be read within limits, as found out by a process of its own; None where it can."""
    seconds = CPU_SECONDS + len(raw) // BYTES_PER_SECOND
    words = [sys.executable, "-I", "-S", __file__, str(seconds), str(MEMORY_BYTES + MEMORY_PER_BYTE * len(raw))]
    try:
        ended = subprocess.run(words, input=raw, capture_output=True, timeout=60 + 10 * seconds, check=False)
    except subprocess.TimeoutExpired:
        return f"takes more than {60 + 10 * seconds} s to read"
    if ended.returncode == 0:
        return None
    if ended.returncode == TOO_MUCH:
        return "needs more memory than files of its size do"
    limit = f"takes more than {seconds} s to read, or is nested too deeply"
    return f"{limit} (it ended the process that tried it, exit code {ended.returncode})"


def _try(seconds: int, memory: int) -> int:
    """Unpickle what comes on the standard input, within limits; what is merely damaged is told when it is read."""
    with suppress(ImportError, ValueError, OSError):  # not on Windows, where the time limit of the caller is all
        import resource

        for limit, value in (
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_STACK, STACK_BYTES),
            (resource.RLIMIT_AS, memory),
        ):
            resource.setrlimit(limit, (value, resource.getrlimit(limit)[1]))
    try:
        unpickled(sys.stdin.buffer.read(), lambda kind, raw: object())
    except MemoryError:
        return TOO_MUCH
    except Exception:  # told by who reads it
        return 0
    return 0


if __name__ == "__main__":
    os._exit(_try(int(sys.argv[1]), int(sys.argv[2])))
