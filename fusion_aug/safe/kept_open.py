"""Files and decoders that stay open for the next question, in the process that opened them."""

from __future__ import annotations

import ctypes
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class KeptOpen(Generic[T]):
    """The last things that were opened, by key, lent to one thread at a time.

    A forked process, such as a worker of a DataLoader, opens its own: it would share the position in a file with its
    parent, and wait for ever for threads of a decoder that only the parent has. What it inherits is neither used nor
    freed there.

    Args:
        most: that stay open. close: called with each that does not.
    """

    def __init__(self, most: int, close: Callable[[T], None] = lambda _: None):
        self.most, self.close = most, close
        self._open: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._open))  # held for ever, also when the interpreter ends
        self._open, self._lock = OrderedDict(), Lock()

    @contextmanager
    def lent(self) -> Iterator[OrderedDict[Hashable, T]]:
        """All that is open, to take from and to put back; beyond the most, what was put back first is closed."""
        with self._lock:
            yield self._open
            while len(self._open) > self.most:
                self.close(self._open.popitem(last=False)[1])
