"""Poses of frames in their parents over time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.replacing import replace_unchecked
from calib.se3 import se3, slerp


class MovingPose(ABC):
    """Pose of a frame in its parent over time. Nothing is extrapolated.

    Attributes:
        times: (k,) int64 nanoseconds, strictly increasing, at which it is known.
        kind: "known" or "joint".
    """

    times: Tensor
    kind: ClassVar[str] = "known"

    @abstractmethod
    def T_at_times(self, times: Tensor) -> Tensor:
        """Poses (n, 4, 4) at times (n,) int64 ns.

        Raises:
            CalibrationError: one of them lies outside the known times.
        """

    @abstractmethod
    def mapped(self, left: Tensor, right: Tensor) -> Self:
        """The moving pose ``left @ T(t) @ right``.

        Args:
            left, right: (4, 4) similarities; the result stays a rigid pose because their scales cancel.
        """

    def known(self) -> Tensor:
        """Poses (k, 4, 4) float64 at the known times."""
        return self.T_at_times(self.times)

    def at(self, time: int) -> Tensor:
        """Pose (4, 4) float64 at one time (ns).

        Raises:
            CalibrationError: it lies outside the known times.
        """
        return self.T_at_times(torch.tensor([time]))[0]

    def retimed(self, times: Tensor) -> Self:
        """The same poses at other times (k,)."""
        return replace(self, times=times)  # type: ignore[type-var]

    def check_inside(self, times: Tensor) -> None:
        """Raise where a time of (n,) int64 ns lies outside the known ones.

        Raises:
            CalibrationError: the first such time and the known span are named.
        """
        outside = (times < self.times[0]) | (times > self.times[-1])
        if bool(outside.any()):
            wrong, first, last = int(times[outside][0]), int(self.times[0]), int(self.times[-1])
            raise CalibrationError(f"time {wrong} ns lies outside the known poses [{first}, {last}] ns")


def check_times(times: Tensor, count: int, what: str) -> None:
    """Raise unless ``times`` are ``count`` strictly increasing int64 times.

    Raises:
        CalibrationError: they are not; ``what`` names them.
    """
    if times.ndim != 1 or len(times) != count or count == 0:
        raise CalibrationError(f"{what}: {tuple(times.shape)} times do not match {count} values")
    if times.dtype != torch.int64:
        raise CalibrationError(f"{what}: times must be int64 nanoseconds, got {times.dtype}")
    if bool((times[1:] <= times[:-1]).any()):
        raise CalibrationError(f"{what}: times must increase strictly")


@dataclass(frozen=True, eq=False)
class Trajectory(MovingPose):
    """Poses at known times, linear in position and slerp in rotation between them.

    Attributes:
        times: (k,) int64 nanoseconds, strictly increasing.
        poses: (k, 4, 4) float64, ``T_parent_frame`` at those times.
    """

    times: Tensor
    poses: Tensor

    def __post_init__(self) -> None:
        if self.poses.ndim != 3 or self.poses.shape[1:] != (4, 4):
            raise CalibrationError(f"trajectory: poses must be (k, 4, 4), got {tuple(self.poses.shape)}")
        check_times(self.times, len(self.poses), "trajectory")

    @staticmethod
    def from_unsorted(times: Tensor, poses: Tensor) -> Trajectory:
        """Sort by time and keep the first of equal times."""
        order = torch.argsort(times, stable=True)
        times, poses = times[order], poses[order]
        keep = torch.ones(len(times), dtype=torch.bool)
        keep[1:] = times[1:] != times[:-1]
        return Trajectory(times[keep], poses[keep])

    def at(self, time: int) -> Tensor:
        """Pose (4, 4) at ``time`` (ns), bit for bit the stored one at a known time.

        Raises:
            CalibrationError: it lies outside the known times.
        """
        i = int(torch.searchsorted(self.times, time))
        if i < len(self.times) and int(self.times[i]) == time:
            return self.poses[i]
        return self.T_at_times(torch.tensor([time]))[0]

    def T_at_times(self, times: Tensor) -> Tensor:
        """Poses (n, 4, 4) float64 at times (n,) int64 ns: linear in position, slerp in rotation.

        At a known time it is the stored pose itself, bit for bit.

        Raises:
            CalibrationError: a time lies outside the known ones.
        """
        self.check_inside(times)
        after = torch.searchsorted(self.times, times).clamp(max=len(self.times) - 1)
        before = torch.where(self.times[after] == times, after, after - 1)
        gap = (self.times[after] - self.times[before]).clamp(min=1).to(torch.float64)
        weight = (times - self.times[before]).to(torch.float64) / gap
        a, b = self.poses[before], self.poses[after]
        position = a[:, :3, 3] + weight[:, None] * (b[:, :3, 3] - a[:, :3, 3])
        between = se3(slerp(a[:, :3, :3], b[:, :3, :3], weight), position)
        return torch.where((before == after)[:, None, None], a, between)

    def known(self) -> Tensor:
        """The stored poses (k, 4, 4), not a copy."""
        return self.poses

    def around(self, first: int, last: int) -> Trajectory:
        """The known poses from the one before ``first`` to the one after ``last`` (ns), where there are such."""
        begin = max(0, int(torch.searchsorted(self.times, first)) - 1)
        end = int(torch.searchsorted(self.times, last, right=True)) + 1
        return replace_unchecked(self, times=self.times[begin:end], poses=self.poses[begin:end])

    def refined(self, parts: Tensor) -> Trajectory:
        """The same motion with every gap between poses cut into equal ``parts`` (k - 1,) int64, 1 or more."""
        if bool((parts <= 1).all()):
            return self
        gaps, first = self.times.diff(), parts.cumsum(0) - parts
        gap = torch.repeat_interleave(torch.arange(len(gaps)), parts)
        within = torch.arange(int(parts.sum())) - first[gap]
        times = torch.cat([self.times[gap] + gaps[gap] * within // parts[gap], self.times[-1:]])
        return replace_unchecked(self, times=times, poses=self.T_at_times(times))

    def mapped(self, left: Tensor, right: Tensor) -> Trajectory:
        """The trajectory with every pose T replaced by ``left @ T @ right``, for (4, 4) maps; the times stay."""
        return replace_unchecked(self, poses=left @ self.poses @ right)
