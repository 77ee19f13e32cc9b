"""Columns that are not simply tensors in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fusion_aug.errors import DataError


class HeldColumns(Mapping[str, Any]):
    """Columns of a stream that lie in files, or together with those of others on a device.

    Items are taken and joined without looking at any value.

    Attributes:
        offsets: (n + 1,) int64, row offsets of the items.
        joins_others: whether they can be joined with columns that lie elsewhere.
    """

    offsets: Any
    joins_others: ClassVar[bool] = True

    def take(self, index: Sequence[int]) -> HeldColumns:
        """The columns of some items."""
        raise NotImplementedError

    @classmethod
    def join(cls, parts: Sequence[Any]) -> HeldColumns | None:
        """The columns of several streams one after another; None where they have to be in memory for that."""
        raise NotImplementedError

    def changed(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The columns with some replaced or added, which are in memory then."""
        return {**self, **values}


def changed_columns(held: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Columns with some replaced or added."""
    return held.changed(values) if isinstance(held, HeldColumns) else {**held, **values}


def joined_columns(parts: Sequence[Any]) -> HeldColumns | None:
    """The columns of several streams one after another; None where they have to be in memory for that.

    Raises:
        DataError: some lie on a device and some do not.
    """
    kinds = {type(p) for p in parts}
    kind = kinds.pop()
    if kinds and any(isinstance(p, HeldColumns) and not p.joins_others for p in parts):
        raise DataError("some samples lie on a device and some do not; collate them on the host, then batch.to(...)")
    held: HeldColumns | None = kind.join(parts) if not kinds and issubclass(kind, HeldColumns) else None
    return held
