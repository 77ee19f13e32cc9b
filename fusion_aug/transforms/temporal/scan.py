"""LiDAR points within a sweep, which are measured one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.se3 import rotation_from_rotvec
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.sample.ego import frame_twist
from fusion_aug.streams import Lidar, Points
from fusion_aug.streams.families import Temporal
from fusion_aug.streams.meanings import read_meaning
from fusion_aug.transforms.temporal.clocks import LABELS

TURNED = ("polar", "direction", "axial")  # kinds of columns, in axes that turn with the sensor

DESKEW_EXEMPTIONS = {
    "invertible": "the other mode brings the points back, not the history",
    "differentiable": "it has no geometric parameter",
    "keeps_counts": "boxes belong to the capture time, and raw points to times of their own",
    "content_identity": "raw points were measured at other times than the capture time",
}


@dataclass(frozen=True, kw_only=True)
class Deskew(Transform, Temporal):
    """LiDAR points moved to their sweep's capture time (``mode=compensate``), or back to their own times (``raw``).

    It needs the column ``time_offset`` and the ego twist; a cloud without either, or in that state already, stays.
    """

    mode: str = "compensate"

    strict = False
    ignores = LABELS
    exemptions: ClassVar[dict[str, str]] = DESKEW_EXEMPTIONS
    example: ClassVar[dict[str, Any]] = {"mode": "compensate"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("compensate", "raw"):
            raise ConfigError(f"Deskew.mode: {self.mode!r} is not one of compensate, raw")


@handles(Deskew, Lidar)
def deskew(stream: Points, call: Call) -> Points:
    """Move every point by the sensor's own motion between its measurement and the capture time."""
    wanted = {"compensate": "compensated", "raw": "raw"}
    goals = {wanted[p["mode"]] for p in call.params}
    if len(goals) != 1 or stream.motion in goals or "time_offset" not in _columns(stream):
        return stream
    if stream.motion == "mixed":
        raise DataError(
            f"stream {call.name!r}: joins clouds that are compensated and others that are not; deskew the samples "
            f"before they are joined"
        )
    goal = goals.pop()
    cloud = stream.realized().loaded()
    own = [m.column for m in map(read_meaning, cloud.meanings) if m.name in cloud.values]
    vectors = {c.name: cloud.values[c.name].to(torch.float64).clone() for c in own if c.kind in TURNED}
    xyz = cloud.values["xyz"].to(torch.float64).clone()
    for i, (index, time) in enumerate(zip(cloud.sample_index.tolist(), cloud.true_capture_times.tolist(), strict=True)):
        twist = frame_twist(call.sample, index, cloud.frame, time)
        if twist is None:
            return stream
        rows = cloud.item_slice(i)
        seconds = cloud.values["time_offset"][rows].to(torch.float64)
        xyz[rows] = move_with_twist(xyz[rows], seconds, *twist, raw=goal == "raw")
        for vector in vectors.values():  # turned with the axes in which it was measured
            still = torch.zeros_like(twist[0])
            vector[rows] = move_with_twist(vector[rows], seconds, still, twist[1], raw=goal == "raw")
    changed = {n: v.to(cloud.values[n]) for n, v in (vectors | {"xyz": xyz}).items()}
    return replace(cloud.with_values(**changed), motion=goal)


def move_with_twist(xyz: Tensor, seconds: Tensor, velocity: Tensor, spin: Tensor, raw: bool) -> Tensor:
    """Points (n, 3) of a sensor with a constant twist, moved from the times of their measurement to the capture time.

    ``p(0) = R p(s) + t`` with the pose of the sensor at s seconds after the capture time, ``R = exp(s w)``,
    ``t = integral of exp(s' w) v``; ``raw`` goes back.

    Args:
        xyz: (n, 3) m float64. seconds: (n,) after the capture time.
        velocity, spin: (3,) m/s and rad/s in the sensor's axes. raw: from the capture time to the measurement instead.
    """
    angle = seconds[:, None] * spin
    R = rotation_from_rotvec(angle)
    half = rotation_from_rotvec(angle / 2)  # the mean of the heading on the way, to second order in the angle
    t = seconds[:, None] * (half @ velocity)
    if raw:
        return (R.transpose(1, 2) @ (xyz - t)[..., None])[..., 0]
    return (R @ xyz[..., None])[..., 0] + t


def _columns(stream: Points) -> set[Any]:
    return set(stream.values)
