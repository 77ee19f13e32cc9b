"""Kannala-Brandt fisheye camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from calib.cameras.base import CameraModel


@dataclass(frozen=True, eq=False, kw_only=True)
class KannalaBrandt(CameraModel):
    """Equidistant fisheye, r = theta + k1 theta^3 + k2 theta^5 + k3 theta^7 + k4 theta^9.

    (Kannala and Brandt 2006, as in OpenCV's ``fisheye`` module.) It sees past 90 degrees off its axis, up to
    ``limit_angle``: pi, or where the polynomial stops growing.
    """

    lens = "kannala_brandt"
    coefficients = (4,)

    def _polynomial(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        k1, k2, k3, k4 = self.distortion.unbind()
        t2 = theta * theta
        r = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
        slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
        return r, slope

    @cached_property
    def limit_angle(self) -> float:
        """Largest angle off the optical axis, radians, that the lens images."""
        k1, k2, k3, k4 = self.distortion.detach().cpu().tolist()
        roots = np.polynomial.Polynomial([1.0, 0, 3 * k1, 0, 5 * k2, 0, 7 * k3, 0, 9 * k4]).roots()
        real = roots[(abs(roots.imag) < 1e-9) & (roots.real > 1e-9)].real
        return min(math.pi, float(real.min())) if len(real) else math.pi

    def _to_lens(self, points: Tensor) -> Tensor:
        x, y, z = points.unbind(-1)
        rho = torch.sqrt((x * x + y * y).clamp(min=1e-30))
        r, _ = self._polynomial(torch.atan2(rho, z))
        return points[..., :2] * torch.where(rho < 1e-12, 1 / z, r / rho)[..., None]

    def _to_lens_jacobian(self, points: Tensor) -> Tensor:
        x, y, z = points.unbind(-1)
        rho2 = x * x + y * y
        rho = torch.sqrt(rho2.clamp(min=1e-30))
        theta = torch.atan2(rho, z)
        r, slope = self._polynomial(theta)
        on_axis = rho < 1e-12
        ratio = torch.where(on_axis, 1 / z, r / rho)
        # d ratio / d(x, y, z), with d theta / d rho = z / R^2 and d theta / d z = -rho / R^2
        norm2 = rho2 + z * z
        d_rho = torch.where(on_axis, torch.zeros_like(rho), (slope * z / norm2 - ratio) / rho)
        d_z = torch.where(on_axis, -1 / (z * z), -slope / norm2)
        unit = torch.where(on_axis[..., None], torch.zeros_like(points[..., :2]), points[..., :2] / rho[..., None])
        gradient = torch.cat([d_rho[..., None] * unit, d_z[..., None]], -1)
        scaled = torch.cat([torch.eye(2, dtype=points.dtype), torch.zeros(2, 1, dtype=points.dtype)], -1)
        return ratio[..., None, None] * scaled + points[..., :2, None] * gradient[..., None, :]

    def _ray(self, lens: Tensor) -> Tensor:
        r = torch.linalg.norm(lens, dim=-1)
        theta = r.clamp(max=self.limit_angle)
        for _ in range(50):
            value, slope = self._polynomial(theta)
            step = (r - value) / slope.clamp(min=1e-3)
            theta = (theta + step.clamp(-0.2, 0.2)).clamp(0, self.limit_angle)
            if float(step.detach().abs().max()) < 1e-15:
                break
        missed = (self._polynomial(theta)[0] - r).abs() > 1e-9
        theta = torch.where(missed, torch.full_like(theta, float("nan")), theta)
        ratio = torch.where(r < 1e-12, torch.ones_like(r), torch.sin(theta) / r.clamp(min=1e-30))
        ray: Tensor = torch.cat([lens * ratio[..., None], torch.cos(theta)[..., None]], -1)
        return ray

    def valid(self, points: Tensor) -> Tensor:
        rho = torch.linalg.norm(points[..., :2], dim=-1)
        seen: Tensor = (torch.atan2(rho, points[..., 2]) < self.limit_angle) & ((rho > 0) | (points[..., 2] > 0))
        return seen

    def _mirrored_distortion(self) -> Tensor:
        return self.distortion
