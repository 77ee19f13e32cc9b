"""Points that a scanner sees and the camera does not are found, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.physics.visibility import hidden_points

pytestmark = pytest.mark.quick


def scan_of_two_walls(scanner: np.ndarray, right: float = 0.4, top: float = -1.0) -> tuple[np.ndarray, np.ndarray]:
    """A board 8 m away, left of ``right`` and below ``top`` (y points down), before a wall at 30 m.

    Returns:
        Points (n, 3) of a scan from ``scanner``, and how far (n,) inside the board's outline the way from the origin
        to them crosses the board: more than 0 where it hides them, metres.
    """
    azimuth, elevation = (a.ravel() for a in np.meshgrid(*(np.radians(np.arange(-20, 20, s)) for s in (0.2, 0.8))))
    rays = np.stack([np.tan(azimuth), np.tan(elevation), np.ones_like(azimuth)], 1)
    at_board = scanner + rays * (8 - scanner[2])
    board = (at_board[:, 0] < right) & (at_board[:, 1] > top)
    points = np.where(board[:, None], at_board, scanner + rays * (30 - scanner[2]))
    crossed = points * 8 / points[:, 2:]
    inside = np.minimum(right - crossed[:, 0], crossed[:, 1] - top)
    return points, np.where(board, -np.inf, inside)


@pytest.mark.parametrize("scanner", [(0.3, -0.1, 0.0), (0.0, -0.5, -0.6), (-0.3, -0.25, -0.3), (0.4, 0.3, 0.2)])
def test_what_the_scanner_sees_past_an_edge_is_hidden(scanner: tuple[float, float, float]) -> None:
    points, inside = scan_of_two_walls(np.array(scanner))
    found = hidden_points(points, [(points, np.array(scanner))])
    a_beam = 8 * np.radians(0.8)  # apart, the rings at the board
    assert (inside > a_beam).sum() > 5 and found[inside > a_beam].mean() > 0.95
    assert not found[inside < -a_beam].any()


def test_a_scanner_at_the_camera_sees_what_the_camera_sees() -> None:
    points, inside = scan_of_two_walls(np.zeros(3))
    assert not (inside > 0).any() and not hidden_points(points, [(points, np.zeros(3))]).any()


def test_what_one_lidar_measured_hides_points_of_another() -> None:
    """The second one stands where nothing hides the wall from it."""
    board, _ = scan_of_two_walls(np.zeros(3))
    board = board[board[:, 2] < 20]
    wall = np.array([[x, 0.0, 30.0] for x in (-6.0, -3.0, 3.0, 6.0)])
    beside = np.array([6.0, 0.0, 8.0])
    assert hidden_points(wall, [(board, np.zeros(3)), (wall, beside)]).tolist() == [True, True, False, False]


def test_the_way_past_a_thin_thing_is_free() -> None:
    """The camera looks past a post whose direction, from the scanner, it crosses far behind it."""
    scanner = np.array([-0.5, 0.0, 0.0])
    heights = np.linspace(-0.5, 0.5, 30)
    post = np.stack([np.full(30, 0.25), heights, np.full(30, 4.0)], 1)
    behind = np.array([[x, 0.0, 40.0] for x in (2.5, 4.0, 5.0)])  # the post's pixel, and right of it
    found = hidden_points(np.concatenate([post, behind]), [(np.concatenate([post, behind]), scanner)])
    assert found.tolist() == [False] * 30 + [True, False, False]


def test_no_points() -> None:
    assert hidden_points(np.zeros((0, 3)), [(np.zeros((0, 3)), np.zeros(3))]).shape == (0,)
