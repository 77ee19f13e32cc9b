"""Velocity and angular velocity from poses."""

from __future__ import annotations

import torch
from torch import Tensor

MIN_GAP = 20_000_000  # ns: closer stamps would amplify the rounding of the poses


def twist_at(at: Tensor, times: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity and angular velocity in the body's own frame, by central differences of its poses.

    Args:
        at: (m,) int64 ns, each one of ``times``.
        times: (n,) int64 nanoseconds, increasing.
        poses: (n, 4, 4) ``T_world_body``.

    Returns:
        (m, 3) m/s and (m, 3) rad/s; NaN where the poses cover too short a time.
    """
    from scipy.spatial.transform import Rotation

    index = torch.searchsorted(times, at)
    before = (torch.searchsorted(times, times[index] - MIN_GAP, right=True) - 1).clamp(min=0)
    after = torch.searchsorted(times, times[index] + MIN_GAP).clamp(max=len(times) - 1)
    seconds = (times[after] - times[before]).to(torch.float64) * 1e-9
    seconds = torch.where(seconds > 1e-9 * MIN_GAP / 2, seconds, torch.full_like(seconds, float("nan")))
    R = poses[index, :3, :3]
    shift = poses[after, :3, 3] - poses[before, :3, 3]
    velocity = (R.transpose(1, 2) @ shift[..., None])[..., 0] / seconds[:, None]
    rotation = poses[before, :3, :3].transpose(1, 2) @ poses[after, :3, :3]
    angular = torch.from_numpy(Rotation.from_matrix(rotation.numpy()).as_rotvec()) if len(at) else velocity
    return velocity, angular / seconds[:, None]
