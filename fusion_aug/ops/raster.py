"""Areas and lines on a grid of cells. Coordinates are in cells: the centre of cell (i, j) is at (i, j)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calib.ties import TIE


def even_odd_fill(outlines: Sequence[np.ndarray], mask: np.ndarray) -> None:
    """Set the cells whose centre lies in an area.

    A centre is in it where a ray from it crosses the outlines an odd number of times. What lies on an outline, to
    ``TIE`` of a cell, is decided as if it lay a little further along both axes.

    Args:
        outlines: (k, 2) vertices each, of the area and of its holes, without the first one again at the end.
        mask: (rows, columns) bool, which is changed.
    """
    rows, columns = [], []
    for outline in outlines:
        a, b = outline, np.roll(outline, -1, axis=0)
        # rows i with min < i + TIE <= max
        first = np.ceil(np.minimum(a[:, 0], b[:, 0]) - TIE).clip(0, mask.shape[0]).astype(np.int64)
        last = np.ceil(np.maximum(a[:, 0], b[:, 0]) - TIE).clip(0, mask.shape[0]).astype(np.int64)
        counts = last - first
        edge = np.repeat(np.arange(len(outline)), counts)
        row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        share = (row + TIE - a[edge, 0]) / (b[edge, 0] - a[edge, 0])
        crossing = a[edge, 1] + share * (b[edge, 1] - a[edge, 1])
        rows.append(row)
        columns.append(np.ceil(crossing - TIE).clip(0, mask.shape[1]).astype(np.int64))
    row, column = (np.concatenate([np.zeros(0, np.int64), *found]) for found in (rows, columns))
    if not len(row):
        return
    # every edge that crosses a row of centres turns all centres beyond the crossing from out to in or back; before the
    # first crossing and behind the last one nothing is in, so a small area costs little on a large grid
    (top, left), (bottom, right) = (row.min(), column.min()), (row.max() + 1, column.max())
    turns = np.zeros((bottom - top, right - left + 1), dtype=np.int64)
    np.add.at(turns, (row - top, column - left), 1)
    mask[top:bottom, left:right] |= np.cumsum(turns[:, :-1], axis=1) % 2 == 1


def near_lines(lines: Sequence[np.ndarray], reach: float, mask: np.ndarray) -> None:
    """Set the cells whose centre lies at most a distance from a line.

    Args:
        lines: (k, 2) vertices each. reach: in cells; ``TIE`` is added. mask: (rows, columns) bool, which is changed.
    """
    reach, shape = reach + TIE, np.array(mask.shape)
    for line in lines:
        ends = line if len(line) > 1 else np.repeat(line, 2, axis=0)
        # the cells of the rectangles around the segments
        first = np.ceil(np.minimum(ends[:-1], ends[1:]) - reach).clip(0, shape).astype(int)
        last = np.floor(np.maximum(ends[:-1], ends[1:]) + reach).clip(-1, shape - 1).astype(int) + 1
        for i in np.flatnonzero((first < last).all(1)).tolist():
            (top, left), (bottom, right), a, b = first[i], last[i], ends[i], ends[i + 1]
            rows, columns = np.ogrid[top:bottom, left:right]
            along, square = b - a, float(((b - a) ** 2).sum())
            u, v = rows - a[0], columns - a[1]
            share = ((u * along[0] + v * along[1]) / square).clip(0.0, 1.0) if square > 0 else 0.0
            off = (u - share * along[0]) ** 2 + (v - share * along[1]) ** 2
            mask[top:bottom, left:right] |= off <= reach**2
