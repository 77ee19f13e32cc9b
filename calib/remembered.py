"""What was worked out before, for a bounded number of keys: samples of one robot or vehicle share most of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """Values by key; the oldest is forgotten where there are more than ``most``. Several threads may share it."""

    def __init__(self, most: int):
        self.most = most
        self._values: dict[Hashable, V] = {}

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of a key, which ``make`` gives the first time."""
        try:
            return self._values[key]
        except KeyError:
            value = self._values[key] = make()
        for oldest in list(self._values)[: -self.most]:
            self._values.pop(oldest, None)
        return value
