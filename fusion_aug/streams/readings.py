"""Readings of single instruments besides inertial units: twists, accelerations, fields, distances, satellite fixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn.functional import pad

from fusion_aug.streams.base import Stream
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
    covariance,
    duration,
    length,
    polar,
    pose,
    position,
    rotation,
    scalar,
    time_offset,
)  # fmt: skip
from fusion_aug.streams.families import ImagePlane, Mount, Weather
from fusion_aug.streams.ragged import Ragged

PER_RAY = ("range", "intensity")
TILT = 1e-9  # of the entries of a rotation that still counts as one about z, and m of a shift
LEAVE_OUT = "leave the topic out with log.exclude"
NOT_A_SENSOR = (ImagePlane, Mount, Weather)  # what moves no body changes nothing of it


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyTwist(Stream):
    """Velocity of a body, measured or commanded, in the stream's frame.

    Columns: velocity (n, 3) m/s; angular_velocity (n, 3) rad/s; covariance (n, 6, 6) of both.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        polar("velocity", rate=True),
        axial("angular_velocity", rate=True),
        covariance("covariance", 6, per_second=1),
    )
    invariant_to: ClassVar[tuple[type, ...]] = NOT_A_SENSOR
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class BodyAcceleration(Stream):
    """Acceleration of a body, without gravity, in the stream's frame.

    Columns: acceleration (n, 3) m/s^2; angular_acceleration (n, 3) rad/s^2; covariance (n, 6, 6) of both.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column("acceleration", "polar", width=3, rate_of="velocity"),
        Column("angular_acceleration", "axial", width=3, scaled=False, rate_of="angular_velocity"),
        covariance("covariance", 6, per_second=2),
    )
    invariant_to: ClassVar[tuple[type, ...]] = NOT_A_SENSOR
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class MagneticReading(Stream):
    """A magnetometer.

    Columns: field (n, 3) tesla, in the stream's frame; a pseudo-vector, which a mirror turns as it does a current
    loop. covariance (n, 3, 3).
    """

    columns: ClassVar[tuple[Column, ...]] = (axial("field"), covariance("covariance", 3, scaled=False))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane, Weather)
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class PointReading(Stream):
    """A point in the stream's frame at every time: a tracked target, a place that was clicked on.

    Columns: position (n, 3) m.
    """

    columns: ClassVar[tuple[Column, ...]] = (position("position"),)
    invariant_to: ClassVar[tuple[type, ...]] = NOT_A_SENSOR


@dataclass(frozen=True, kw_only=True, eq=False)
class RotationReading(Stream):
    """The rotation of a body in the stream's frame.

    Columns: rotation (n, 4), w x y z; NaN where it is unknown.
    """

    columns: ClassVar[tuple[Column, ...]] = (rotation("rotation"),)
    invariant_to: ClassVar[tuple[type, ...]] = NOT_A_SENSOR
    is_continuous: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class PosePath(Ragged):
    """Any number of poses per item: a planned path, particles of a filter, detected parts.

    Columns: pose ``T_frame_body`` (rows, 4, 4); time (rows,), s after the item's stamp, of those that have a stamp.
    """

    columns: ClassVar[tuple[Column, ...]] = (pose("pose"), time_offset("time"))
    invariant_to: ClassVar[tuple[type, ...]] = NOT_A_SENSOR


@dataclass(frozen=True, kw_only=True, eq=False)
class SatelliteFix(Stream):
    """Positions by satellite on the earth, which cannot be mirrored or scaled.

    Columns: latitude and longitude (n,), degrees; altitude (n,), m above the ellipsoid; covariance (n, 3, 3), m^2,
    about east, north and up.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        scalar("latitude"),
        Column("longitude", "plain", resample="longitude"),
        scalar("altitude"),
        Column("covariance", "plain", width=3, resample="nearest"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = NOT_A_SENSOR
    is_continuous: ClassVar[bool] = True
    may_refuse: ClassVar[bool] = True
    remedy: ClassVar[str] = LEAVE_OUT


@dataclass(frozen=True, kw_only=True, eq=False)
class PlanarScan(Stream):
    """Sweeps of a scanner in the x-y plane of the stream's frame; ray i at ``angle_min + i angle_increment``.

    Columns: range (n, W) m, NaN beyond the rays of an item (``rays``, (n,)); infinity and 0 keep their meaning.
    intensity (n, W). angle_min, angle_max and angle_increment (n,), rad, of the first and the last ray and from ray to
    ray, counter-clockwise. range_min and range_max (n,), m. scan_time and time_increment (n,), s, from sweep to sweep
    and from ray to ray.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        length("range"),
        Column("intensity", "plain", fill=float("nan")),
        categorical("rays"),
        scalar("angle_min"),
        scalar("angle_max"),
        scalar("angle_increment"),
        length("range_min"),
        length("range_max"),
        duration("scan_time"),
        duration("time_increment"),
    )
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane,)
    may_refuse: ClassVar[bool] = True
    remedy: ClassVar[str] = LEAVE_OUT

    @classmethod
    def _concat_values(cls, parts: Sequence[Self]) -> Mapping[str, Any]:
        """The columns of several samples, with NaN beyond the rays of those that have fewer."""
        width = max(p.values["range"].shape[1] for p in parts)
        return super()._concat_values([p._padded(width) for p in parts])

    def _padded(self, width: int) -> Self:
        gaps = {c: (0, width - self.values[c].shape[1]) for c in PER_RAY if c in self.values}
        return self.with_values(**{c: pad(self.values[c], gap, value=float("nan")) for c, gap in gaps.items()})

    def turned(self, turn: Tensor, mirrored: Tensor) -> Self:
        """The scan with its angles mirrored, and then turned.

        Args:
            turn: (n,) rad, counter-clockwise. mirrored: (n,) bool.
        """
        return self.with_values(**turned_scan(self.values, turn, mirrored))


def turned_scan(values: Mapping[str, Any], turn: Tensor, mirrored: Tensor) -> dict[str, Tensor]:
    """The columns of ``PlanarScan`` that change as ``PlanarScan.turned`` says; on any device, without a wait."""
    first, last, step = (values[c] for c in ("angle_min", "angle_max", "angle_increment"))
    rays = values["rays"]
    reverse = mirrored & (values["time_increment"] == 0)
    # the last ray, which angle_max need not be: some drivers give the end of the field of view
    end = first + (rays - 1).clamp(min=0).to(first) * step
    end = torch.where((end - last).abs() < 0.01 * step.abs(), last, end)
    beyond = last - end
    new_first = torch.where(reverse, -end, torch.where(mirrored, -first, first))
    new_last = torch.where(reverse, -first + beyond, torch.where(mirrored, -last, last))
    turn = turn.to(first)
    out = {
        "angle_min": torch.where(turn == 0, new_first, new_first + turn),
        "angle_max": torch.where(turn == 0, new_last, new_last + turn),
        "angle_increment": torch.where(mirrored & ~reverse, -step, step),
    }
    for column in PER_RAY:
        if column in values:
            place = torch.arange(values[column].shape[1], device=first.device).expand(len(first), -1)
            swapped = torch.where(reverse[:, None] & (place < rays[:, None]), rays[:, None] - 1 - place, place)
            out[column] = values[column].gather(1, swapped)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class RangeReading(Stream):
    """A sensor of distance along the x axis of its frame.

    Columns: range, range_min, range_max (n,) m; infinity keeps its meaning.
    """

    columns: ClassVar[tuple[Column, ...]] = (length("range"), length("range_min"), length("range_max"))
    invariant_to: ClassVar[tuple[type, ...]] = (ImagePlane,)
    may_refuse: ClassVar[bool] = True
    remedy: ClassVar[str] = LEAVE_OUT


__all__ = [
    "BodyAcceleration", "BodyTwist", "MagneticReading", "PlanarScan", "PointReading", "PosePath", "RangeReading",
    "RotationReading", "SatelliteFix",
]  # fmt: skip
