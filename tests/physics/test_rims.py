"""Rims of plates, of a colour nearer to that of the wall behind than to the plate's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.completion import complete_distances
from fusion_aug.physics.rims import rim_around

pytestmark = pytest.mark.quick

SIZE, FOCAL, HORIZON = (360, 800), 600.0, 160  # cells of 2 pixels
AWAY, HEIGHT = 12.0, 1.5  # metres of the sign, and of the camera above the ground
WALL, RIM, PLATE = (104, 86, 82), (110, 40, 48), (225, 225, 220)
MIDDLE, RADIUS, INNER = (110, 402), 20, 15  # row and column; pixels
SHAPES = {
    "disc": [(RADIUS * np.cos(a), RADIUS * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 60, endpoint=False)],
    "square": [(-17, -17), (17, -17), (17, 17), (-17, 17)],
    "triangle": [(-32, -18), (32, -18), (0, 23)],
}


def sign(shape: str, ringed: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A noisy picture of a sign before a wall, and where the sign and its rim are."""
    whole, inner = (np.zeros(SIZE, np.uint8) for _ in range(2))
    outline = np.array(SHAPES[shape])
    for mask, share in ((whole, 1.0), (inner, INNER / RADIUS)):
        cv2.fillPoly(mask, [(outline * share + MIDDLE[::-1]).round().astype(np.int32)], 1)
    picture = np.full((*SIZE, 3), WALL, np.int64)
    picture[whole > 0], picture[inner > 0] = RIM if ringed else WALL, PLATE
    noise = np.random.default_rng(0).integers(-3, 4, (*SIZE, 3))
    return (picture + noise).astype(np.uint8), whole > 0, (whole > 0) & (inner == 0)


def directions() -> CellDirections:
    row = np.arange(SIZE[0] // 2)[:, None] * 2 + 0.5
    rise = np.broadcast_to((HORIZON - row) / np.hypot(FOCAL, HORIZON - row), (SIZE[0] // 2, SIZE[1] // 2))
    far = np.where(rise < -1e-3, HEIGHT / np.maximum(-rise, 1e-3), np.inf)
    return CellDirections(far, rise, np.ones(rise.shape, bool))


@pytest.mark.parametrize(("shape", "least"), [("disc", 0.95), ("square", 0.9), ("triangle", 0.7)])
def test_a_rim_without_a_point_belongs_to_its_sign(shape: str, least: float) -> None:
    picture, whole, rim = sign(shape)
    v = np.repeat(np.arange(SIZE[0])[:, None], SIZE[1], 1)
    true = np.minimum(HEIGHT * FOCAL / np.maximum(v - HORIZON, 1e-3), 40.0)
    true[whole] = AWAY
    rows, columns = (g.ravel() for g in np.mgrid[14 : SIZE[0] : 24, 6 : SIZE[1] : 12])
    assert not rim[rows, columns].any()
    pixels = np.stack([columns, rows], 1).astype(float)
    far = true[rows, columns]
    found = complete_distances(pixels, far, SIZE, picture, directions()).distance
    assert (np.abs(found[rim] / AWAY - 1) < 0.1).mean() > least
    assert (found[(v < 150) & (cv2.dilate(whole.astype(np.uint8), np.ones((5, 5))) == 0)] > 30).mean() > 0.99


@pytest.mark.parametrize("shape", SHAPES)
def test_an_outline_lies_on_the_outer_edge(shape: str) -> None:
    picture, whole, _ = sign(shape)
    outline = rim_around(picture, MIDDLE, (10, 26))
    assert outline is not None
    mask = cv2.fillPoly(np.zeros(SIZE, np.uint8), [outline.astype(np.int32)], 1) > 0
    assert (mask & whole).sum() > 0.85 * (mask | whole).sum()


def test_without_a_rim_there_is_no_outline() -> None:
    assert rim_around(sign("disc", ringed=False)[0], MIDDLE, (10, 26)) is None
    assert rim_around(np.full((*SIZE, 3), 90, np.uint8), MIDDLE, (10, 26)) is None


def test_a_ring_far_wider_than_the_points_is_no_rim() -> None:
    picture, _, _ = sign("disc")
    assert rim_around(picture, MIDDLE, (2, 12)) is None


def test_at_the_edge_of_the_picture() -> None:
    picture, _, _ = sign("disc")
    part = np.ascontiguousarray(picture[:, : MIDDLE[1] + 1])
    outline = rim_around(part, MIDDLE, (10, 26))
    assert outline is None or (outline[:, 0] < part.shape[1]).all()
