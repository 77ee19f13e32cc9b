"""Posts of signs and lamps that no beam hit: a thing that hangs in the air stands on the ground below it.

Beams are farther apart than a post is wide. But they hit the plate, and see far things below it: then a narrow upright
strip of one colour in the picture, from the plate to the ground that lies as far away as it, is its post.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.ground import ON_GROUND
from fusion_aug.physics.spread import largest

Array = np.ndarray

LEAST_HEIGHT, MOST_HEIGHT = 1.0, 5.0  # metres above the ground of a plate
WIDEST, FARTHEST = 1.5, 35.0  # metres, of a plate
MIDDLE = 0.3  # of a plate's width, to either side of its middle, within which its post stands
THICKNESS = 0.06, 0.09, 0.13  # metres, of posts
OTHER = 0.2  # of the logarithm of distance: what differs by more is not the same thing
LEAST_ROWS = 11  # cells of a post
BESIDE = 1  # cells to either side of a plate's point in which nothing as near may lie below it
CONTRAST = 8.0  # levels by which a post differs from what is left and right of it
UPRIGHT = 0.7  # share of the rows that show it
EVEN = 20.0  # levels, median deviation of its colour
SAMPLES = 40  # rows at most that are looked at


class Post(NamedTuple):
    """Rows and columns (from, to) of a picture that show a post, and the logarithm of its distance."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    value: float


class Plate(NamedTuple):
    """Row, row where its post ends, first and last column, and logarithm of distance of a thing in the air; cells."""

    row: int
    end: int
    first: int
    last: int
    value: float


def find_posts(picture: Array, value: Array, known: Array, directions: CellDirections, cell: int) -> list[Post]:
    """The posts below plates; none where the ground is not known.

    Args:
        picture: (H, W, 3) uint8. value: (rows, columns) logarithm of distance of cells that hold a point (``known``).
        directions: of the cells. cell: pixels across one.
    """
    floor, rise, _ = directions
    if floor is None or rise is None or len(rise) < 4:
        return []
    focal = _cells_per_radian(rise)
    out = []
    for plate in _plates(
        np.where(known, value, np.inf).astype(np.float32), np.log(np.minimum(floor, 1e6)), rise, focal
    ):
        pixel = float(np.exp(plate.value)) / (focal * cell)  # metres
        widths = sorted({max(2, round(t / pixel)) for t in THICKNESS})
        rows = plate.row * cell, plate.end * cell
        columns = _strip(picture, rows, (plate.first * cell, (plate.last + 1) * cell), widths)
        if columns is not None:
            out.append(Post(rows, columns, plate.value))
    return out


def _cells_per_radian(rise: Array) -> float:
    """Along the rows in the middle of the picture."""
    rows, column = len(rise) // 2, rise.shape[1] // 2
    angle = np.arcsin(np.clip(np.nan_to_num(rise[rows - 2 : rows + 2, column]), -1, 1))
    return 3 / max(float(abs(angle[0] - angle[-1])), 1e-6)


def _plates(value: Array, ground: Array, rise: Array, focal: float) -> list[Plate]:
    """Narrow things above the ground below which the nearest points are farther, down to the ground or what hides it.

    Args:
        value: infinity where no point is. ground: logarithm of distance. focal: cells per radian.
    """
    around = np.ones((1, 2 * BESIDE + 1), np.uint8)
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
    standing = cv2.erode(np.where(np.abs(value - ground) < ON_GROUND, np.float32(np.inf), value), around)
    plates: list[Plate] = []
    for row, column, own, end in zip(*(a[chosen].tolist() for a in (rows, columns, far, foot)), strict=True):
        off = standing[row + 1 : end, column] - own
        hiding = np.flatnonzero(off < -OTHER)
        off = off[: hiding[0]] if len(hiding) else off
        reach = int(np.ceil(WIDEST * focal / np.exp(own)))
        start = max(0, column - reach)
        alike = np.abs(value[max(0, row - 2) : row + 2, start : column + reach + 1] - own) < OTHER
        across = np.flatnonzero(alike.any(0)) + start
        if len(off) > LEAST_ROWS and off.min() > OTHER and across[-1] - across[0] < reach:
            plate = Plate(row, row + 1 + len(off), int(across[0]), int(across[-1]), own)
            if not any(p.first <= plate.last and plate.first <= p.last for p in plates):
                plates.append(plate)
    return plates


def _strip(
    picture: Array, rows: tuple[int, int], columns: tuple[int, int], widths: Sequence[int]
) -> tuple[int, int] | None:
    """Columns (from, to) of the clearest upright strip of one colour between two rows; None without one."""
    best, found = UPRIGHT, None
    step = -(-(rows[1] - rows[0]) // SAMPLES)
    for width in widths:
        aside = width + 1  # the pixel between may show both
        reach = max(1, round(MIDDLE * (columns[1] - columns[0]))) + width // 2 + aside
        middle = sum(columns) // 2
        left, right = max(0, middle - reach), min(picture.shape[1], middle + reach + 1)
        part = picture[rows[0] : rows[1] : step, left:right].astype(np.float32)
        if part.shape[1] < width + 2 * aside:
            continue
        mean = cv2.boxFilter(part, -1, (width, 1), anchor=(0, 0))[:, : part.shape[1] - width + 1]
        own, one, other = mean[:, aside:-aside], mean[:, : -2 * aside], mean[:, 2 * aside :]
        clear = np.minimum(largest(np.abs(own - one)), largest(np.abs(own - other))) > CONTRAST
        spread = largest(np.median(np.abs(own - np.median(own, 0)), 0))
        share = np.where(spread < EVEN, clear.mean(0), 0.0)
        if share.max() > best:
            best, at = float(share.max()), int(share.argmax())
            found = (left + aside + at, left + aside + at + width)
    return found
