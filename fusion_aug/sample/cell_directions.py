"""Which way the cells of a completion's grid look: at the ground, above the horizon, where a scanner measured."""

from __future__ import annotations

import numpy as np

from calib import CameraSensor
from calib.ties import cell_of
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.physics.cells import CellDirections, cell_size, grid_shape
from fusion_aug.physics.ground import distance_along

Array = np.ndarray
SECTORS = 120  # of azimuth, in which a scanner has measured or not
STRAY = 2000  # points of a scan, of which one above and one below may be no part of what it swept


def cell_directions(
    sensor: CameraSensor, T_ref_cam: Array, up: Array, plane: Array | None, scans: list[tuple[Array, Array]]
) -> CellDirections:
    """Directions of the cells of a canvas.

    Args:
        sensor: the camera. T_ref_cam: (4, 4). up: (3,) in the reference frame.
        plane: (4,) of the ground in the reference frame.
        scans: points (n, 3) of each LiDAR in its own frame, and its rotation (3, 3) from the camera's.
    """
    cell, shape = cell_size(sensor.size), grid_shape(sensor.size)
    own = sensor.unproject(pixel_grid(shape) * cell + (cell - 1) / 2).numpy()
    lost, own = ~np.isfinite(own).all(-1), np.nan_to_num(own)
    rays = own @ T_ref_cam[:3, :3].T
    rise = rays @ (up if plane is None else plane[:3])
    rise[lost] = np.nan
    floor = None if plane is None else distance_along(plane, T_ref_cam[:3, 3], rays)
    scanned = np.zeros(shape, bool)
    for xyz, R in scans:
        scanned |= _within_scan(xyz, own @ R.T) & ~lost
    return CellDirections(floor, rise, scanned)


def _within_scan(xyz: Array, rays: Array) -> Array:
    """Whether rays (..., 3) lie between the lowest and the highest of a scan's points but for stray ones, in sectors
    that have points."""
    xyz = xyz[np.isfinite(xyz).all(1) & (np.abs(xyz).max(1, initial=0.0) > 0)]
    if not len(xyz):
        return np.zeros(rays.shape[:-1], bool)
    slope, of_rays = np.sort(_slope(xyz)), _slope(rays)
    stray = len(xyz) // STRAY
    seen = np.zeros(SECTORS, bool)
    seen[_sector(xyz)] = True
    out: Array = (of_rays >= slope[stray]) & (of_rays <= slope[-1 - stray]) & seen[_sector(rays)]
    return out


def _slope(xyz: Array) -> Array:
    """Tangent of the elevation."""
    return xyz[..., 2] / np.maximum(np.hypot(xyz[..., 0], xyz[..., 1]), 1e-9)


def _sector(xyz: Array) -> Array:
    turn = np.arctan2(xyz[..., 1], xyz[..., 0]) / (2 * np.pi) * SECTORS
    return cell_of(turn).astype(np.int64) % SECTORS
