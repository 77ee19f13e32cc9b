"""What surfaces are like: what lies level, where the ground is, wheel tracks on it, and grass, which is no mirror."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fusion_aug.ops.facing import facing_up
from fusion_aug.ops.layers import distance_in_cells, grid_of, to_canvas, to_cells
from fusion_aug.physics.ground import height
from fusion_aug.transforms.weather.place import T_ref_vehicle
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
FINE = 0.0016  # radians, about the size of the cells that slopes are worked out in
SLIDES, STAYS = 0.6, 0.82  # upward components of normals below which snow slides off, and above which it all stays
FOOT = 0.05, 0.004  # metres above the ground, and share of the distance, from which on what stands is no ground
APART, WIDTH = 1.56, 0.28  # metres between the middles of the tracks of a car's wheels, and their half width
KNOWN_TO = 60.0  # metres before and behind the vehicle, up to which its lane is guessed


class SurfaceCells(NamedTuple):
    """SurfaceCells that a picture shows, in cells of about ``FINE``; (h, w) each.

    Attributes:
        distance: metres. rays: (h, w, 3), in the reference frame's axes.
        level: 1 where distances say that something lies level, 0 where it is steep. above: metres above the ground.
        ground: 1 where it shows, without the feet of things, which are as near it, and upright.
        focal: cells per radian.
    """

    distance: Array
    rays: Array
    level: Array
    above: Array
    ground: Array
    focal: float

    @staticmethod
    def of(view: WeatherView) -> SurfaceCells:
        """Those of a picture whose ground is known."""
        plane = view.plane
        assert plane is not None
        grid = grid_of(view.size, max(1, round(FINE * view.focal)))
        focal, distance = view.focal * grid[1] / view.size[1], distance_in_cells(view.distance, grid)
        rays, ground = (to_cells(x, grid) for x in (view.rays, view.ground))
        rise = facing_up(distance, rays, plane[:3], focal)
        level = np.clip((rise - SLIDES) / (STAYS - SLIDES), 0, 1)
        above = height(plane, view.T_ref[:3, 3]) + distance * (rays @ plane[:3].astype(np.float32))
        on_plane = np.abs(above) < FOOT[0] + FOOT[1] * distance
        return SurfaceCells(distance, rays, level, above, ground * np.maximum(level, on_plane), focal)


def bare_ground(view: WeatherView) -> Array:
    """The ground (H, W), 1 where it shows, without the feet of things; its distances are known."""
    return np.minimum(view.ground, to_canvas(SurfaceCells.of(view).ground.astype(np.float32), view.size))


def wheel_tracks(view: WeatherView, xyz: Array) -> Array:
    """How much (H, W) places lie on the wheel tracks of the vehicle's own lane, 0 to 1, float32.

    The lane is taken to go on as the vehicle turns; other lanes are not known.

    Args:
        xyz: (H, W, 3) in the reference frame, metres, float32.
    """
    axes = T_ref_vehicle(view.call.sample, view.index)
    T = np.linalg.inv(axes)
    along, aside = (xyz @ T[i, :3].astype(np.float32) + np.float32(T[i, 3]) for i in (0, 1))
    velocity, spin = view.twist
    ahead, _, up = (view.T_ref[:3, :3].T @ axes[:3, :3]).T
    speed = float(velocity @ ahead)  # below 0 in reverse, where the same spin bends the lane to the other side
    bend = float(spin @ up) * speed / (speed * speed + 1.0)  # at walking pace it tells nothing
    off = (np.abs(aside - np.float32(bend / 2) * along * along) - np.float32(APART / 2)) / np.float32(WIDTH)
    fade = np.clip((KNOWN_TO - np.abs(along)) / (KNOWN_TO / 2), 0, 1)
    return np.exp(-np.minimum(off * off, 50)) * fade.astype(np.float32)


def greenness(picture: Array) -> Array:
    """How much green (H, W) exceeds red and blue in a picture (H, W, 3) of shares of full scale; grass from 0.02 on."""
    return np.maximum(picture[..., 1] - np.maximum(picture[..., 0], picture[..., 2]), 0)
