"""Lines of vertices: places along them, and what of them lies in a rectangle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def at_even_steps(line: np.ndarray, count: int) -> np.ndarray:
    """Places that are evenly spaced by length along a line, with its ends.

    Args:
        line: (k, d) vertices, k >= 1; of a closed outline with its first vertex again at the end.
        count: how many, at least 2.

    Returns:
        (count, d) float64. A line without length gives its first vertex, over and over.
    """
    line = np.asarray(line, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    wanted = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(wanted, along, line[:, i]) for i in range(line.shape[1])], axis=1)


def pieces_within(line: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """The pieces of a line whose x and y lie within a rectangle, with vertices where it enters and leaves.

    Args:
        line: (k, d) vertices with x and y first; of a closed outline with its first vertex again at the end.
        low, high: (2,) least and largest x and y; the border belongs to it.

    Returns:
        (j, d) float64 each, j >= 2, in the order and direction of the line. The last piece of a closed outline and its
        first one are one piece where the outline begins within the rectangle; an outline that lies in it as a whole is
        one piece that ends where it begins.
    """
    line = np.asarray(line, dtype=np.float64)
    xy = line[:, :2]
    if len(line) < 2 or (xy.max(0) < low).any() or (xy.min(0) > high).any():
        return []
    if len(line) > 2 and (xy >= low).all() and (xy <= high).all():
        return [line.copy()]
    pieces: list[list[np.ndarray]] = []
    goes_on = False
    for a, b in pairwise(line):
        inside = _shares_within(a[:2], b[:2], low, high)
        if inside is None:
            goes_on = False
            continue
        first, last = inside
        start, stop = (a if first == 0.0 else a + first * (b - a)), (b if last == 1.0 else a + last * (b - a))
        if goes_on and first == 0.0:
            pieces[-1].append(stop)
        else:
            pieces.append([start, stop])
        goes_on = last == 1.0
    is_closed = len(line) > 2 and np.array_equal(line[0], line[-1])
    if is_closed and len(pieces) > 1 and goes_on and np.array_equal(pieces[0][0], line[0]):
        pieces[0] = pieces.pop() + pieces[0][1:]
    return [np.array(p) for p in pieces if len(p) > 2 or not np.array_equal(p[0], p[1])]


def _shares_within(a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float] | None:
    """From which to which share of a segment it lies in a rectangle (Liang and Barsky 1984); None where nowhere."""
    first, last = 0.0, 1.0
    for start, step, least, most in zip(a, b - a, low, high, strict=True):
        if step == 0.0:
            if not least <= start <= most:
                return None
            continue
        enters, leaves = sorted(((least - start) / step, (most - start) / step))
        first, last = max(first, float(enters)), min(last, float(leaves))
    return (first, last) if first <= last else None
