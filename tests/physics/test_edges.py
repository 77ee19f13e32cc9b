"""Steps of completed distances lie where the picture has them, and things that points lie on are whole."""

from __future__ import annotations

import numpy as np
import pytest

from fusion_aug.physics.completion import complete_distances
from fusion_aug.physics.edges import nearest_points, sharpened

SIZE = (200, 800)  # cells of 2 pixels


def scan(true: np.ndarray, columns: int = 9, rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and distances of a thin scan of a depth picture."""
    v, u = (g.ravel() for g in np.mgrid[5 : true.shape[0] : rows, 4 : true.shape[1] : columns])
    return np.stack([u, v], 1).astype(float), true[v, u].astype(float)


def slanted() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A wall at 8 m that ends on a slanted line before another at 30 m: border, true distances, noisy picture."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    border = 250.3 + 0.6 * rows[:, 0]
    near = columns < border[:, None]
    noise = np.random.default_rng(0).integers(-3, 4, (*SIZE, 3))
    picture = (np.where(near, 90, 120)[..., None] + noise).astype(np.uint8)
    return border, np.where(near, 8.0, 30.0), picture


@pytest.mark.parametrize("form", [np.uint8, np.float32])
def test_a_step_lies_on_a_slanted_edge_to_the_pixel(form: type) -> None:
    border, true, picture = slanted()
    guide = picture if form is np.uint8 else picture.astype(np.float32) / 255
    pixels, far = scan(true)
    found = complete_distances(pixels, far, SIZE, guide).distance
    step = (found < 15).sum(1)
    assert np.abs(step - np.ceil(border)).max() <= 1
    coarse = complete_distances(pixels, far, SIZE, guide, refine=False).distance
    assert np.abs((coarse < 15).sum(1) - np.ceil(border)).max() > 1  # so the refinement did it
    assert (np.abs(found / true - 1) < 0.05).mean() > 0.99


def test_a_pole_with_three_points_on_it_is_whole() -> None:
    true = np.full(SIZE, 40.0)
    true[:, 400:408] = 10.0
    picture = np.where(true < 20, 60, 140)[..., None].repeat(3, 2).astype(np.uint8)
    pixels, far = scan(true)
    on = far < 20
    kept = ~on | np.isin(pixels[:, 1], [25, 105, 165])
    assert (on & kept).sum() == 3
    found = complete_distances(pixels[kept], far[kept], SIZE, picture).distance
    assert np.abs(found[:, 401:407] / 10 - 1).max() < 0.05
    assert np.abs(found[:, 390:398] / 40 - 1).max() < 0.05 and np.abs(found[:, 410:418] / 40 - 1).max() < 0.05


def test_without_a_picture_there_is_nothing_to_refine() -> None:
    _, true, _ = slanted()
    refined, coarse = (complete_distances(*scan(true), SIZE, refine=r) for r in (True, False))
    assert np.array_equal(refined.distance, coarse.distance) and np.array_equal(refined.confidence, coarse.confidence)


@pytest.mark.parametrize("size", [(48, 64), (5, 7)])
def test_one_point_and_small_pictures(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    one = np.array([[2.0, 3.0]])
    assert (nearest_points(picture, (np.array([3]), np.array([2]))) == 0).all()
    found = sharpened(np.full(size, np.log(9.0), np.float32), picture, one, np.array([9.0]))
    assert np.allclose(found, np.log(9.0))
    assert complete_distances(one, np.array([9.0]), size, picture).distance.shape == size


def test_the_ground_between_two_rings_is_no_step() -> None:
    coarse = np.log(np.linspace(40.0, 5.0, 60, dtype=np.float32))[:, None].repeat(50, 1)
    picture = np.full((60, 50, 3), 100, np.uint8)
    pixels, far = np.array([[25.0, 10.0], [25.0, 50.0]]), np.array([34.0, 11.0])
    ground = np.ones((60, 50), bool)
    assert np.array_equal(sharpened(coarse, picture, pixels, far, ground), coarse)
    assert not np.array_equal(sharpened(coarse, picture, pixels, far), coarse)
