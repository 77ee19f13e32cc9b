"""Velocity and angular velocity from poses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3_arrays import product, rotvec_from_rotation

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
    known, T = times.numpy(), poses.numpy()
    index = np.searchsorted(known, at.numpy())
    before, after = neighbours(known[index], known)
    seconds = (known[after] - known[before]) * 1e-9
    seconds = np.where(seconds > 1e-9 * MIN_GAP / 2, seconds, np.nan)[:, None]
    first, last, R_back = T[before], T[after], T[:, :3, :3].swapaxes(1, 2)
    velocity = product(R_back[index], (last - first)[:, :3, 3:])[..., 0]
    angular = rotvec_from_rotation(product(R_back[before], last[:, :3, :3]))
    return torch.from_numpy(velocity / seconds), torch.from_numpy(angular / seconds)
