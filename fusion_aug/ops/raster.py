"""Areas and lines on a grid of cells. Coordinates are in cells: the centre of cell (i, j) is at (i, j)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from calib.ties import TIE


def even_odd_fill(outlines: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Which cells have their centre in an area.

    A centre is in it where a ray from it crosses the outlines an odd number of times. What lies on an outline, to
    ``TIE`` of a cell, is decided as if it lay a little further along both axes.

    Args:
        outlines: (k, 2) vertices each, of the area and of its holes, without the first one again at the end.
        shape: rows and columns of the grid.

    Returns:
        (rows, columns) bool.
    """
    # every edge that crosses a row of centres turns all centres beyond the crossing from out to in or back
    turns = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    for outline in outlines:
        a, b = outline, np.roll(outline, -1, axis=0)
        # rows i with min < i + TIE <= max
        first = np.ceil(np.minimum(a[:, 0], b[:, 0]) - TIE).clip(0, shape[0]).astype(np.int64)
        last = np.ceil(np.maximum(a[:, 0], b[:, 0]) - TIE).clip(0, shape[0]).astype(np.int64)
        counts = last - first
        edge = np.repeat(np.arange(len(outline)), counts)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        share = (row + TIE - a[edge, 0]) / (b[edge, 0] - a[edge, 0])
        crossing = a[edge, 1] + share * (b[edge, 1] - a[edge, 1])
        column = np.ceil(crossing - TIE).clip(0, shape[1]).astype(np.int64)
        np.add.at(turns, (row, column), 1)
    inside: np.ndarray = np.cumsum(turns[:, :-1], axis=1) % 2 == 1
    return inside


def near_lines(lines: Sequence[np.ndarray], reach: float, mask: np.ndarray) -> None:
    """Set the cells whose centre lies at most a distance from a line.

    Args:
        lines: (k, 2) vertices each. reach: in cells; ``TIE`` is added. mask: (rows, columns) bool, which is changed.
    """
    reach = reach + TIE
    for line in lines:
        for a, b in pairwise(line if len(line) > 1 else np.repeat(line, 2, axis=0)):
            # the cells of the rectangle around a segment
            first = np.ceil(np.minimum(a, b) - reach).clip(0, mask.shape).astype(int)
            last = np.floor(np.maximum(a, b) + reach).clip(-1, np.array(mask.shape) - 1).astype(int) + 1
            if (first >= last).any():
                continue
            rows, columns = np.ogrid[first[0] : last[0], first[1] : last[1]]
            along, square = b - a, float(((b - a) ** 2).sum())
            u, v = rows - a[0], columns - a[1]
            share = ((u * along[0] + v * along[1]) / square).clip(0.0, 1.0) if square > 0 else 0.0
            off = (u - share * along[0]) ** 2 + (v - share * along[1]) ** 2
            mask[first[0] : last[0], first[1] : last[1]] |= off <= reach**2
