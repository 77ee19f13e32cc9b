"""Detections of a radar as columns: rays, radial velocities, rows that are added."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

Columns = dict[str, Any]
VELOCITIES = ("velocity", "velocity_comp")
NEW_FLAGS = {2: 1, 3: 3}  # is_quality_valid, ambig_state of an added detection


def rays_of(detections: Columns) -> tuple[Tensor, Tensor]:
    """Unit rays (n, 3) and distances (n,) of detections, float64."""
    xyz = detections["xyz"].to(torch.float64)
    distance = torch.linalg.norm(xyz, dim=1)
    return xyz / distance.clamp(min=1e-9)[:, None], distance


def radial(detections: Columns, column: str, rays: Tensor) -> Tensor:
    """Velocity along the ray (n,), m/s, positive when receding."""
    return (detections[column].to(torch.float64) * rays).sum(1)


def rcs_threshold(distance: Tensor, at_50_m: float | Tensor) -> Tensor:
    """Smallest cross-section (n,) that is detected at distances (n,), dBsm: returns fall with their fourth power."""
    return at_50_m + 40 * torch.log10(distance.clamp(min=0.1) / 50.0)


def rotated_about_z(rays: Tensor, angle: Tensor) -> Tensor:
    """Rays (n, 3) rotated by angles (n,), rad, about the sensor's z axis."""
    c, s = torch.cos(angle), torch.sin(angle)
    x, y, z = rays.unbind(1)
    return torch.stack([c * x - s * y, s * x + c * y, z], 1)


def appended(detections: Columns, more: Columns) -> Columns:
    """Detections with further ones appended; columns that ``more`` lacks are zero there, or empty text."""
    n, out = len(more["xyz"]), Columns()
    for k, v in detections.items():
        if isinstance(v, np.ndarray):
            out[k] = np.concatenate([v, more[k] if k in more else np.full(n, "", v.dtype)])
        else:
            out[k] = torch.cat([v, (more[k] if k in more else v.new_zeros((n, *v.shape[1:]))).to(v)])
    return out


def fresh_flags(detections: Columns, n: int) -> Tensor:
    """Flags (n, k) of added detections: valid and unambiguous."""
    flags = detections["flags"].new_zeros((n, detections["flags"].shape[1]))
    for column, value in NEW_FLAGS.items():
        if column < flags.shape[1]:
            flags[:, column] = value
    return flags


def sensor_velocity(detections: Columns) -> Tensor | None:
    """Velocity (3,) of the radar in its own frame, from what its detections were compensated by; None if unknown.

    The compensation of a detection on ray r is r . v, so v follows by least squares in the measured plane.
    """
    if "velocity" not in detections or "velocity_comp" not in detections:
        return None
    rays, _ = rays_of(detections)
    gap = radial(detections, "velocity_comp", rays) - radial(detections, "velocity", rays)
    finite = torch.isfinite(gap) & torch.isfinite(rays).all(1)
    if int(finite.sum()) < 3:
        return None
    found = torch.linalg.lstsq(rays[finite, :2].cpu(), gap[finite, None].cpu()).solution[:, 0]
    return torch.cat([found, torch.zeros(1, dtype=torch.float64)])


def velocity_of_many(rays: Tensor, gap: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """``sensor_velocity`` of many radars at once, on any device and without a look at a value.

    Args:
        rays: (n, W, 3) of the detections of each. gap: (n, W) compensated less raw velocity along them, m/s.
        there: (n, W) bool, which detections count.

    Returns:
        velocities (n, 3), of least norm where all rays lie on one line, and whether there were enough detections (n,).
    """
    there = there & torch.isfinite(gap) & torch.isfinite(rays).all(2)
    x, y = (torch.where(there, rays[..., k], 0.0) for k in (0, 1))
    gap = torch.where(there, gap, 0.0)
    xx, xy, yy = ((a * b).sum(1) for a, b in ((x, x), (x, y), (y, y)))
    xg, yg = (x * gap).sum(1), (y * gap).sum(1)
    determinant, trace = xx * yy - xy * xy, xx + yy
    on_a_line = determinant <= 1e-12 * trace * trace
    whole = torch.stack([yy * xg - xy * yg, xx * yg - xy * xg], 1) / determinant[:, None]
    found = torch.where(on_a_line[:, None], torch.stack([xg, yg], 1) / trace.clamp(min=1e-12)[:, None], whole)
    return torch.cat([found, torch.zeros_like(found[:, :1])], 1), there.sum(1) >= 3
