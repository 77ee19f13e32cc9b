"""Returns that hide one another, by cells of beams."""

from __future__ import annotations

import numpy as np

Array = np.ndarray
DIGITS = 6  # metres are rounded, so that no last bit decides


def nearest_in(cells: Array, ranges: Array, count: int) -> Array:
    """(count,) metres, the nearest return of every cell; infinity where there is none.

    Args:
        cells: (n,) numbers of cells. ranges: (n,) metres.
    """
    out = np.full(count, np.inf)
    np.minimum.at(out, cells, np.round(ranges, DIGITS))
    return out


def shadow(ring: Array, column: Array, ranges: Array, seen_through: Array, shape: tuple[int, int]) -> Array:
    """(rings, columns) metres: from where on an object hides the beams between its outermost returns of each ring.

    Args:
        ring, column, ranges: (n,) of the object's returns. seen_through: (rings, columns) bool, cells whose beam was
            seen to pass by it, as through a window. shape: rings and columns.

    Returns:
        the distance of the object, infinity where it hides nothing.
    """
    out = np.full(shape, np.inf)
    for number in np.unique(ring):
        own = ring == number
        near = np.round(ranges[own].min(), DIGITS)
        found = np.unique(column[own])
        gaps = np.diff(np.append(found, found[0] + shape[1]))
        widest = int(gaps.argmax())
        start, width = found[(widest + 1) % len(found)], shape[1] - gaps[widest] + 1
        out[number, (start + np.arange(width)) % shape[1]] = near
    out[seen_through] = np.inf
    np.minimum.at(out, (ring, column), np.round(ranges, DIGITS))
    return out
