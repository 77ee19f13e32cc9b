"""Lines cut to a rectangle and resampled, and areas on grids, against brute force."""

from __future__ import annotations

import time
from itertools import pairwise

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from fusion_aug.ops.polylines import at_even_steps, pieces_within
from fusion_aug.ops.raster import even_odd_fill, near_lines

LOW, HIGH = np.array([-3.0, -2.0]), np.array([3.0, 2.0])


def dense(line: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """Places along a line, close together."""
    parts = []
    for a, b in pairwise(line):
        n = max(2, int(np.linalg.norm(b - a) / step))
        parts.append(a + (b - a) * np.linspace(0, 1, n, endpoint=False)[:, None])
    return np.concatenate([*parts, line[-1:]])


@pytest.mark.quick
def test_even_steps_are_even() -> None:
    line = np.random.default_rng(0).normal(size=(7, 3)).cumsum(0)
    found = at_even_steps(line, 9)
    fine = dense(line, 1e-5)
    along = np.concatenate([[0], np.linalg.norm(np.diff(fine, axis=0), axis=1).cumsum()])
    expected = fine[np.searchsorted(along, np.linspace(0, along[-1], 9)).clip(max=len(fine) - 1)]
    assert np.abs(found - expected).max() < 1e-4
    assert np.array_equal(found[[0, -1]], line[[0, -1]])
    assert np.array_equal(at_even_steps(line[:1], 3), np.repeat(line[:1], 3, 0))


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(12))
def test_pieces_are_all_that_lies_within(seed: int) -> None:
    rng = np.random.default_rng(seed)
    line = np.column_stack([rng.uniform(-6, 6, (9, 2)), rng.normal(size=9)])
    line = np.concatenate([line, line[:1]]) if seed % 2 else line
    pieces = pieces_within(line, LOW, HIGH)
    inside = dense(line)
    inside = inside[((inside[:, :2] > LOW) & (inside[:, :2] < HIGH)).all(1)]
    assert len(pieces) > 0 and all(len(p) > 1 for p in pieces)
    found = np.concatenate([dense(p) for p in pieces])
    assert ((found[:, :2] >= LOW - 1e-9) & (found[:, :2] <= HIGH + 1e-9)).all()
    for a, b in ((inside, found), (found, inside)):  # each lies beside the other
        assert cKDTree(b).query(a[::53], p=np.inf)[0].max() < 3e-3
    for piece in pieces:  # it begins and ends on the border, or where the line does
        for end in (piece[0], piece[-1]):
            on_border = np.abs(np.concatenate([end[:2] - LOW, end[:2] - HIGH])).min() < 1e-9
            assert on_border or (np.abs(line - end).max(1).min() < 1e-9 and not seed % 2) or len(pieces) == 1


@pytest.mark.quick
def test_outlines_begin_anywhere() -> None:
    """An outline that begins within the rectangle is not cut there, and one that lies in it stays closed."""
    square = np.array([[0.0, 0], [9, 0], [9, 1], [0, 1], [0, 0]])
    (piece,) = pieces_within(square, LOW, HIGH)
    assert piece.tolist() == [[3, 1], [0, 1], [0, 0], [3, 0]]
    (whole,) = pieces_within(square * [0.2, 1], LOW, HIGH)
    assert np.array_equal(whole, square * [0.2, 1])
    assert pieces_within(square + 20, LOW, HIGH) == []
    assert pieces_within(np.array([[-3.0, 2], [-3, 9]]), LOW, HIGH) == []  # it touches a corner


@pytest.mark.quick
@pytest.mark.parametrize("seed", range(6))
def test_cells_of_an_area_are_those_of_which_the_centre_is_in_it(seed: int) -> None:
    """Against OpenCV's test of a point, with a hole, for every centre that does not lie on an outline."""
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 17))
    outer = 20 + rng.uniform(6, 26, 17)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    hole = 20 + rng.uniform(1, 5, 17)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    found = np.zeros((40, 45), bool)
    even_odd_fill([outer, hole], found)
    for i, j in np.ndindex(40, 45):
        off = [cv2.pointPolygonTest(o.astype(np.float32)[:, None], (float(i), float(j)), True) for o in (outer, hole)]
        if min(map(abs, off)) > 1e-3:
            assert found[i, j] == ((off[0] > 0) != (off[1] > 0)), (i, j)
    assert 100 < found.sum() < 1700


@pytest.mark.quick
def test_a_square_on_centres_has_every_cell_once() -> None:
    """Areas that share an outline which runs through centres share no cell and leave none out."""
    marks = np.zeros((8, 8), int)
    for i, j in np.ndindex(4, 4):
        square = np.array([[0.0, 0], [2, 0], [2, 2], [0, 2]]) + 2 * np.array([i, j])
        mask = np.zeros((8, 8), bool)
        even_odd_fill([square], mask)
        marks += mask
    assert (marks == 1).all()


@pytest.mark.quick
def test_cells_of_a_line_are_those_within_reach() -> None:
    line = np.random.default_rng(1).uniform(-5, 40, (6, 2))
    mask = np.zeros((30, 35), bool)
    near_lines([line], 2.3, mask)
    fine = dense(line)
    i, j = np.mgrid[0:30, 0:35]
    distance = np.min(np.hypot(i[..., None] - fine[::20, 0], j[..., None] - fine[::20, 1]), axis=-1)
    clear = np.abs(distance - 2.3) > 0.02
    assert np.array_equal(mask[clear], (distance <= 2.3)[clear]) and 50 < mask.sum() < 900


def test_many_small_areas_and_lines_on_a_large_grid_are_quick() -> None:
    """What is drawn costs by its own size, not by that of the grid: a second, not a minute."""
    rng = np.random.default_rng(3)
    mask, began = np.zeros((4000, 4000), bool), time.process_time()
    for corner in rng.uniform(-100, 4100, (500, 2)):
        even_odd_fill([corner + np.array([[0.0, 0], [3, 0], [3, 3], [0, 3]])], mask)
        near_lines([corner + rng.uniform(0, 5, (20, 2)).cumsum(0)], 0.5, mask)
        pieces_within(corner + rng.uniform(0, 5, (20, 2)).cumsum(0), np.array([1e4, 1e4]), np.array([2e4, 2e4]))
    assert time.process_time() - began < 15 and mask.sum() > 4_000
