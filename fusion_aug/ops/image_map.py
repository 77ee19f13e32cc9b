"""Image maps that are still to be applied: a short list of steps and the canvas that they lead to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import torch
from torch import Tensor

from calib.cameras import Pinhole, flip_u
from calib.sensors import CameraSensor, apply_homography
from calib.ties import TIE


class Step(Protocol):
    """One step from an old canvas to a new one, read backwards when pixels are fetched."""

    def backward(self, pixels: Tensor) -> Tensor:
        """Where on the old canvas a pixel (..., 2) of the new one comes from; NaN where from nowhere."""
        ...


@dataclass(frozen=True, eq=False)
class Homography:
    """A 3x3 step: new pixel = P [old pixel; 1]."""

    P: Tensor

    def backward(self, pixels: Tensor) -> Tensor:
        """Old pixels (..., 2) of new ones, dehom(P^-1 [u, v, 1]); P is inverted in float64 on its own device."""
        return apply_homography(torch.linalg.inv(self.P).to(pixels.device), pixels)


@dataclass(frozen=True, eq=False)
class RotatedView:
    """The view of a camera that was rotated about its centre: a map of rays, since with distortion it is no homography.

    Attributes:
        sensor: the camera with its pixel map and canvas at this step.
        R: (3, 3) rotation of the new camera in the old one's frame: old ray = R new ray.
    """

    sensor: CameraSensor
    R: Tensor

    def backward(self, pixels: Tensor) -> Tensor:
        """Old pixels (..., 2) of new ones: unproject, rotate by R, project with the same lens.

        NaN where the lens images nothing. Computed on the CPU, returned on the pixels' device.
        """
        rays = self.sensor.unproject(pixels.to("cpu")) @ self.R.T
        physical, seen = self.sensor.model.project(rays)
        old = apply_homography(self.sensor.A, physical)
        return torch.where(seen[..., None], old, torch.full_like(old, torch.nan)).to(pixels.device)


def rotated_view(sensor: CameraSensor, R: Tensor) -> Step:
    """The step of a rotated camera: a homography without distortion and with all in front, else a map of rays.

    Args:
        sensor: the camera with its pixel map and canvas.
        R: (3, 3) rotation of the new camera in the old one's frame.
    """
    full = RotatedView(sensor, R)
    if sensor.model.lens != Pinhole.lens:
        return full
    height, width = sensor.size
    corners = torch.cartesian_prod(torch.tensor([-0.5, width - 0.5]), torch.tensor([-0.5, height - 0.5])).double()
    to_pixel = sensor.A @ sensor.model.K
    # rays are linear in homogeneous pixels, so between corners in front nothing lies behind
    rays = torch.cat([corners, torch.ones(4, 1, dtype=torch.float64)], 1) @ torch.linalg.inv(to_pixel).T
    ahead = rays * torch.sign(rays[:, 2:])
    if bool((ahead @ R.T)[:, 2].min() <= 1e-3):
        return full
    return Homography(to_pixel @ R.T @ torch.linalg.inv(to_pixel))


@dataclass(frozen=True, eq=False)
class ImageMap:
    """Steps from the stored picture to the canvas.

    Attributes:
        steps: in the order they were asked for; neighbouring homographies are one.
        size: (height, width) of the canvas.
        decoded: how many times smaller than it is a file is decoded for it, where that was decided with the map; else 0
            (see ``reduced.reduction``).
    """

    steps: tuple[Step, ...]
    size: tuple[int, int]
    decoded: int = 0

    @staticmethod
    def homography(P: Tensor, size: tuple[int, int], decoded: int = 0) -> ImageMap:
        """One 3x3 step onto a canvas of ``size``."""
        return ImageMap((Homography(P),), size, decoded)

    @staticmethod
    @lru_cache(maxsize=64)
    def flip(size: tuple[int, int]) -> ImageMap:
        """Left-right flip of a canvas. Shared: do not write into it."""
        return ImageMap.homography(flip_u(size[1]), size)

    def then(self, other: ImageMap) -> ImageMap:
        """This map and then another; two homographies in a row become one.

        What was decided for the first stays where the other only moves whole pixels.
        """
        last, first, decoded = self.steps[-1], other.steps[0], other.decoded
        if self.decoded and not decoded and other.in_whole_pixels():
            decoded = self.decoded
        if isinstance(last, Homography) and isinstance(first, Homography):
            merged = Homography(first.P @ last.P)
            return ImageMap((*self.steps[:-1], merged, *other.steps[1:]), other.size, decoded)
        return ImageMap((*self.steps, *other.steps), other.size, decoded)

    def matrix(self) -> Tensor | None:
        """The 3x3 matrix where the map is one homography."""
        only = self.steps[0]
        return only.P if len(self.steps) == 1 and isinstance(only, Homography) else None

    @cached_property
    def _rows(self) -> tuple[tuple[float, float, float], ...] | None:
        """The rows of a 3x3 matrix of finite numbers over its last one; None of any other map.

        Nor of one that a gradient is asked of.
        """
        P = self.matrix()
        if P is None or P.requires_grad:
            return None
        rows = P.tolist()
        last = rows[2][2]
        if last == 0 or not all(math.isfinite(x) for row in rows for x in row):
            return None
        return tuple((a / last, b / last, c / last) for a, b, c in rows)

    @cached_property
    def affine(self) -> tuple[tuple[float, float, float], tuple[float, float, float]] | None:
        """The first two rows of a 3x3 matrix that is affine and can be inverted; None of any other map.

        Nor of one that a gradient is asked of.
        """
        if self._rows is None:
            return None
        (a, b, tu), (c, d, tv), (e, f, _) = self._rows
        return ((a, b, tu), (c, d, tv)) if e == f == 0 and abs(a * d - b * c) > TIE**2 else None

    def in_whole_pixels(self) -> tuple[int, int, int, int] | None:
        """Signs and shifts of a map that only flips and shifts by whole pixels.

        Returns:
            (su, sv, tu, tv) with u' = su u + tu and v' = sv v + tv; None if the map does anything else, or if a
            gradient is asked of it. It may be off by ``TIE`` pixels on its canvas, since products of maps that cancel,
            such as a resize and back, do so only up to the last bits.
        """
        if self._rows is None:
            return None
        (a, b, tu), (c, d, tv), (e, f, _) = self._rows
        su, sv, du, dv = round(a), round(d), round(tu), round(tv)
        if abs(su) != 1 or abs(sv) != 1:
            return None
        for u in (0, self.size[1] - 1):
            for v in (0, self.size[0] - 1):
                x, y = su * (u - du), sv * (v - dv)  # the pixel that should come to (u, v)
                w = e * x + f * y + 1
                if abs(a * x + b * y + tu - u * w) > TIE * w or abs(c * x + d * y + tv - v * w) > TIE * w:
                    return None
        return su, sv, du, dv

    def is_identity(self) -> bool:
        """Whether it moves no pixel; the canvas may still be another."""
        return self.in_whole_pixels() == (1, 1, 0, 0)

    def has_gradient(self) -> bool:
        """Whether a gradient is asked of a number in it."""
        return any(getattr(s, n).requires_grad for s in self.steps for n in ("R", "P") if hasattr(s, n))

    def backward(self, pixels: Tensor) -> Tensor:
        """Where in the stored picture a pixel (..., 2) of the canvas comes from."""
        for step in reversed(self.steps):
            pixels = step.backward(pixels)
        return pixels
