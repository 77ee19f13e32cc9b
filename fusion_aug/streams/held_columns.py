"""Columns that are not simply tensors in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class HeldColumns(Mapping[str, Any]):
    """Columns of a stream that lie in files, or together with those of others on a device.

    Items are taken and joined without looking at any value.

    Attributes:
        offsets: (n + 1,) int64, row offsets of the items.
    """

    offsets: Any

    def take(self, index: Sequence[int]) -> HeldColumns:
        """The columns of some items."""
        raise NotImplementedError

    @classmethod
    def join(cls, parts: Sequence[Any]) -> HeldColumns | None:
        """The columns of several streams one after another; None where they have to be in memory for that."""
        raise NotImplementedError


def joined_columns(parts: Sequence[Any]) -> HeldColumns | None:
    """The columns of several streams one after another; None where they have to be in memory for that."""
    kinds = {type(p) for p in parts}
    kind = kinds.pop()
    held: HeldColumns | None = kind.join(parts) if not kinds and issubclass(kind, HeldColumns) else None
    return held
