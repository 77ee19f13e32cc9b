"""What a mirror on the ground shows of a picture: rays followed to where they meet the picture's distances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from calib import CameraSensor, Pinhole
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
    scene, slope = _Scene.of(sensor, distance, up, height), rays @ up
    all_rays = _Rays(scene.axes @ rays.T, slope, height / -slope)
    last, end = np.zeros(len(rays)), np.ones(len(rays))
    before: Array | float = 0.0
    going, some = np.arange(len(rays)), all_rays
    for x in np.arange(1, STEPS + 1) / (STEPS + 1):
        if not len(going):
            break
        stops = _meets(scene, some, x, before)
        met = going[stops]
        end[met], last[met] = x, before
        going, some, before = going[~stops], some.of(~stops) if len(met) else some, x
    met = np.flatnonzero(end < 1)
    low, high, before, some = last[met], end[met], last[met], all_rays.of(met)
    for _ in range(HALVINGS if len(met) else 0):
        middle = (low + high) / 2
        stops = _meets(scene, some, middle, before)
        low, high = np.where(stops, low, middle), np.where(stops, middle, high)
    end[met] = high
    pixel = np.column_stack(scene.pixels(all_rays, end))
    return Mirrored(np.clip(pixel, 0, np.array(distance.shape[::-1]) - 1), end)


class _Scene(NamedTuple):
    """What the rays go through; as in ``mirrored``.

    Attributes:
        straight: whether pixels are quotients of the coordinates along ``axes``, as a lens without distortion has it.
        axes: (3, 3) rows along which directions are given: those of the canvas, or of the camera.
    """

    sensor: CameraSensor
    distance: Array
    up: Array
    height: float
    straight: bool
    axes: Array

    @staticmethod
    def of(sensor: CameraSensor, distance: Array, up: Array, height: float) -> _Scene:
        A = sensor.A.detach()
        straight = type(sensor.model) is Pinhole and A[2].tolist() == [0.0, 0.0, 1.0]
        axes = (A @ sensor.model.K.detach()).numpy() if straight else np.eye(3)
        return _Scene(sensor, distance, up, height, straight, axes)

    def pixels(self, rays: _Rays, x: Array | float) -> tuple[Array, Array]:
        """Canvas pixels (n,) each of points of the mirrored rays, the middle of the lens where it sees none."""
        rise = rays.slope * (-2 * x)
        way = [own + rise * up for own, up in zip(rays.down, self.axes @ self.up, strict=True)]
        if not self.straight:
            pixel, _ = self.sensor.project(torch.from_numpy(np.column_stack(way)))
            u, v = pixel.detach().nan_to_num(-1e4).numpy().T
            return u, v
        behind = way[2] <= 0
        if behind.any():
            way = [np.where(behind, middle, w) for middle, w in zip(self.axes[:, 2], way, strict=True)]
        return way[0] / way[2], way[1] / way[2]


class _Rays(NamedTuple):
    """Rays to the ground (3, n) along the scene's axes, their slopes against it, and how far it is, metres, (n,)."""

    down: Array
    slope: Array
    reach: Array

    def of(self, rows: Array) -> _Rays:
        return _Rays(self.down[:, rows], self.slope[rows], self.reach[rows])


def _meets(scene: _Scene, rays: _Rays, x: Array | float, before: Array | float) -> Array:
    """Whether rays (n,) at x are behind what the picture shows there, and that stands beyond where they were before."""
    u, v = (nearest_whole(p) for p in scene.pixels(rays, x))
    rows, columns = scene.distance.shape
    inside = (u >= 0) & (u < columns) & (v >= 0) & (v < rows)
    seen = scene.distance.reshape(-1).take(np.where(inside, v * columns + u, 0).astype(np.intp))
    # d and the normal have unit length, so that (1 - x) d + x d' has this one, and rises by (1 - 2 x) of the slope
    seen = seen / np.sqrt(1 - (4 * x * (1 - x)) * rays.slope**2)
    share = seen * (1 - x) / rays.reach  # of the ray's own distance, which is reach / (1 - x) for each unit of length
    stands = scene.height + seen * rays.slope * (1 - 2 * x) > LOWEST
    # over the ground a ray comes as far as 1 / (1 - x) of the way to where it was mirrored
    return inside & stands & (share <= 1) & (share / (1 - x) >= NEARER / (1 - before))


__all__ = ["Mirrored", "mirrored"]
