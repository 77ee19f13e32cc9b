"""Kernels of snow, wet roads and what falls, against analytic results."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calib import BrownConrady, CameraSensor, Pinhole
from fusion_aug.ops.facing import below_steps, facing_up, run_lengths
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.layers import at_places, cell_middles, distance_in_cells, grid_of, overlay, to_canvas, to_cells
from fusion_aug.ops.mirror import mirrored
from fusion_aug.ops.streaks import cover, draw_streaks

SIZE, FOCAL, HEIGHT = (240, 320), 200.0, 1.5
UP = np.array([0.0, -1.0, 0.0])  # of a level camera
CAMERA = CameraSensor(frame="camera", model=Pinhole.from_focal(FOCAL, FOCAL, 159.5, 99.5, SIZE))


def rays() -> np.ndarray:
    """Unit rays (H, W, 3)."""
    return CAMERA.unproject(pixel_grid(SIZE)).numpy()


def wall_behind_a_road(wall: float) -> np.ndarray:
    """Distances (H, W) float32 of a wall across the view, and of the road before it."""
    ray = rays()
    road = np.where(ray[..., 1] > 1e-6, HEIGHT / np.maximum(ray[..., 1], 1e-6), np.inf)
    return np.minimum(wall / ray[..., 2], road).astype(np.float32)


def test_ground_faces_up_and_a_wall_does_not() -> None:
    distance = wall_behind_a_road(12.0)
    rise = facing_up(distance, rays().astype(np.float32), UP, FOCAL)
    foot = int(99.5 + FOCAL * HEIGHT / 12.0)
    assert np.abs(rise[foot + 8 : -6, 6:-6] - 1).max() < 0.01
    assert np.abs(rise[10 : foot - 8, 6:-6]).max() < 0.01


@pytest.mark.parametrize("tilt", [20.0, 50.0])
def test_a_slope_faces_up_by_the_cosine_of_its_tilt(tilt: float) -> None:
    turn = np.radians(tilt)
    normal = np.array([0.0, -np.cos(turn), -np.sin(turn)])  # it rises away from the camera
    along = rays() @ normal
    distance = np.where(along < -1e-2, -6.0 / np.minimum(along, -1e-2), 1e4).astype(np.float32)
    rise = facing_up(distance, rays().astype(np.float32), UP, FOCAL)[150:230, 20:-20]
    assert np.abs(rise - np.cos(turn)).max() < 0.02


def test_ground_faces_up_to_the_rims_of_the_canvas_and_mirrored_alike() -> None:
    distance, ray = wall_behind_a_road(12.0), rays().astype(np.float32)
    rise = facing_up(distance, ray, UP, FOCAL)
    assert np.abs(rise[-60:, :6] - 1).max() < 0.02 and np.abs(rise[-60:, -6:] - 1).max() < 0.02
    other = [np.ascontiguousarray(x[:, ::-1]) for x in (distance, ray)]
    assert np.allclose(facing_up(*other, UP, FOCAL)[:, ::-1], rise, atol=1e-4)


def test_run_lengths_count_along_rows() -> None:
    mask = np.array([[1, 1, 0, 1, 0, 1, 1, 1], [0] * 8, [1] * 8], np.uint8)
    assert run_lengths(mask).tolist() == [[2, 2, 0, 1, 0, 3, 3, 3], [0] * 8, [8] * 8]


def test_a_cap_lies_below_rims_of_things_before_something_far() -> None:
    distance = np.full((60, 80), 30.0, np.float32)
    distance[20:, 10:50] = 10.0  # a box
    distance[30:, 60:] = 28.0  # what is hardly nearer than the rest has no rim
    cap = below_steps(distance, 200.0, 0.2)
    assert (cap[20:23, 12:48] == 1).all() and (cap[:20] == 0).all() and (cap[25:] == 0).all()
    assert (cap[:, 60:] == 0).all()


def test_flat_ground_mirrors_a_wall_where_geometry_says() -> None:
    wall = 12.0
    distance, ray = wall_behind_a_road(wall), rays()
    ground = ray[140:, ::7].reshape(-1, 3)
    ground = ground[ground[:, 1] > 0.3]
    found = mirrored(CAMERA, distance, UP, HEIGHT, ground)
    reach = HEIGHT / ground[:, 1:2]
    away = ground * [1, -1, 1]
    meets = ground * reach + away * ((wall - ground[:, 2:] * reach) / away[:, 2:])
    pixel, shown = CAMERA.project(torch.from_numpy(meets))
    error = np.linalg.norm(found.pixel - pixel.numpy(), axis=1)[shown.numpy()]
    assert len(error) > 500 and error.max() < 3.0
    beyond = np.linalg.norm(meets - ground * reach, axis=1)[:, None]
    assert np.abs(found.beyond - (beyond / (beyond + reach))[:, 0])[shown.numpy()].max() < 0.02


def test_what_hangs_before_the_ground_is_not_mirrored_by_it() -> None:
    distance = wall_behind_a_road(12.0)
    ground = rays()[200, 100:220]  # 3 m away
    clear = mirrored(CAMERA, distance, UP, HEIGHT, ground)
    distance[60:90] = 1.0
    assert np.abs(mirrored(CAMERA, distance, UP, HEIGHT, ground).pixel - clear.pixel).max() < 3.0
    distance[60:90] = (7.5 / rays()[..., 2])[60:90]  # there the mirrored rays are at row 79
    assert np.abs(mirrored(CAMERA, distance, UP, HEIGHT, ground).pixel[:, 1] - 79.0).max() < 3.0


@pytest.mark.parametrize("confusion", [0.0, 2.0, 5.0, 11.0, 22.0])
def test_a_lens_spreads_a_flake_and_keeps_its_shadow(confusion: float) -> None:
    middle = np.array([[100.3, 80.6]])
    width = np.array([6.0])
    mask = draw_streaks(middle, middle, width, np.array([confusion]), (160, 200))
    assert float(mask.sum()) == pytest.approx(np.pi / 4 * 36.0, rel=0.2)
    v, u = (np.average(i, weights=mask) for i in np.mgrid[:160, :200])
    assert np.hypot(u - 100.3, v - 80.6) < 1.0
    if confusion > 4:
        assert np.abs(np.diff(mask, axis=1)).max() < 1.5 * mask.max() / min(confusion, 6.0)  # soft rims


def test_a_streak_shows_before_the_dark_and_not_before_the_sky() -> None:
    start, stop = np.array([[40.0, 30.0]]), np.array([[40.0, 60.0]])
    mask = draw_streaks(start, stop, np.array([1.0]), np.array([1.0]), (90, 80))
    light = np.full(3, 0.6)
    change = []
    for level in (30, 200):
        picture = np.full((90, 80, 3), level, np.uint8)
        change.append(int(np.abs(cover(picture, mask, light).astype(int) - level).max()))
    assert change[0] >= 6 and change[1] <= 1


def test_a_layer_covers_its_share() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (31, 45, 3), dtype=np.uint8)
    layer = np.full((16, 23, 3), 200, np.uint8)
    half = overlay(picture, layer, np.full((16, 23), 0.5))
    assert np.abs(half - (picture * 0.5 + 100.0)).max() <= 1.0
    assert np.array_equal(overlay(picture, layer, np.zeros((16, 23))), picture)


def test_cells_are_means_and_come_back_in_their_place() -> None:
    picture = np.add.outer(np.arange(22.0), 2 * np.arange(31.0)).astype(np.float32)
    coarse = to_cells(picture, grid_of(picture.shape, 4))
    assert coarse.shape == (6, 8)
    u, v = cell_middles(picture.shape, coarse.shape)[1, 2]
    assert np.isclose(coarse[1, 2], v + 2 * u, atol=0.05)
    back = to_canvas(coarse, picture.shape)
    assert back.shape == picture.shape and np.allclose(back[3:-3, 3:-3], picture[3:-3, 3:-3], atol=0.05)
    mirrored_first = to_canvas(to_cells(np.ascontiguousarray(picture[:, ::-1]), coarse.shape), picture.shape)
    assert np.allclose(mirrored_first, back[:, ::-1], atol=1e-4)


def test_distances_of_a_plane_keep_to_it_in_cells() -> None:
    distance = wall_behind_a_road(12.0)
    grid = grid_of(distance.shape, 3)
    rays_there = CAMERA.unproject(torch.from_numpy(cell_middles(distance.shape, grid))).numpy()
    place = rays_there * distance_in_cells(distance, grid)[..., None]
    road = place[..., 2] < 11.5
    assert road.sum() > 1000 and np.abs(place[road][:, 1] - HEIGHT).max() < 2e-3


def test_a_slope_keeps_its_values_between_its_places() -> None:
    plane = np.add.outer(3 * np.arange(9.0), 2 * np.arange(12.0)).astype(np.float32)
    rows, columns = np.array([0.0, 2.25, 7.9]), np.array([0.5, 3.0, 10.75, 10.8])
    expected = np.add.outer(3 * rows, 2 * columns)
    assert np.allclose(at_places(plane, rows, columns), expected, atol=1e-4)


def test_a_mirror_is_the_same_by_a_pinhole_and_by_a_lens_without_distortion() -> None:
    """A closed form follows the rays of a pinhole camera, a general one those of a lens of no distortion at all."""
    distance, ray = wall_behind_a_road(12.0), rays()
    ground = ray[140:, ::7].reshape(-1, 3)
    ground = ground[ground[:, 1] > 0.3]
    bent = BrownConrady(K=CAMERA.model.K, size=SIZE, distortion=torch.zeros(4, dtype=torch.float64))
    pinhole, general = (
        mirrored(CameraSensor(frame="camera", model=m), distance, UP, HEIGHT, ground) for m in (CAMERA.model, bent)
    )
    assert np.allclose(pinhole.pixel, general.pixel, atol=1e-6) and np.allclose(pinhole.beyond, general.beyond)
