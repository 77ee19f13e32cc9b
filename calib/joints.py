"""Links that a joint moves: poses that follow from joint readings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.figures import Figure, check_figures
from calib.replacing import replace_unchecked
from calib.se3 import se3, skew
from calib.splines import seconds, spline
from calib.trajectory import MovingPose, check_times

KINDS = ("revolute", "continuous", "prismatic")
EYE = torch.eye(4, dtype=torch.float64)
Limit = Annotated[float, Figure(unit="rad or m", may_be_infinite=True)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Joint:
    """A joint that moves one link in its parent link: ``T_parent_link = origin @ motion(reading) @ tail``.

    Attributes:
        name: of the joint, which readings are found by.
        kind: "revolute", "continuous" or "prismatic".
        axis: (3,) unit vector in the joint's frame.
        origin: (4, 4) ``T_parent_joint`` at zero.
        tail: (4, 4) ``T_joint_link``; the identity in URDF.
        multiplier, bias: the joint moves by ``multiplier * reading + bias``; other than 1 and 0 for a mimic joint, or
            where the sign or zero of the log's readings differs from the description's.
        lower, upper: limits of the motion, rad or m.
        own: for a joint that mimics ``name``, its own name; a log may hold its reading too.
    """

    name: str
    kind: str
    axis: Tensor
    origin: Tensor = field(default_factory=EYE.clone)
    tail: Tensor = field(default_factory=EYE.clone)
    multiplier: Annotated[float, Figure(unit="")] = 1.0
    bias: Annotated[float, Figure(unit="rad or m")] = 0.0
    lower: Limit = -math.inf
    upper: Limit = math.inf
    own: str = ""

    def __post_init__(self) -> None:
        try:
            check_figures(self)
        except CalibrationError as error:
            raise CalibrationError(f"joint {self.name!r}: {error}") from None
        if self.lower > self.upper:
            raise CalibrationError(f"joint {self.name!r}: lower: {self.lower:g} is more than upper, {self.upper:g}")
        if self.kind not in KINDS:
            raise CalibrationError(f"joint {self.name!r}: kind: {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.axis.shape != (3,) or abs(float(torch.linalg.norm(self.axis)) - 1) > 1e-6:
            raise CalibrationError(f"joint {self.name!r}: axis: must be a unit vector, got {self.axis.tolist()}")

    @property
    def figures(self) -> tuple[object, ...]:
        """All that tells where the joint puts its link, without its limits; equal for joints that are alike."""
        found = _FIGURES.get(self)
        if found is None:
            tensors = (t.detach().numpy().tobytes() for t in (self.axis, self.origin, self.tail))
            found = _FIGURES[self] = (self.name, self.kind, self.multiplier, self.bias, self.own, *tensors)
        return found

    @property
    def is_rotary(self) -> bool:
        """Whether readings are angles."""
        return self.kind != "prismatic"

    def pose(self, reading: Tensor) -> Tensor:
        """``T_parent_link`` (..., 4, 4) of readings (...,). Differentiable."""
        moved = self.multiplier * reading + self.bias
        if not self.is_rotary:
            return self.origin @ se3(translation=moved[..., None] * self.axis) @ self.tail
        K = skew(self.axis)  # Rodrigues: I + sin K + (1 - cos) K^2
        sin, cos = torch.sin(moved)[..., None, None], torch.cos(moved)[..., None, None]
        return self.origin @ se3(torch.eye(3, dtype=torch.float64) + sin * K + (1 - cos) * (K @ K)) @ self.tail


# held beside the joints, since their fields are all that is written and compared
_FIGURES: WeakKeyDictionary[Joint, tuple[object, ...]] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False, kw_only=True)
class JointPose(MovingPose):
    """Pose of a link that follows the readings of its joint, cubic between them.

    Attributes:
        joint: the joint that moves the link.
        times: (k,) int64 nanoseconds.
        readings: (k,) float64, rad or m.
        reach: hold time, ns: how far beyond the ends the first and the last reading hold; half a step by default.
    """

    joint: Joint
    times: Tensor
    readings: Tensor
    reach: int | None = None

    kind: ClassVar[str] = "joint"

    def __post_init__(self) -> None:
        check_times(self.times, len(self.readings), f"joint {self.joint.name!r}")

    @cached_property
    def _spline(self) -> Any:
        return spline(self.times, self.readings.detach())

    def reading(self, times: Tensor) -> Tensor:
        """Readings (n,) float64 at times (n,) int64 ns, cubic between the known ones.

        The first and the last reading hold for ``effective_hold_ns`` beyond the ends.

        Raises:
            CalibrationError: a time lies further outside.
        """
        near = (times >= self.times[0] - self.effective_hold_ns) & (times <= self.times[-1] + self.effective_hold_ns)
        times = torch.where(near, times.clamp(self.times[0], self.times[-1]), times)
        self.check_inside(times)
        if self._spline is None:
            return self.readings[:1].expand(len(times))
        return torch.from_numpy(self._spline(seconds(times, self.times[0])))

    def T_at_times(self, times: Tensor) -> Tensor:
        """Poses ``T_parent_link`` (n, 4, 4) float64 at times (n,) int64 ns, from the cubic spline of the readings.

        Raises:
            CalibrationError: a time lies further beyond the known times than ``effective_hold_ns``.
        """
        return self.joint.pose(self.reading(times))

    @property
    def effective_hold_ns(self) -> int:
        """Hold time beyond the ends, ns: ``reach``, or half of the median step."""
        if self.reach is not None:
            return self.reach
        return int(self.times.diff().median()) // 2 if len(self.times) > 1 else 0

    def refined(self, step: int) -> JointPose:
        """The same motion with readings at most ``step`` ns apart, up to eight for one."""
        gaps = self.times.diff()
        parts = min(8, -(-int(gaps.median()) // step)) if len(gaps) else 1
        if parts <= 1:
            return self
        shares = torch.arange(parts) * gaps[:, None] // parts
        times = torch.cat([(self.times[:-1, None] + shares).reshape(-1), self.times[-1:]])
        return replace_unchecked(self, times=times, readings=self.reading(times), reach=self.effective_hold_ns)

    def known(self) -> Tensor:
        """Poses ``T_parent_link`` (k, 4, 4) at the recorded readings.

        Differentiable in the readings, unlike ``T_at_times``, which detaches them.
        """
        return self.joint.pose(self.readings)

    def mapped(self, left: Tensor, right: Tensor) -> JointPose:
        """The joint pose ``left @ T(t) @ right``, for similarities left and right (4, 4) whose scales cancel.

        The maps enter origin and tail of the joint. Where they scale, shifts, the readings and the limits of a
        prismatic joint grow with them, and rotations stay rotations.
        """
        origin, tail = left @ self.joint.origin, self.joint.tail @ right
        if _keeps_lengths(origin):
            return replace_unchecked(self, joint=replace_unchecked(self.joint, origin=origin, tail=tail))
        scale = torch.linalg.det(origin[:3, :3]).abs() ** (1 / 3)
        origin, tail = origin.clone(), tail.clone()
        origin[:3, :3] = origin[:3, :3] / scale
        tail[:3] = tail[:3] * scale
        joint, readings = replace(self.joint, origin=origin, tail=tail), self.readings
        if not joint.is_rotary:
            grown = {k: getattr(joint, k) * float(scale.detach()) for k in ("bias", "lower", "upper")}
            joint, readings = replace(joint, **grown), readings * scale
        return replace_unchecked(self, joint=joint, readings=readings)


def _keeps_lengths(similarity: Tensor) -> bool:
    """Whether a similarity (4, 4) has scale 1, within 1e-12: all its columns are as long as the first."""
    (x, *_), (y, *_), (z, *_), _ = similarity.tolist()
    return abs(math.hypot(x, y, z) - 1) < 1e-12
