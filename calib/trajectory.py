"""A pose over time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.se3 import se3, slerp


@dataclass(frozen=True)
class Trajectory:
    """Poses of one frame in its parent at known times.

    Attributes:
        times: (k,) int64 nanoseconds, strictly increasing.
        poses: (k, 4, 4) float64, ``T_parent_frame`` at those times.
    """

    times: Tensor
    poses: Tensor

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or self.poses.shape != (len(self.times), 4, 4) or len(self.times) == 0:
            raise CalibrationError(
                f"trajectory: times {tuple(self.times.shape)} and poses {tuple(self.poses.shape)} do not match"
            )
        if self.times.dtype != torch.int64:
            raise CalibrationError(f"trajectory: times must be int64 nanoseconds, got {self.times.dtype}")
        if bool((self.times[1:] <= self.times[:-1]).any()):
            raise CalibrationError("trajectory: times must increase strictly")

    @staticmethod
    def from_unsorted(times: Tensor, poses: Tensor) -> Trajectory:
        """Sort by time and keep the first of equal stamps."""
        order = torch.argsort(times, stable=True)
        times, poses = times[order], poses[order]
        keep = torch.ones(len(times), dtype=torch.bool)
        keep[1:] = times[1:] != times[:-1]
        return Trajectory(times[keep], poses[keep])

    def at(self, time: int) -> Tensor:
        """Pose (4, 4) at ``time`` (ns): exact at a known stamp, else linear in position and slerp in rotation.

        Raises:
            CalibrationError: ``time`` lies outside the trajectory; nothing is extrapolated.
        """
        i = int(torch.searchsorted(self.times, time))
        if i < len(self.times) and int(self.times[i]) == time:
            return self.poses[i]
        if i == 0 or i == len(self.times):
            first, last = int(self.times[0]), int(self.times[-1])
            raise CalibrationError(f"time {time} ns lies outside the known poses [{first}, {last}] ns")
        t0 = self.times[i - 1]
        weight = (time - t0).to(torch.float64) / (self.times[i] - t0).to(torch.float64)
        a, b = self.poses[i - 1], self.poses[i]
        position = a[:3, 3] + weight * (b[:3, 3] - a[:3, 3])
        return se3(slerp(a[:3, :3], b[:3, :3], weight), position)

    def mapped(self, left: Tensor, right: Tensor) -> Trajectory:
        """The trajectory ``left @ T(t) @ right``."""
        return replace(self, poses=left @ self.poses @ right)
