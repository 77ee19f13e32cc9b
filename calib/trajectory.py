"""Poses over time: what moves a frame in its parent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from calib.changed import changed
from calib.errors import CalibrationError
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
    def along(self, times: Tensor) -> Tensor:
        """Poses (n, 4, 4) at times (n,) int64 ns.

        Raises:
            CalibrationError: one of them lies outside the known times.
        """

    @abstractmethod
    def mapped(self, left: Tensor, right: Tensor) -> Self:
        """The moving pose ``left @ T(t) @ right``."""

    def known(self) -> Tensor:
        """(k, 4, 4) at the known times."""
        return self.along(self.times)

    def at(self, time: int) -> Tensor:
        """Pose (4, 4) at one time (ns)."""
        return self.along(torch.tensor([time]))[0]

    def retimed(self, times: Tensor) -> Self:
        """The same poses at other times (k,)."""
        return replace(self, times=times)  # type: ignore[type-var]

    def check_inside(self, times: Tensor) -> None:
        """Raise where a time lies outside the known ones."""
        outside = (times < self.times[0]) | (times > self.times[-1])
        if bool(outside.any()):
            wrong, first, last = int(times[outside][0]), int(self.times[0]), int(self.times[-1])
            raise CalibrationError(f"time {wrong} ns lies outside the known poses [{first}, {last}] ns")


def check_times(times: Tensor, count: int, what: str) -> None:
    """Raise unless ``times`` are ``count`` int64 stamps that increase strictly.

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
        """Sort by time and keep the first of equal stamps."""
        order = torch.argsort(times, stable=True)
        times, poses = times[order], poses[order]
        keep = torch.ones(len(times), dtype=torch.bool)
        keep[1:] = times[1:] != times[:-1]
        return Trajectory(times[keep], poses[keep])

    def at(self, time: int) -> Tensor:
        """Pose (4, 4) at ``time`` (ns): exact at a known stamp."""
        i = int(torch.searchsorted(self.times, time))
        if i < len(self.times) and int(self.times[i]) == time:
            return self.poses[i]
        return self.along(torch.tensor([time]))[0]

    def along(self, times: Tensor) -> Tensor:
        """See ``MovingPose``; exact at known stamps."""
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
        """See ``MovingPose``."""
        return self.poses

    def refined(self, parts: Tensor) -> Trajectory:
        """The same motion with every gap between poses cut into equal ``parts`` (k - 1,) int64, 1 or more."""
        if bool((parts <= 1).all()):
            return self
        gaps, first = self.times.diff(), parts.cumsum(0) - parts
        gap = torch.repeat_interleave(torch.arange(len(gaps)), parts)
        within = torch.arange(int(parts.sum())) - first[gap]
        times = torch.cat([self.times[gap] + gaps[gap] * within // parts[gap], self.times[-1:]])
        return changed(self, times=times, poses=self.along(times))

    def mapped(self, left: Tensor, right: Tensor) -> Trajectory:
        """See ``MovingPose``."""
        return changed(self, poses=left @ self.poses @ right)
