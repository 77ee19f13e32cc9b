"""Pinhole and Brown-Conrady cameras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from calib.cameras.base import CameraModel

NEWTON_STEPS = 30


def _solve2(matrix: Tensor, right: Tensor) -> Tensor:
    """Solutions (..., 2) of 2x2 systems by Cramer's rule: much faster than a general solver on whole pictures."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    x, y = right.unbind(-1)
    return torch.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c)[..., None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pinhole(CameraModel):
    """A camera without distortion: u = fx x / z + skew y / z + cx."""

    lens = "pinhole"
    coefficients: ClassVar[tuple[int, ...]] = (0,)

    def _to_lens(self, points: Tensor) -> Tensor:
        return points[..., :2] / points[..., 2:]

    def _to_lens_jacobian(self, points: Tensor) -> Tensor:
        z = points[..., 2:]
        xy = points[..., :2] / z
        jacobian = torch.cat([torch.eye(2, dtype=points.dtype).expand(*xy.shape, 2), -xy[..., None]], -1)
        return jacobian / z[..., None]

    def _ray(self, lens: Tensor) -> Tensor:
        return torch.cat([lens, torch.ones_like(lens[..., :1])], -1)

    def valid(self, points: Tensor) -> Tensor:
        return points[..., 2] > 0

    def _mirrored_distortion(self) -> Tensor:
        return self.distortion


@dataclass(frozen=True, eq=False, kw_only=True)
class BrownConrady(Pinhole):
    """Radial, tangential and thin-prism distortion as in OpenCV's ``projectPoints``.

    Coefficients k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4]]] (Brown 1966; OpenCV calib3d, equation of the detailed
    description). Points outside the radius up to which the radial map grows are not valid: beyond it the polynomial
    folds back and would put them inside the image.
    """

    lens = "brown_conrady"
    coefficients = (4, 5, 8, 12)

    @cached_property
    def _padded(self) -> Tensor:
        return pad(self.distortion, (0, 12 - len(self.distortion)))

    def _distort(self, xy: Tensor) -> Tensor:
        """Ideal coordinates (..., 2) to distorted ones."""
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self._padded.unbind()
        x, y = xy.unbind(-1)
        r2 = x * x + y * y
        f = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
        xd = x * f + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + s2 * r2)
        yd = y * f + 2 * p2 * x * y + p1 * (r2 + 2 * y * y) + r2 * (s3 + s4 * r2)
        return torch.stack([xd, yd], -1)

    def _distort_jacobian(self, xy: Tensor) -> Tensor:
        """Derivative (..., 2, 2) of the distorted coordinates with respect to the ideal ones."""
        k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = self._padded.unbind()
        x, y = xy.unbind(-1)
        r2 = x * x + y * y
        top, bottom = 1 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        f = top / bottom
        d_top, d_bottom = k1 + r2 * (2 * k2 + r2 * 3 * k3), k4 + r2 * (2 * k5 + r2 * 3 * k6)
        df = (d_top - f * d_bottom) / bottom  # derivative by r^2
        prism_x, prism_y = 2 * (s1 + 2 * s2 * r2), 2 * (s3 + 2 * s4 * r2)
        cross = 2 * x * y * df + 2 * p1 * x + 2 * p2 * y
        j = torch.stack(
            [
                f + 2 * x * x * df + 2 * p1 * y + 6 * p2 * x + prism_x * x,
                cross + prism_x * y,
                cross + prism_y * x,
                f + 2 * y * y * df + 6 * p1 * y + 2 * p2 * x + prism_y * y,
            ],
            -1,
        )
        return j.reshape(*xy.shape, 2)

    @cached_property
    def max_radius(self) -> float:
        """Largest r = sqrt(x^2 + y^2) / z up to which the radial distortion grows."""
        k1, k2, _, _, k3, k4, k5, k6 = self._padded[:8].detach().cpu().tolist()
        top = np.polynomial.Polynomial([1.0, 0, k1, 0, k2, 0, k3])
        bottom = np.polynomial.Polynomial([1.0, 0, k4, 0, k5, 0, k6])
        r = np.polynomial.Polynomial([0.0, 1.0])
        # d/dr (r top / bottom) = 0, or the pole of the fraction, whichever comes first
        slope = (r * top).deriv() * bottom - r * top * bottom.deriv()
        roots = np.concatenate([slope.roots(), bottom.roots()])
        real = roots[(abs(roots.imag) < 1e-9) & (roots.real > 1e-9)].real
        return float(real.min()) if len(real) else float("inf")

    def _to_lens(self, points: Tensor) -> Tensor:
        return self._distort(super()._to_lens(points))

    def _to_lens_jacobian(self, points: Tensor) -> Tensor:
        return self._distort_jacobian(super()._to_lens(points)) @ super()._to_lens_jacobian(points)

    def _ray(self, lens: Tensor) -> Tensor:
        xy = lens.clone()
        for _ in range(NEWTON_STEPS):
            value, j = self._distort(xy), self._distort_jacobian(xy)
            # a damped step: never further than a tenth of the field in one go, so that wide lenses converge
            step = _solve2(j, lens - value)
            xy = xy + step * (0.3 / torch.linalg.norm(step, dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)
            if float(step.detach().abs().max()) < 1e-14:
                break
        error = (self._distort(xy) - lens).abs().amax(-1, keepdim=True)
        inside = torch.linalg.norm(xy, dim=-1, keepdim=True) <= self.max_radius
        xy = torch.where((error < 1e-9) & inside, xy, torch.full_like(xy, float("nan")))
        return super()._ray(xy)

    def valid(self, points: Tensor) -> Tensor:
        x, y, z = points.unbind(-1)
        in_front = z > 0
        if self.max_radius == float("inf"):
            return in_front
        return in_front & (x * x + y * y < (self.max_radius * z) ** 2)

    def _mirrored_distortion(self) -> Tensor:
        # tangential p2 and the thin-prism terms along x change sign with x
        sign = torch.tensor([1.0, 1, 1, -1, 1, 1, 1, 1, -1, -1, 1, 1], dtype=torch.float64)
        return self.distortion * sign[: len(self.distortion)]
