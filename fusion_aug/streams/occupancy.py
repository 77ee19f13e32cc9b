"""Occupancy: grids of cells in space, each with the class of what fills it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.errors import DataError, UnhandledStream
from fusion_aug.ops.modes import standard_modes
from fusion_aug.ops.voxels import CellMap, cell_map, what_no_grid_holds
from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import Column, categorical
from fusion_aug.streams.families import ImagePlane, Weather
from fusion_aug.streams.lazy_columns import LazyColumns
from fusion_aug.streams.source import Source

LABEL = "label"
SEEN = ("seen_by_camera", "seen_by_lidar")
EYE = torch.eye(4, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Occupancy(Stream):
    """A grid of cells per item, upright in the stream's frame, at the item's time.

    Columns: ``label`` (n, X, Y, Z), the class of what fills a cell, whole numbers; where they are known
    ``seen_by_camera`` and ``seen_by_lidar`` (n, X, Y, Z), 1 in cells that a camera or a LiDAR could observe, else 0.

    Cell (i, j, k) covers ``low + (i, j, k) cell`` to ``low + (i + 1, j + 1, k + 1) cell``. A motion of the scene stays
    pending and the grid is resampled once, by the nearest cell: yaw, mirrors and shifts. What was outside of the grid
    is ``unknown`` and not seen. A mirror of a grid that lies even about its plane is exact; any other motion leaves a
    cell with the class of a point at most ``residual`` metres from its centre, half the diagonal of a cell or less.

    Attributes:
        low: the corner of the grid with the least x, y and z, metres.
        cell: sides of a cell along x, y and z, metres.
        unknown: label of cells of which nothing is known.
        free: label of cells that nothing fills; None where no label says so.
        label_names: name of every class, by its number; empty text where there is none, and where names are not known.
        pending: (n, 4, 4) motion that is still to be applied to the grids, or None.
    """

    low: tuple[float, ...] = (0.0, 0.0, 0.0)
    cell: tuple[float, ...] = (1.0, 1.0, 1.0)
    unknown: int = 255
    free: int | None = None
    label_names: tuple[str, ...] = ()
    pending: Tensor | None = None

    columns: ClassVar[tuple[Column, ...]] = (categorical(LABEL), *(categorical(n, fill=0) for n in SEEN))
    item_fields: ClassVar[tuple[str, ...]] = (*Stream.item_fields, "pending")
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("low", "cell"):
            value = tuple(float(v) for v in getattr(self, name))
            if len(value) != 3 or (name == "cell" and not min(value) > 0):
                raise DataError(f"{type(self).__name__}.{name}: expected three lengths in metres, got {value}")
            object.__setattr__(self, name, value)
        if not isinstance(self.values, LazyColumns):
            check_grids(self.values, self.unknown, type(self).__name__)

    @property
    def sources(self) -> tuple[Source, ...] | None:
        """The files behind untouched grids, else None."""
        return self.values.sources if isinstance(self.values, LazyColumns) and self.pending is None else None

    def moved(self, motion: Tensor, name: str = "") -> Self:
        """The grids with a further motion pending.

        Args:
            motion: (n, 4, 4) of what lies in the stream's frame. name: of the stream, for messages.

        Raises:
            UnhandledStream: it holds a scale, roll or pitch.
        """
        total = motion if self.pending is None else motion @ self.pending
        for row in total:
            if kind := what_no_grid_holds(row):
                raise UnhandledStream(grid_refusal(name or type(self).__name__, kind))
        return replace_unchecked(self, pending=total)

    def realized(self) -> Self:
        """The grids with their pending motion applied; those that still lie in files are read with the first column."""
        return self if self.pending is None else self._realized

    @cached_property
    @standard_modes()
    def _realized(self) -> Self:
        values, maps = dict(self.values), self.maps
        for name, grids in values.items():
            outside = self.unknown if name == LABEL else 0
            moved = [g if m is None else m.applied(g, outside) for g, m in zip(grids, maps, strict=True)]
            values[name] = torch.stack(moved) if len(moved) else grids
        return replace(self, values=values, pending=None)

    @cached_property
    def maps(self) -> tuple[CellMap | None, ...]:
        """Per item where its cells come from; None where nothing moves."""
        if self.pending is None:
            return (None,) * len(self)
        shape = self.values[LABEL].shape[1:]
        moves = [not torch.allclose(m.detach(), EYE, rtol=0, atol=1e-12) for m in self.pending]
        return tuple(
            cell_map(shape, self.low, self.cell, m) if on else None for m, on in zip(self.pending, moves, strict=True)
        )

    @property
    def residual(self) -> float:
        """How far off the pending motion leaves what lies in a cell, metres at most."""
        return max((m.residual for m in self.maps if m is not None), default=0.0)

    @classmethod
    def concat(cls, parts: Sequence[Self], sample_index: Sequence[Tensor]) -> Self:
        """Join grids of one size; where some have a motion pending, the others get the identity."""
        sizes = {tuple(p.values[LABEL].shape[1:]) for p in parts}
        if len(sizes) > 1:
            raise DataError(f"{cls.__name__}: grids of different sizes {sorted(sizes)} cannot be in one batch")
        if any(p.pending is not None for p in parts):
            parts = [p.moved(EYE.expand(len(p), 4, 4)) if p.pending is None else p for p in parts]
        return super().concat(parts, sample_index)


def grid_refusal(name: str, kind: str) -> str:
    """Why grids cannot follow a motion of some kind."""
    return f"stream {name!r}: a grid of cells holds no {kind}; use yaw, mirrors and shifts, or leave the stream out"


def check_grids(values: Any, unknown: int, where: str) -> None:
    """Raise where columns are not grids of whole numbers of one size.

    Args:
        values: columns by name. unknown: a label that they must be able to hold. where: names them in messages.

    Raises:
        DataError: naming the column.
    """
    label = values.get(LABEL)
    if not isinstance(label, Tensor):
        raise DataError(f"{where}: a grid needs the column {LABEL!r}")
    for name, grid in values.items():
        if grid.ndim != 4 or grid.shape != label.shape or 0 in grid.shape[1:]:
            raise DataError(f"{where}: {name}: has shape {tuple(grid.shape)}, expected (n, X, Y, Z) as of every column")
        if grid.is_floating_point() or grid.is_complex():
            raise DataError(f"{where}: {name}: {grid.dtype} holds no classes; use uint8")
        if grid.dtype in (torch.uint16, torch.uint32, torch.uint64):  # of which torch can set no cell
            raise DataError(f"{where}: {name}: {grid.dtype} cannot be resampled; use uint8 or int32")
    if label.dtype == torch.bool or not torch.iinfo(label.dtype).min <= unknown <= torch.iinfo(label.dtype).max:
        raise DataError(f"{where}: {label.dtype} cannot hold unknown={unknown}; use uint8, or another number for it")
