"""Pictures that are worked out when they are written or asked for: one of a file, and what a transform does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from fusion_aug.ops.modes import standard_modes
from fusion_aug.streams.recent import passing_value, recent_value


class Pictures(Protocol):
    """A stream of pictures."""

    def image(self, item: int, *, keep: bool = True) -> Tensor:
        """One picture, (H, W, ...), decoded and mapped; without ``keep`` another is made of it."""


@dataclass(frozen=True, eq=False)
class Deferred:
    """A picture that a transform changes, not worked out yet.

    It is worked out of the stream before the transform each time that it is asked for, and gives the same each time:
    parameters are drawn, and noise is keyed. A long recording is so read, changed and written picture by picture. What
    goes to another process, or into a copy, is the picture itself.

    Attributes:
        stream: before the transform. item: of it. change: makes of its picture (H, W, ...) another, and does not write
            to it.
    """

    stream: Pictures
    item: int
    change: Callable[[Tensor], Tensor]

    @property
    @standard_modes()
    def value(self) -> Tensor:
        """The picture, held as long as there is room for it.

        Raises:
            DataError: it cannot be read or changed.
        """
        value: Tensor = recent_value(self, self._worked_out)
        return value

    def passing(self) -> Tensor:
        """``value``, for one who makes another of it (``passing_value``)."""
        value: Tensor = passing_value(self, self._worked_out)
        return value

    def _worked_out(self) -> Tensor:
        return self.change(self.stream.image(self.item, keep=False))

    def __reduce__(self) -> tuple[Any, ...]:
        return _same, (self.value,)


def _same(picture: Tensor) -> Tensor:
    return picture
