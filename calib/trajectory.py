"""Poses of frames in their parents over time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.replacing import replace_unchecked
from calib.se3 import quaternion_from_rotation, rotation_from_quaternion, se3, slerp
from calib.splines import seconds, spline

MIN_KNOT_GAP_NS = 2_000_000  # closer poses tell no velocity: their rounding would


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

    @property
    def measured_span(self) -> tuple[int, int]:
        """First and last time (ns) of what was measured; it may rest beyond them."""
        return int(self.times[0]), int(self.times[-1])

    def smooth_T_at_times(self, times: Tensor) -> Tensor:
        """Poses (n, 4, 4) at times (n,) int64 ns on a curve with continuous acceleration, for rates only.

        Raises:
            CalibrationError: one of them lies outside the known times.
        """
        return self.T_at_times(times)

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
    known = times.detach().cpu().numpy()
    if (known[1:] <= known[:-1]).any():
        raise CalibrationError(f"{what}: times must increase strictly")


@dataclass(frozen=True, eq=False)
class Trajectory(MovingPose):
    """Poses at known times, linear in position and slerp in rotation between them.

    Attributes:
        times: (k,) int64 nanoseconds, strictly increasing.
        poses: (k, 4, 4) float64, ``T_parent_frame`` at those times.
        measured: (k,) bool, False for poses that were filled in between others, or at rest beyond them; None: all
            were measured.
    """

    times: Tensor
    poses: Tensor
    measured: Tensor | None = None

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
        known = self.times.numpy()
        i = int(np.searchsorted(known, time))
        if i < len(known) and known[i] == time:
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

    @cached_property
    def _knots(self) -> Tensor:
        """Indices of the measured poses."""
        return torch.arange(len(self.times)) if self.measured is None else self.measured.nonzero()[:, 0]

    @property
    def measured_span(self) -> tuple[int, int]:
        """First and last time (ns) of a measured pose; of all where none is."""
        times = self.times[self._knots] if len(self._knots) else self.times
        return int(times[0]), int(times[-1])

    def smooth_T_at_times(self, times: Tensor) -> Tensor:
        """Poses (n, 4, 4) at times (n,) int64 ns: cubic splines of position and quaternion through the measured poses.

        Look-ups use ``T_at_times``, whose velocity jumps at every pose; this is the curve that rates are taken of.
        Quaternions are interpolated entry by entry and normalized, so the curve turns with the frames. Before the first
        measured pose and after the last it rests.

        Raises:
            CalibrationError: a time lies outside the known ones.
        """
        curve = self._curve
        if curve is None:
            return self.T_at_times(times)
        self.check_inside(times)
        times = times.clamp(*self.measured_span)
        values = torch.from_numpy(curve(seconds(times, self.times[self._knots[0]])))
        return se3(rotation_from_quaternion(values[:, 3:]), values[:, :3])

    @cached_property
    def _curve(self) -> Any:
        knots = self._knots[_apart(self.times[self._knots], MIN_KNOT_GAP_NS)]
        q = quaternion_from_rotation(self.poses[knots, :3, :3].detach())
        turned = (q[1:] * q[:-1]).sum(1, keepdim=True) < 0  # q and -q are the same rotation
        q[1:] *= 1 - 2 * (turned.cumsum(0) % 2)
        return spline(self.times[knots], torch.cat([self.poses[knots, :3, 3].detach(), q], 1))

    def known(self) -> Tensor:
        """The stored poses (k, 4, 4), not a copy."""
        return self.poses

    def around(self, first: int, last: int) -> Trajectory:
        """The known poses from a measured one before ``first`` to one after ``last`` (ns), where there are such."""
        times = self.times[self._knots]
        before, after = times[times < first][-1:], times[times > last][:1]
        begin = int(torch.searchsorted(self.times, before)) if len(before) else 0
        end = int(torch.searchsorted(self.times, after)) + 1 if len(after) else len(self.times)
        measured = None if self.measured is None else self.measured[begin:end]
        return replace_unchecked(self, times=self.times[begin:end], poses=self.poses[begin:end], measured=measured)

    def refined(self, parts: Tensor) -> Trajectory:
        """The same motion with every gap between poses cut into equal ``parts`` (k - 1,) int64, 1 or more."""
        if bool((parts <= 1).all()):
            return self
        gaps, first = self.times.diff(), parts.cumsum(0) - parts
        gap = torch.repeat_interleave(torch.arange(len(gaps)), parts)
        within = torch.arange(int(parts.sum())) - first[gap]
        times = torch.cat([self.times[gap] + gaps[gap] * within // parts[gap], self.times[-1:]])
        measured = torch.zeros(len(times), dtype=torch.bool)
        measured[torch.cat([first, parts.sum()[None]])] = True if self.measured is None else self.measured
        return replace_unchecked(self, times=times, poses=self.T_at_times(times), measured=measured)

    def mapped(self, left: Tensor, right: Tensor) -> Trajectory:
        """The trajectory with every pose T replaced by ``left @ T @ right``, for (4, 4) maps; the times stay."""
        return replace_unchecked(self, poses=left @ self.poses @ right)


def _apart(times: Tensor, gap: int) -> Tensor:
    """Indices of times (k,) int64 ns, from the first on, each ``gap`` or more after the one before."""
    if bool((times.diff() >= gap).all()):
        return torch.arange(len(times))
    kept = [0]
    while (following := int(torch.searchsorted(times, times[kept[-1]] + gap))) < len(times):
        kept.append(following)
    return torch.tensor(kept)
