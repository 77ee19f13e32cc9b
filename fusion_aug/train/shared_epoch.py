"""The epoch of a data set, which its workers see change."""

from __future__ import annotations

import os
import threading
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch import Tensor

PLACES = 512  # of a page of memory, which takes one file descriptor while any of them is in use


class SharedEpoch:
    """A whole number in memory that a process shares with those it starts, forked or spawned.

    A pickle or a copy has the same number in a place of its own; on the way to a process that is being started it is
    the place that travels.

    Args:
        value: the number.
    """

    def __init__(self, value: int = 0):
        self._page, self._place = _PAGES.new_place()
        self.value = value

    @property
    def value(self) -> int:
        """The number."""
        return int(self._page.numpy()[self._place])  # NumPy's view: no mode of torch decides who may write

    @value.setter
    def value(self, value: int) -> None:
        self._page.numpy()[self._place] = value

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedEpoch, (self.value,)


class _Pages:
    """Places in shared memory. None is used twice: a process that outlives a data set may still read its place."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin another page, as a forked child must: places of the last one are its parent's to give out."""
        self._lock = threading.Lock()
        self._page: Tensor | None = None
        self._used = 0

    def new_place(self) -> tuple[Tensor, int]:
        """A page, (PLACES,) int64 in shared memory, and an unused place in it."""
        with self._lock:
            if self._page is None or self._used == PLACES:
                with torch.inference_mode(False):
                    self._page = torch.zeros(PLACES, dtype=torch.int64, device="cpu").share_memory_()
                self._used = 0
            self._used += 1
            return self._page, self._used - 1


def _at(page: Tensor, place: int) -> SharedEpoch:
    shared = object.__new__(SharedEpoch)
    shared._page, shared._place = page, place
    return shared


def _sent(shared: SharedEpoch) -> tuple[Any, ...]:
    return _at, (shared._page, shared._place)


_PAGES = _Pages()
ForkingPickler.register(SharedEpoch, _sent)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_PAGES.reset)
