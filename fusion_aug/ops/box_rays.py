"""Rays that meet a box."""

from __future__ import annotations

import torch
from torch import Tensor

SLACK = 1e-6  # of the box's size, by which a ray has to pass through it


def rays_meet_box(start: Tensor, way: Tensor, T_box: Tensor, size: Tensor) -> Tensor:
    """Whether half-lines pass through a box; a start inside counts.

    Args:
        start: (..., 3) metres, or one (3,) for all. way: (..., 3) of any length; NaN meets nothing.
        T_box: (4, 4) pose of the box in the same frame. size: (3,) lengths along its own axes, metres.

    Returns:
        (...,) bool.
    """
    R = T_box[:3, :3]
    here, along = (start - T_box[:3, 3]) @ R, way @ R
    tiny = along.abs() < 1e-12
    along = torch.where(tiny, torch.full_like(along, 1e-12), along)
    a, b = (-size / 2 - here) / along, (size / 2 - here) / along
    enter, leave = torch.minimum(a, b).amax(-1).clamp(min=0.0), torch.maximum(a, b).amin(-1)
    length: Tensor = along.norm(dim=-1)
    return (leave - enter) * length > SLACK * float(size.norm())


def box_grid(T_box: Tensor, size: Tensor, steps: int) -> Tensor:
    """(steps^3, 3) places of an even grid in a box, its surface included."""
    line = torch.linspace(-0.5, 0.5, steps, dtype=torch.float64)
    grid: Tensor = torch.cartesian_prod(line, line, line) * size
    return grid @ T_box[:3, :3].T + T_box[:3, 3]
