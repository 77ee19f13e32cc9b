"""A few values that were made lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """Keeps what a function made, and forgets all of it when it is too much. It is sent to other processes empty.

    Args:
        most: values that are kept.
    """

    def __init__(self, most: int):
        self.most = most
        self._values: dict[K, V] = {}

    def get(self, key: K, make: Callable[[K], V]) -> V:
        """The value of a key; ``make`` is asked for it where it is not at hand."""
        value = self._values.get(key)
        if value is None:
            value = make(key)
            if len(self._values) >= self.most:
                self._values = {}
            self._values[key] = value
        return value

    def held(self, keys: Sequence[K]) -> list[V] | None:
        """The values of keys; None where one of them is not at hand."""
        found = [*map(self._values.get, keys)]
        return None if None in found else found  # type: ignore[return-value]

    def __reduce__(self) -> tuple[type[Kept[K, V]], tuple[int]]:
        return type(self), (self.most,)
