"""Typed columns moved by the numbers of motions of every item, on any device and without a look at a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from calib.rotation_forms import WIDTHS
from fusion_aug.errors import DataError
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams.columns import RULES
from fusion_aug.streams.on_device import ROW_ITEM
from fusion_aug.streams.rotations import CHANGE

RIGID = 1e-12  # from 1, of scales that are none
# where the numbers of a motion lie in a row of its table: those that most columns need come first
SHIFT, AXES, ZERO, SIGNS = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)
SCALE, SIGN = 12, 13
MATRIX, INVERSE = slice(14, 30), slice(30, 46)
BY_AXES = {"position", "polar", "direction", "axial", "length", "radial", "curvature"}  # do without the matrix
OF_BODIES = {"pose", "rotation", *WIDTHS}  # follow the motion of a body too
FORMS = {*WIDTHS, *(CHANGE + form for form in WIDTHS)}  # are worked out in float64, whatever they are


class MovedColumn(NamedTuple):
    """A column and the motions that it follows: names among those of the numbers, empty for none."""

    name: str
    kind: str
    frame: str
    body: str
    scaled: bool


class Kind(NamedTuple):
    """What is known on the host of a motion, of all items together."""

    is_rigid: bool
    keeps_axes: bool


def kind_of(motion: Motion) -> Kind:
    """Whether no item's motion scales, and whether all keep the axes but for signs and lengths."""
    return Kind(motion.is_rigid or bool(((motion.scale - 1).abs() < RIGID).all()), motion.keeps_axes)


def motion_numbers(name: str, motion: Motion, items: int) -> list[dict[str, Any]]:
    """The numbers of a motion, item by item, for ``move_rows``: a row of a table under its name.

    Args:
        name: of the motion. motion: (n) or (1) for all. items: how many.

    Raises:
        DataError: a gradient is asked of it.
    """
    if motion.matrix.requires_grad:
        raise DataError("a motion on a device carries no gradient; detach its parameters, or move before batch.to(...)")
    m, n = motion.matrix, len(motion.matrix)
    axes, scale = torch.diagonal(m, dim1=1, dim2=2)[:, :3], motion.scale[:, None]
    parts = [m[:, :3, 3], axes, m[:, 3, :3], axes / scale, scale, motion.sign[:, None]]
    table = torch.cat([*parts, m.reshape(n, 16), motion.inverse_matrix.reshape(n, 16)], 1)
    table = table + 0.0  # without a negative zero
    return [{name: row} for row in table.expand(items, table.shape[1]).numpy()]


def no_motion(names: Sequence[str]) -> dict[str, Any]:
    """The numbers of motions that move nothing."""
    return dict.fromkeys(names, motion_numbers("", Motion.identity(), 1)[0][""])


class RowMotion:
    """A motion of its own for every row, as ``RULES`` ask for it, of which nothing has to be looked at.

    It holds the first numbers of ``motion_numbers`` of every row, as many as are asked for (``_reach``), and moves a
    column by one kernel.
    """

    def __init__(self, table: Tensor, kind: Kind):
        self.table, (self.is_rigid, self.keeps_axes) = table, kind

    @property
    def matrix(self) -> Tensor:
        """(rows, 4, 4)."""
        return self.table[:, MATRIX].unflatten(1, (4, 4))

    @property
    def inverse_matrix(self) -> Tensor:
        """(rows, 4, 4)."""
        return self.table[:, INVERSE].unflatten(1, (4, 4))

    @property
    def scale(self) -> Tensor:
        """(rows,)."""
        return self.table[:, SCALE]

    @property
    def sign(self) -> Tensor:
        """(rows,) of a mirror -1."""
        return self.table[:, SIGN]

    @property
    def Q(self) -> Tensor:
        """(rows, 3, 3) the map with its scale taken out."""
        Q = self.matrix[:, :3, :3]
        return Q if self.is_rigid else Q / self.scale[:, None, None]

    def apply(self, points: Tensor) -> Tensor:
        """Points (rows, 3)."""
        if self.keeps_axes:
            return torch.addcmul(self.table[:, SHIFT], points, self.table[:, AXES])
        if torch.compiler.is_compiling():  # sums are fused, products of matrices are not
            return (self.matrix[:, :3, :3] * points[:, None]).sum(-1) + self.table[:, SHIFT]
        return torch.baddbmm(self.table[:, SHIFT, None], self.matrix[:, :3, :3], points[..., None])[..., 0]

    def rotate(self, vectors: Tensor) -> Tensor:
        """Vectors (rows, 3) rotated and mirrored, not scaled."""
        if self.keeps_axes:
            return torch.addcmul(self.table[:, ZERO], vectors, self.table[:, SIGNS])
        if torch.compiler.is_compiling():
            return (self.Q * vectors[:, None]).sum(-1)
        return torch.bmm(self.Q, vectors[..., None])[..., 0]


def move_rows(
    columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], moved: Sequence[MovedColumn],
    kinds: Sequence[tuple[str, Kind]],
) -> dict[str, Tensor]:  # fmt: skip
    """Every column by the rule of its kind (``streams.columns.RULES``).

    Args:
        columns: of a block. numbers: ``motion_numbers``, (items, ...). moved: which columns and how.
        kinds: of every motion, by name.

    Returns:
        the columns that moved.
    """
    known = dict(kinds)
    made: dict[Any, RowMotion] = {}

    def motion(name: str, dtype: torch.dtype) -> Any:
        if name and (name, dtype) not in made:
            table = numbers[name].to(dtype)[:, : _reach(name, moved, known[name])]
            made[name, dtype] = RowMotion(table.index_select(0, columns[ROW_ITEM]), known[name])
        return made.get((name, dtype))

    out = {}
    for name, kind, frame, body, scaled in moved:
        value = columns[name]
        dtype = torch.float64 if kind in FORMS else value.dtype
        turned = motion(body, dtype) if kind in OF_BODIES else None
        out[name] = RULES[kind](value, motion(frame, dtype), turned, scaled)
    return out


def _reach(name: str, moved: Sequence[MovedColumn], kind: Kind) -> int:
    """How many of a motion's numbers its rows need."""
    if any(m.body == name and m.kind in OF_BODIES for m in moved):
        return INVERSE.stop
    kinds = {m.kind for m in moved if m.frame == name}
    if not (kind.keeps_axes and kinds <= BY_AXES):
        return MATRIX.stop
    return AXES.stop if kinds == {"position"} else SIGN + 1
