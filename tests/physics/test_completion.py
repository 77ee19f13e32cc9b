"""Distances spread over pictures: exact where measured, edges kept, ground below, sky above."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from places import DRIVE

import fusion_aug as fa
from fusion_aug.errors import DataError
from fusion_aug.physics.cells import CellDirections
from fusion_aug.physics.completion import SKY_DISTANCE, complete_distances
from fusion_aug.sample.depth import camera_depth, ground_plane

SIZE = (240, 400)


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A dark wall at 10 m before a brighter one at 40 m: the true distances, a picture, and a thin scan of it."""
    _, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    near = (u > 120) & (u < 250)
    true = np.where(near, 10.0, 40.0).astype(np.float32)
    picture = np.where(near[..., None], 40, 110).astype(np.uint8).repeat(3, 2)
    rows, columns = np.mgrid[4 : SIZE[0] : 16, 3 : SIZE[1] : 7]
    pixels = np.stack([columns.ravel(), rows.ravel()], 1).astype(float)
    return true, picture, pixels, true[rows.ravel(), columns.ravel()].astype(float)


def test_edges_of_the_picture_hold_distances_apart() -> None:
    true, picture, pixels, far = scene()
    guided = complete_distances(pixels, far, SIZE, picture).distance
    assert np.abs(guided / true - 1).max(0)[np.r_[0:117, 124:246, 254:400]].max() < 0.02  # no halo beyond 3 pixels
    blind = complete_distances(pixels, far, SIZE).distance
    wrong = [float((np.abs(d / true - 1) > 0.2).mean()) for d in (guided, blind)]
    assert wrong[0] < 0.5 * wrong[1]


def test_confidence_is_high_at_points_and_low_far_from_them() -> None:
    _, picture, pixels, far = scene()
    left = pixels[:, 0] < 100
    found = complete_distances(pixels[left], far[left], SIZE, picture)
    u, v = pixels[left].astype(int).T
    assert found.confidence[v, u].min() > 0.9
    assert found.confidence[:, 300:].max() < 0.05
    assert found.distance.dtype == found.confidence.dtype == np.float32


def test_sky_is_far_and_the_ground_goes_on() -> None:
    sky = np.full((*SIZE, 3), (150, 190, 230), np.uint8)
    sky[100:] = 80
    rows, columns = np.mgrid[110:200:16, 3 : SIZE[1] : 7]
    pixels = np.stack([columns.ravel(), rows.ravel()], 1).astype(float)
    v = np.arange(SIZE[0])[:, None].repeat(SIZE[1], 1)
    with np.errstate(divide="ignore"):
        floor = np.where(v > 100, 300.0 / np.maximum(v - 100.0, 1e-9), np.inf)
    far = floor[rows.ravel(), columns.ravel()]
    found = complete_distances(pixels, far, SIZE, sky, CellDirections(floor)).distance
    assert (found[:90] > 0.5 * SKY_DISTANCE).all()
    assert np.abs(found[215:235] / floor[215:235] - 1).max() < 0.1  # below the last row of points
    assert (complete_distances(np.zeros((0, 2)), np.zeros(0), SIZE).distance == SKY_DISTANCE).all()


def test_what_was_worked_out_is_kept_while_it_is_asked_of_the_same_things() -> None:
    sample = fa.open_log("nuscenes", DRIVE)[3]
    first = camera_depth(sample, "CAM_FRONT", 0)
    assert camera_depth(sample, "CAM_FRONT", 0) is first and ground_plane(sample, 0) is ground_plane(sample, 0)
    fewer = sample["LIDAR_TOP"].realized()
    other = sample.with_streams({**sample.streams, "LIDAR_TOP": fewer.select(torch.arange(fewer.rows) % 2 == 0)})
    assert not np.array_equal(camera_depth(other, "CAM_FRONT", 0).distance, first.distance)


def test_a_dropped_lidar_gives_no_distance() -> None:
    """An empty cloud of a dropped LiDAR is not an empty world."""
    sample = fa.open_log("nuscenes", DRIVE)[3]
    dropped = fa.ModalityDropout(share=1.0, sensors=["LIDAR_TOP"], at_least=0)(sample, seed=1)
    with pytest.raises(DataError, match=r"needs depth.*put ModalityDropout behind it"):
        camera_depth(dropped, "CAM_FRONT", 0)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2), (1, 900)])
def test_pictures_of_one_row_or_column_are_filled(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).uniform(0, 1, (5, 2)) * (size[1] - 1, size[0] - 1)
    for picture in (None, np.full((*size, 3), 100, np.uint8), np.full((*size, 3), 0.3, np.float32)):
        found = complete_distances(pixels, np.full(5, 7.0), size, picture)
        assert found.distance.shape == size and found.distance.ravel()[0] == pytest.approx(7.0)
