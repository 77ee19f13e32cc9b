"""Where the cells of a grid look: ground, horizon, and what a scanner swept."""

from __future__ import annotations

import numpy as np
import pytest

from calib import CameraSensor, KannalaBrandt, Pinhole
from fusion_aug.physics.cells import CellDirections, grid_shape
from fusion_aug.sample.cell_directions import cell_directions

FORWARD = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # camera axes to x forward, z up
SIZE = (200, 300)


def looked(pitch_deg: float = 0.0, plane: np.ndarray | None = None, xyz: np.ndarray | None = None) -> CellDirections:
    """A camera 1.5 m above the reference frame that looks forward, tilted down by an angle."""
    a = np.radians(pitch_deg)
    T = np.eye(4)
    T[:3, :3] = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]]) @ FORWARD
    T[2, 3] = 1.5
    camera = CameraSensor(frame="c", model=Pinhole.from_focal(150.0, 150.0, 149.5, 99.5, SIZE))
    scans = [] if xyz is None else [(xyz, T[:3, :3])]
    return cell_directions(camera, T, np.array([0.0, 0, 1]), plane, scans)


@pytest.mark.quick
def test_rise_and_floor_are_those_of_a_level_plane() -> None:
    found = looked(10.0, np.array([0.0, 0, 1, 0]))
    middle = grid_shape(SIZE)[1] // 2
    v = np.arange(200)
    expected = np.sin(np.arctan2(99.5 - v, 150.0) - np.radians(10.0))
    assert np.abs(found.rise[:, middle] - expected).max() < 1e-4
    assert found.floor is not None and np.isinf(found.floor[found.rise > 0.001]).all()
    assert np.abs(found.floor[-1, middle] * -found.rise[-1, middle] - 1.5) < 1e-9
    assert looked().floor is None and not looked().scanned.any()


def test_scanned_is_what_lies_between_the_beams_and_turns_with_the_sectors() -> None:
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-90, 10.5, 1)), np.radians([-20.0, 5.0]))
    xyz = 20 * np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1
    ).reshape(-1, 3)
    xyz = np.concatenate([xyz, [[np.nan, 0, 0], [0, 0, 0]]])  # firings without a return
    found = looked(xyz=xyz)
    rays = np.arctan2(149.5 - np.arange(300), 150.0)  # azimuth of the columns on the horizon
    assert found.scanned[99, rays < np.radians(8)].all() and not found.scanned[99, rays > np.radians(14)].any()
    up = np.degrees(np.arctan2(99.5 - np.arange(200), 150.0))
    assert np.array_equal(found.scanned[:, 150], (up > -20) & (up < 5))


def test_one_stray_point_is_not_what_a_scanner_swept() -> None:
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-40, 40, 0.4)), np.radians(np.linspace(-20, 5, 20)))
    xyz = 20 * np.stack([np.cos(azimuth), np.sin(azimuth), np.tan(elevation)], -1).reshape(-1, 3)
    stray = np.concatenate([xyz, [[5.0, 0, 4.0]]])
    assert np.array_equal(looked(xyz=stray).scanned, looked(xyz=xyz).scanned)


def test_outside_a_lens_nothing_is_known() -> None:
    lens = KannalaBrandt.from_focal(40.0, 40.0, 149.5, 99.5, SIZE, [0.0, 0.0, 0.0, 0.0])
    found = cell_directions(
        CameraSensor(frame="c", model=lens), np.eye(4), np.array([0.0, -1, 0]), None, [(np.ones((9, 3)), np.eye(3))]
    )
    v, u = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    seen = np.hypot(u - 149.5, v - 99.5) / 40.0 < np.pi
    assert np.array_equal(np.isfinite(found.rise), seen) and not found.scanned[~seen].any()
