"""Posts below plates that beams hit, though none hit the post."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.completion import complete_distances

pytestmark = pytest.mark.quick

SIZE, FOCAL, HORIZON = (360, 800), 600.0, 160  # cells of 2 pixels
AWAY, HEIGHT = 12.0, 1.5  # metres of the sign, and of the camera above the ground
LEFT, RIGHT = 398, 403  # columns of the post, between those of the beams


def street() -> tuple[np.ndarray, np.ndarray, CellDirections]:
    """True distances of a sign before a wall at 40 m, a noisy picture, and directions of the cells."""
    v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    floor = HEIGHT * FOCAL / np.maximum(v - HORIZON, 1e-3)
    true, level = np.minimum(floor, 40.0), np.where(floor < 40, 110, 140)
    foot = HORIZON + round(HEIGHT * FOCAL / AWAY)
    plate = np.hypot(u - 400.0, v - 110) < 18
    post = (u >= LEFT) & (u < RIGHT) & (v > 110) & (v < foot) & ~plate
    true[plate | post], level[plate], level[post] = AWAY, 220, 122
    noise = np.random.default_rng(0).integers(-3, 4, (*SIZE, 3))
    row = np.arange(SIZE[0] // 2)[:, None] * 2 + 0.5
    rise = np.broadcast_to((HORIZON - row) / np.hypot(FOCAL, HORIZON - row), (SIZE[0] // 2, SIZE[1] // 2))
    far = np.where(rise < -1e-3, HEIGHT / np.maximum(-rise, 1e-3), np.inf)
    return true, (level[..., None] + noise).astype(np.uint8), CellDirections(far, rise, np.ones(rise.shape, bool))


def completed(true: np.ndarray, picture: np.ndarray, directions: CellDirections) -> np.ndarray:
    """By beams 24 rows apart and 8 columns, none of which hits the post."""
    v, u = (g.ravel() for g in np.mgrid[12 : SIZE[0] : 24, 2 : SIZE[1] : 8])
    beside = ~((u >= LEFT) & (u < RIGHT) & (v > 130))
    pixels = np.stack([u, v], 1)[beside].astype(float)
    return complete_distances(pixels, true[v, u][beside], SIZE, picture, directions).distance


@pytest.mark.parametrize("form", [np.uint8, np.float32])
def test_the_post_of_a_sign_is_as_far_as_the_sign(form: type) -> None:
    true, picture, directions = street()
    found = completed(true, picture if form is np.uint8 else (picture / 255).astype(np.float32), directions)
    post = found[135:225, LEFT + 1 : RIGHT - 1]
    assert (np.abs(post / AWAY - 1) < 0.1).mean() > 0.95
    for beside in (found[135:180, LEFT - 8 : LEFT - 2], found[135:180, RIGHT + 2 : RIGHT + 8]):
        assert (beside > 30).mean() > 0.95


def test_without_a_strip_in_the_picture_there_is_no_post() -> None:
    true, picture, directions = street()
    picture[130:240, LEFT - 10 : RIGHT + 10] = picture[130:240, LEFT - 40 : RIGHT - 20]
    found = completed(true, picture, directions)
    assert (found[140:180, LEFT:RIGHT] > 30).mean() > 0.95


def test_where_the_ground_is_not_known_there_is_no_post() -> None:
    true, picture, directions = street()
    found = completed(true, picture, directions._replace(floor=None))
    assert (found[140:180, LEFT:RIGHT] > 1.5 * AWAY).mean() > 0.95
