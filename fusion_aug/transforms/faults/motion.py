"""Faults of IMUs and satellite navigation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.se3 import se3
from calib.trajectory import Trajectory
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.sample import Sample, world_frame_of
from fusion_aug.streams import EgoPose, Imu, SatelliteFix
from fusion_aug.streams.families import Fault

EYE = torch.eye(4, dtype=torch.float64)
EQUATOR, ECCENTRICITY_2 = 6_378_137.0, 6.69437999014e-3  # of the ellipsoid of WGS 84: radius (m), and e^2


@dataclass(frozen=True, kw_only=True)
class ImuSaturation(Transform, Fault):
    """Readings that stop at the end of the scale: ``accel`` m/s^2 and ``gyro_deg`` degrees/s on every axis."""

    scope: str = "sensor"
    accel: Range = 20.0
    gyro_deg: Range = 125.0

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor", "timestep")
    limits: ClassVar[dict[str, tuple[float, float]]] = {"accel": (0.0, 1e4), "gyro_deg": (0.0, 1e5)}
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "readings beyond the end are lost",
        "differentiable": "it has no geometric parameter",
    }
    strengths: ClassVar[Strengths] = {
        "accel": Strength(10000.0, 9.5, "inverse", "probe", "m/s^2", near=9.9),
        "gyro_deg": Strength(100000.0, 54.0, "inverse", "probe", "degrees/s"),
    }
    example: ClassVar[dict[str, Any]] = {"accel": [10.0, 20.0], "gyro_deg": 50.0}


@handles(ImuSaturation, Imu)
def saturate(stream: Imu, call: Call) -> Imu:
    """Clip every axis."""
    out = {}
    for column, field, to_si in (("accel", "accel", 1.0), ("gyro", "gyro_deg", math.pi / 180)):
        if column in stream.values:
            value = stream.values[column]
            end = torch.tensor([p[field] * to_si for p in call.params]).to(value)[:, None]
            out[column] = torch.minimum(torch.maximum(value, -end), end)
    return stream.with_values(**out)


@dataclass(frozen=True, kw_only=True)
class GpsJump(Transform, Fault):
    """A reported position of the vehicle that lies ``distance`` metres off, towards ``heading_deg`` in the world.

    The reported ego pose moves, in rig and streams; what the sensors measured does not.
    """

    distance: Range = (1.0, 20.0)
    heading_deg: Range = (-180.0, 180.0)

    limits: ClassVar[dict[str, tuple[float, float]]] = {"distance": (0.0, 1e5), "heading_deg": (-360.0, 360.0)}
    exemptions: ClassVar[dict[str, str]] = {
        "invertible": "a jump of the satellite navigation cannot be separated from a motion afterwards",
        "differentiable": "it has no geometric parameter",
    }
    strengths: ClassVar[Strengths] = {
        "distance": Strength(0.0, 20.0, "linear", "suite/gps_jump", "m"),
        "heading_deg": "a direction",
    }
    needs_naming: ClassVar[str] = "the reported pose becomes wrong"
    example: ClassVar[dict[str, Any]] = {"distance": [1.0, 10.0]}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Move the reported poses of the frames whose parent is the world, and the ego pose streams."""
        out = cls.visit(sample, parameters, context)
        for u, meta in enumerate(sample.metas):
            if not parameters.asks(u):
                continue
            world, rig = world_frame_of(meta.rig, meta.ref.frame), meta.rig
            for name, frame in rig.frames.items():
                if world is not None and frame.parent == world and isinstance(frame.pose, Trajectory):
                    rig = rig.with_pose(name, frame.pose.mapped(jump_matrix(parameters.of(u)), EYE))
            out = out.with_meta(u, rig=rig, true_rig=meta.true_rig)
        return out


def jump_matrix(params: Mapping[str, Any]) -> torch.Tensor:
    """The shift (4, 4) in the world of drawn parameters."""
    heading = math.radians(params["heading_deg"])
    return se3(translation=[params["distance"] * math.cos(heading), params["distance"] * math.sin(heading), 0.0])


@handles(GpsJump, EgoPose)
def shift_reported_pose(stream: EgoPose, call: Call) -> EgoPose:
    """Move the reported poses."""
    shifts = torch.stack([jump_matrix(p) for p in call.params]) if call.params else EYE[None][:0]
    pose = stream.values["pose"]
    return stream.with_values(pose=(shifts @ pose.to(torch.float64)).to(pose.dtype))


@handles(GpsJump, SatelliteFix)
def shift_reported_fix(stream: SatelliteFix, call: Call) -> SatelliteFix:
    """Move the reported places, along the ellipsoid; the world's x axis points east (REP-103)."""
    if not call.params:
        return stream
    east, north = torch.stack([jump_matrix(p)[:2, 3] for p in call.params]).unbind(1)
    return stream.with_values(**moved_fix(stream.values["latitude"], stream.values["longitude"], east, north))


def moved_fix(latitude: Tensor, longitude: Tensor, east: Tensor, north: Tensor) -> dict[str, Tensor]:
    """Latitude and longitude (n,), degrees, of places that are moved along the ellipsoid by metres (n,)."""
    sine, cosine = torch.sin(torch.deg2rad(latitude)), torch.cos(torch.deg2rad(latitude))
    bent = 1 - ECCENTRICITY_2 * sine**2
    moved = longitude + torch.rad2deg(east * bent**0.5 / (EQUATOR * cosine))
    return {
        "latitude": latitude + torch.rad2deg(north * bent**1.5 / (EQUATOR * (1 - ECCENTRICITY_2))),
        "longitude": (moved + 180) % 360 - 180,
    }
