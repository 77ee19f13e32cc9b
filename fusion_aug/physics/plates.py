"""Plates: narrow things in the air, such as signs and lamps, that beams hit while others below them see far things."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.ground import ON_GROUND

Array = np.ndarray

LEAST_HEIGHT, MOST_HEIGHT = 1.0, 5.0  # metres above the ground of a plate
WIDEST, FARTHEST = 1.5, 35.0  # metres, of a plate
OTHER = 0.2  # of the logarithm of distance: what differs by more is not the same thing
BESIDE = 1  # cells to either side of a plate's point in which nothing as near may lie below it
LEAST_GAP = 2  # cells from one point to the next
LEAST_ROWS = 4  # cells below a plate that show what is behind it


class Plate(NamedTuple):
    """A narrow thing in the air, in cells.

    Attributes:
        row, end: of its points, and where its post would end. first, last: outermost columns of its points.
        gap: columns from one point to the next. value: logarithm of distance.
    """

    row: int
    end: int
    first: int
    last: int
    gap: int
    value: float


def find_plates(value: Array, known: Array, directions: CellDirections) -> list[Plate]:
    """The plates of a scan; none where the ground is not known.

    Below one the nearest points are farther, down to the ground or to what hides it.

    Args:
        value: (rows, columns) logarithm of distance of cells that hold a point (``known``). directions: of the cells.
    """
    floor, rise, _ = directions
    if floor is None or rise is None or len(rise) < 4:
        return []
    value = np.where(known, value, np.inf).astype(np.float32)
    ground = np.log(np.minimum(floor, 1e6))
    around, focal = np.ones((1, 2 * BESIDE + 1), np.uint8), cells_per_radian(rise)
    standing = cv2.erode(np.where(np.abs(value - ground) < ON_GROUND, np.float32(np.inf), value), around)
    plates: list[Plate] = []
    for row, column, foot in zip(*(a.tolist() for a in _hanging(value, ground, rise, around)), strict=True):
        own = float(value[row, column])
        if any(p.first <= column <= p.last and abs(p.value - own) < OTHER for p in plates):
            continue  # another row of a plate
        off = standing[row + 1 : foot, column] - own
        hiding = np.flatnonzero(off < -OTHER)
        off = off[: hiding[0]] if len(hiding) else off
        reach = int(np.ceil(WIDEST * focal / np.exp(own)))
        start = max(0, column - reach)
        alike = np.abs(value[max(0, row - 2) : row + 2, start : column + reach + 1] - own) < OTHER
        across = np.flatnonzero(alike.any(0)) + start
        if len(off) >= LEAST_ROWS and off.min() > OTHER and across[-1] - across[0] < reach:
            gap = int(np.diff(across).max(initial=LEAST_GAP))
            plates.append(Plate(row, row + 1 + len(off), int(across[0]), int(across[-1]), gap, own))
    return plates


def cells_per_radian(rise: Array) -> float:
    """Along the rows in the middle of the picture, by the sines (rows, columns) of the angles above the ground."""
    rows, column = len(rise) // 2, rise.shape[1] // 2
    angle = np.arcsin(np.clip(np.nan_to_num(rise[rows - 2 : rows + 2, column]), -1, 1))
    return 3 / max(float(abs(angle[0] - angle[-1])), 1e-6)


def _hanging(value: Array, ground: Array, rise: Array, around: Array) -> tuple[Array, Array, Array]:
    """Rows and columns of points in the air below which the next points are farther, and rows of the ground there."""
    near = cv2.erode(value, around)
    index = np.where(np.isfinite(near), np.arange(len(value))[:, None], len(value) - 1)
    following = np.minimum.accumulate(index[::-1])[::-1]
    rows, columns = np.isfinite(value[:-1]).nonzero()
    seen_through = near[following[rows + 1, columns], columns] - value[rows, columns] > OTHER
    seen_through &= value[rows, columns] < np.log(FARTHEST)
    rows, columns = rows[seen_through], columns[seen_through]
    far = value[rows, columns]
    foot = (ground[:, columns] > far).sum(0).clip(max=len(value) - 1)
    height = np.exp(far) * (rise[rows, columns] - rise[foot, columns])
    chosen = (foot > rows + LEAST_ROWS) & (height > LEAST_HEIGHT) & (height < MOST_HEIGHT)
    return rows[chosen], columns[chosen], foot[chosen]
