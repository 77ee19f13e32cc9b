"""What a mirror on the ground shows of a picture: rays followed to where they meet the picture's distances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from calib import CameraSensor
from calib.ties import nearest_whole

Array = np.ndarray
STEPS, HALVINGS = 20, 4  # along a mirrored ray, and of the step in which it meets something
LOWEST = 0.1  # metres above the ground below which nothing stands
NEARER = 0.97  # share of the ray's way below which a thing stands before the ground that mirrors


class Mirrored(NamedTuple):
    """What n places of the ground mirror.

    Attributes:
        pixel: (n, 2) canvas where the mirrored ray ends, within the canvas.
        beyond: (n,) share of the light's way from there to the camera that lies before the ground, 0 to 1.
    """

    pixel: Array
    beyond: Array


def mirrored(sensor: CameraSensor, distance: Array, up: Array, height: float, rays: Array) -> Mirrored:
    """Follow rays that the ground mirrors through a range picture.

    A point on the mirrored ray looks from the camera as (1 - x) d + x d', with d the ray to the ground, d' its mirror
    image, x from 0 at the ground to 1 far away: equal steps of x are nearly equal ones in the picture. The ray ends
    where the picture shows something nearer than it which stands beyond its last step; what stands before the ground
    does not stop it. A ray that meets nothing ends at its vanishing point, or at the canvas's rim.

    Args:
        sensor: the camera. distance: (H, W) metres along its rays.
        up: (3,) unit normal of the ground in the camera's axes. height: metres of the camera above it.
        rays: (n, 3) unit rays that meet the ground.
    """
    slope = rays @ up
    scene = _Scene(sensor, distance, up, height)
    all_rays = _Rays(rays, rays - 2 * slope[:, None] * up, height / -slope)
    last, end = np.zeros(len(rays)), np.ones(len(rays))
    going = np.arange(len(rays))
    for x in np.arange(1, STEPS + 1) / (STEPS + 1):
        if not len(going):
            break
        stops = _meets(scene, all_rays.of(going), np.full(len(going), x), last[going])
        end[going[stops]] = x
        going = going[~stops]
        last[going] = x
    met = np.flatnonzero(end < 1)
    low, high, before, some = last[met], end[met], last[met], all_rays.of(met)
    for _ in range(HALVINGS if len(met) else 0):
        middle = (low + high) / 2
        stops = _meets(scene, some, middle, before)
        low, high = np.where(stops, low, middle), np.where(stops, middle, high)
    end[met] = high
    pixel = _pixels(sensor, all_rays.at(end))
    return Mirrored(np.clip(pixel, 0, np.array(distance.shape[::-1]) - 1), end)


class _Scene(NamedTuple):
    """What the rays go through; as in ``mirrored``."""

    sensor: CameraSensor
    distance: Array
    up: Array
    height: float


class _Rays(NamedTuple):
    """Rays (n, 3) to the ground, their mirror images (n, 3), and how far the ground is, metres (n,)."""

    down: Array
    away: Array
    reach: Array

    def of(self, rows: Array) -> _Rays:
        return _Rays(self.down[rows], self.away[rows], self.reach[rows])

    def at(self, x: Array) -> Array:
        """Directions (n, 3) in which the camera sees points of the mirrored rays, not of unit length."""
        return self.down * (1 - x)[:, None] + self.away * x[:, None]


def _pixels(sensor: CameraSensor, way: Array) -> Array:
    """Canvas pixels (n, 2) of directions (n, 3), far off the canvas where the lens sees none."""
    pixel, _ = sensor.project(torch.from_numpy(way))
    return pixel.detach().nan_to_num(-1e4).numpy()


def _meets(scene: _Scene, rays: _Rays, x: Array, before: Array) -> Array:
    """Whether rays (n,) at x are behind what the picture shows there, and that stands beyond where they were before."""
    way = rays.at(x)
    u, v = nearest_whole(_pixels(scene.sensor, way)).astype(np.int64).T
    rows, columns = scene.distance.shape
    inside = (u >= 0) & (u < columns) & (v >= 0) & (v < rows)
    seen = scene.distance[np.clip(v, 0, rows - 1), np.clip(u, 0, columns - 1)]
    length = np.sqrt(np.einsum("ij,ij->i", way, way))
    share = seen * (1 - x) / (length * rays.reach)  # of the ray's own distance, which is reach length / (1 - x)
    stands = scene.height + seen * (way @ scene.up) / length > LOWEST
    # over the ground a ray comes as far as 1 / (1 - x) of the way to where it was mirrored
    return inside & stands & (share <= 1) & (share / (1 - x) >= NEARER / (1 - before))


__all__ = ["Mirrored", "mirrored"]
