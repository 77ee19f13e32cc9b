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
from fusion_aug.physics.plates import Plate, cells_per_radian
from fusion_aug.physics.spread import largest

Array = np.ndarray

MIDDLE = 0.3  # of a plate's width, to either side of its middle, within which its post stands
THICKNESS = 0.06, 0.09, 0.13  # metres, of posts
LEAST_ROWS = 11  # cells of a post
CONTRAST = 8.0  # levels by which a post differs from what is left and right of it
UPRIGHT = 0.7  # share of the rows that show it
EVEN = 20.0  # levels, median deviation of its colour
SAMPLES = 40  # rows at most that are looked at


class Post(NamedTuple):
    """Rows and columns (from, to) of a picture that show a post, and the logarithm of its distance."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    value: float


def find_posts(picture: Array, plates: Sequence[Plate], directions: CellDirections, cell: int) -> list[Post]:
    """The posts below plates, the uppermost first; what hangs below another thing has none.

    Args:
        picture: (H, W, 3) uint8. directions: of the cells that plates were found in. cell: pixels across one.
    """
    if directions.rise is None:
        return []
    focal, out = cells_per_radian(directions.rise), []
    for number, plate in enumerate(plates):
        under_another = any(p.first <= plate.last and plate.first <= p.last for p in plates[:number])
        if under_another or plate.end <= plate.row + LEAST_ROWS:
            continue
        pixel = float(np.exp(plate.value)) / (focal * cell)  # metres
        widths = sorted({max(2, round(t / pixel)) for t in THICKNESS})
        rows = plate.row * cell, plate.end * cell
        columns = _strip(picture, rows, (plate.first * cell, (plate.last + 1) * cell), widths)
        if columns is not None:
            out.append(Post(rows, columns, plate.value))
    return out


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
