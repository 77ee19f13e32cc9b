"""Velocity and angular velocity from poses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

MIN_GAP = 20_000_000  # ns: closer stamps would amplify the rounding of the poses

Array = np.ndarray[Any, Any]


def neighbours(at: Array, times: Array) -> tuple[Array, Array]:
    """Which of ``times`` (n,) ns, increasing, a difference at ``at`` (m,) ns is taken of: (m,) before and (m,) after.

    They are the nearest ``MIN_GAP`` or more away, else the first and the last.
    """
    before = (np.searchsorted(times, at - MIN_GAP, side="right") - 1).clip(min=0)
    return before, np.searchsorted(times, at + MIN_GAP).clip(max=len(times) - 1)


def twist_at(at: Tensor, times: Tensor, poses: Tensor) -> tuple[Tensor, Tensor]:
    """Velocity and angular velocity in the body's own frame, by central differences of its poses.

    Args:
        at: (m,) int64 ns, each one of ``times``.
        times: (n,) int64 nanoseconds, increasing; of all only those at ``at`` and their ``neighbours`` are needed.
        poses: (n, 4, 4) ``T_world_body``.

    Returns:
        (m, 3) m/s and (m, 3) rad/s; NaN where the poses cover too short a time.
    """
    from scipy.spatial.transform import Rotation

    known = times.numpy()
    index = np.searchsorted(known, at.numpy())
    before, after = neighbours(known[index], known)
    seconds = (known[after] - known[before]) * 1e-9
    seconds = torch.from_numpy(np.where(seconds > 1e-9 * MIN_GAP / 2, seconds, np.nan))[:, None]
    here, first, last = poses[np.concatenate([index, before, after])].unflatten(0, (3, len(index)))
    velocity = (here[:, :3, :3].transpose(1, 2) @ (last - first)[:, :3, 3:])[..., 0] / seconds
    rotation = first[:, :3, :3].transpose(1, 2) @ last[:, :3, :3]
    angular = torch.from_numpy(Rotation.from_matrix(rotation.numpy()).as_rotvec()) if len(at) else velocity
    return velocity, angular / seconds
