"""Faults of LiDARs. Lost beams are ``BeamDropout``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.ops.hashed import chance, exponential, uniform
from fusion_aug.ops.random import noise
from fusion_aug.physics.pulse import gain, intensity_of, rounded, threshold
from fusion_aug.streams import Lidar, Points
from fusion_aug.streams.targets import on_nothing
from fusion_aug.transforms.cloud.box_points import rows_in_boxes
from fusion_aug.transforms.cloud.lidar import LidarTransform, lidar_with_scale
from fusion_aug.transforms.cloud.points import PointTransform, item_key, keep_points, scanner_rays
from fusion_aug.transforms.weather.place import T_ref_vehicle

STATUS_FOREIGN = 2  # status of a return that is another LiDAR's
REVOLUTION = 0.1  # seconds, where a cloud does not hold the times of its points
DROPS_POINTS_EXEMPTIONS = PointTransform.exemptions | {"keeps_rows": "it drops points on purpose"}
MOVES_POINTS_EXEMPTIONS = PointTransform.exemptions | {"content_identity": "points are moved on purpose"}


def azimuths(stream: Points, item: int, call: Call) -> Tensor:
    """Azimuth (rows,) of an item's points about the scanner's z axis, radians in (-pi, pi]."""
    way = scanner_rays(stream, item, call)[1]
    return torch.atan2(way[:, 1], way[:, 0])


@dataclass(frozen=True, kw_only=True)
class DroppedPackets(LidarTransform):
    """Lose packets of a scan, each the points of ``packet_deg`` degrees of azimuth, with probability ``share``."""

    share: Range
    packet_deg: Range = 2.4

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0), "packet_deg": (0.05, 360.0)}
    exemptions: ClassVar[dict[str, str]] = DROPS_POINTS_EXEMPTIONS
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 0.5, "linear", "suite/dropped_packets", "share of the packets"),
        "packet_deg": "a figure of the scanner",
    }
    example: ClassVar[dict[str, Any]] = {"share": [0.1, 0.4], "packet_deg": 10.0}


@handles(DroppedPackets, Lidar, by_item=True)
def drop_packets(stream: Points, call: Call) -> Points:
    """Keep the packets that came through."""
    stream = stream.realized()

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        count = int(np.ceil(360.0 / params["packet_deg"]))
        arrives = torch.from_numpy(~chance(item_key(stream, call, item, params), count, params["share"]))
        share = (azimuths(stream, item, call).nan_to_num(0.0) + np.pi) / (2 * np.pi)
        return arrives[(share * count).long().clamp(0, count - 1).cpu()]

    return keep_points(stream, call, rule)


@dataclass(frozen=True, kw_only=True)
class LidarCrosstalk(LidarTransform):
    """Take pulses of other LiDARs for one's own: the share ``share`` of the returns comes from anywhere on the ray."""

    share: Range = (0.0, 0.02)

    version: ClassVar[int] = 3  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0)}
    exemptions: ClassVar[dict[str, str]] = MOVES_POINTS_EXEMPTIONS
    strengths: ClassVar[Strengths] = {"share": Strength(0.0, 0.1, "linear", "suite/crosstalk", "share of the returns")}
    example: ClassVar[dict[str, Any]] = {"share": [0.0, 0.2]}


@handles(LidarCrosstalk, Lidar, by_item=True)
def take_foreign_pulses(stream: Points, call: Call) -> Points:
    """Put the points somewhere on their rays, with an intensity that fits no surface there."""
    stream = stream.realized()
    xyz, foreign = stream["xyz"].clone(), torch.zeros(stream.rows, dtype=torch.bool)
    intensity = stream.values["intensity"].clone() if "intensity" in stream.values else None
    status = stream.values["status"].clone() if "status" in stream.values else None
    for i, params in call.asked:
        rows, sensor = stream.item_slice(i), lidar_with_scale(call, stream, i)
        hit_key, far_key, power_key = (item_key(stream, call, i, params, what) for what in ("hit", "range", "power"))
        start, way = scanner_rays(stream, i, call)
        old = torch.linalg.norm(way, dim=1)
        numbers = stream.noise_rows(i)
        hit = chance(hit_key, numbers, params["share"]) & torch.isfinite(old.cpu()) & (old.cpu() > 0)
        foreign[rows] = hit
        nearest = max(sensor.min_range, 0.5)
        far = nearest + (sensor.max_range - nearest) * uniform(far_key, numbers.numpy())
        place = start + way * (torch.from_numpy(far).to(old) / old.clamp(min=1e-9))[:, None]
        xyz[rows] = torch.where(hit[:, None].to(xyz.device), place.to(xyz.dtype), xyz[rows])
        if intensity is not None:
            power = threshold(gain(far, sensor), sensor) * (1 + 2.0 * exponential(power_key, numbers.numpy()))
            level = torch.from_numpy(rounded(intensity_of(power, far, sensor), sensor)).to(intensity)
            intensity[rows] = torch.where(hit.to(intensity.device), level, intensity[rows])
        if status is not None:
            status[rows] = torch.where(
                hit.to(status.device), torch.full_like(status[rows], STATUS_FOREIGN), status[rows]
            )
    changed = {"xyz": xyz, "intensity": intensity, "status": status, **on_nothing(stream, stream.values, foreign)}
    out = stream.with_values(**{k: v for k, v in changed.items() if v is not None})
    return out.without_source(foreign) if bool(foreign.any()) else out


@dataclass(frozen=True, kw_only=True)
class IncompleteEcho(LidarTransform):
    """Lose returns of dark paint: points on boxes below ``reflectivity``, with probability ``share``.

    Attributes:
        reflectivity: 1 for a white wall. categories: names or shell patterns of the boxes.
    """

    share: Range = (0.3, 1.0)
    reflectivity: Range = 0.3
    categories: tuple[str, ...] = ("*car*", "*truck*", "*bus*", "*vehicle*", "Car", "Van", "Truck", "Tram")

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0), "reflectivity": (0.0, 10.0)}
    exemptions: ClassVar[dict[str, str]] = DROPS_POINTS_EXEMPTIONS
    strengths: ClassVar[Strengths] = {
        "share": Strength(0.0, 1.0, "linear", "suite/incomplete_echo", "share of dark points"),
        "reflectivity": "which paint is dark, not how much is lost",
    }
    example: ClassVar[dict[str, Any]] = {"share": 0.7, "reflectivity": [0.2, 1.0]}


@handles(IncompleteEcho, Lidar, by_item=True)
def lose_dark_returns(stream: Points, call: Call) -> Points:
    """Keep returns that are bright enough, on no such box, or spared by the draw."""
    if "intensity" not in stream.values:
        return stream
    stream = stream.realized()

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        rows, sensor = stream.item_slice(item), lidar_with_scale(call, stream, item)
        on_box = torch.zeros(rows.stop - rows.start, dtype=torch.bool)
        for inside in rows_in_boxes(stream, call, item, params):
            on_box[inside] = True
        share = stream["intensity"][rows].cpu().double() / (sensor.scale * sensor.white)
        unlucky = chance(item_key(stream, call, item, params), stream.noise_rows(item), params["share"])
        return ~(on_box & (share < params["reflectivity"]) & unlucky)

    return keep_points(stream, call, rule)


@dataclass(frozen=True, kw_only=True)
class ReducedView(LidarTransform):
    """See only ``view_deg`` degrees about a direction ``centre_deg`` degrees to the left of the vehicle's forward."""

    view_deg: Range
    centre_deg: Range = 0.0

    limits: ClassVar[dict[str, tuple[float, float]]] = {"view_deg": (0.0, 360.0), "centre_deg": (-360.0, 360.0)}
    exemptions: ClassVar[dict[str, str]] = DROPS_POINTS_EXEMPTIONS
    strengths: ClassVar[Strengths] = {
        "view_deg": Strength(360.0, 90.0, "linear", "suite/fov_lost", "degrees"),
        "centre_deg": "a direction",
    }
    example: ClassVar[dict[str, Any]] = {"view_deg": [60, 180], "centre_deg": 20}


@handles(ReducedView, Lidar, by_item=True)
def reduce_view(stream: Points, call: Call) -> Points:
    """Keep a sector of the reference frame."""
    stream = stream.realized()

    def rule(item: int, params: Mapping[str, Any]) -> Tensor:
        number = int(stream.sample_index[item])
        T = call.sample.metas[number].T_ref(stream.frame, int(stream.true_capture_times[item]), true_rig=True)
        R = torch.from_numpy(T_ref_vehicle(call.sample, number)[:3, :3]).T @ T[:3, :3]
        way = scanner_rays(stream, item, call)[1].cpu() @ R.T
        off = torch.atan2(way[:, 1], way[:, 0]) - np.radians(params["centre_deg"])
        off = torch.remainder(off + np.pi, 2 * np.pi) - np.pi
        return off.abs() <= np.radians(params["view_deg"]) / 2

    return keep_points(stream, call, rule)


@dataclass(frozen=True, kw_only=True)
class ScanMotionBlur(LidarTransform):
    """Shake the scanner while it turns: it swings by ``shift`` metres and ``tilt_deg`` degrees at ``frequency`` Hz.

    Every point is measured from where the scanner was at its time; without times in the cloud, by its azimuth.
    """

    shift: Range = (0.0, 0.05)
    tilt_deg: Range = (0.0, 0.5)
    frequency: Range = (5.0, 30.0)

    dense_noise = True
    limits: ClassVar[dict[str, tuple[float, float]]] = {
        "shift": (0.0, 10.0), "tilt_deg": (0.0, 45.0), "frequency": (0.0, 1e4),
    }  # fmt: skip
    exemptions: ClassVar[dict[str, str]] = MOVES_POINTS_EXEMPTIONS
    strengths: ClassVar[Strengths] = {
        "shift": Strength(0.0, 0.15, "linear", "probe", "m"),
        "tilt_deg": Strength(0.0, 1.2, "linear", "suite/lidar_motion", "degrees"),
        "frequency": "how fast it swings, not how far",
    }
    example: ClassVar[dict[str, Any]] = {"shift": 0.05, "tilt_deg": 0.5}


@handles(ScanMotionBlur, Lidar, by_item=True)
def shake(stream: Points, call: Call) -> Points:
    """Move every point by the scanner's swing at its time."""
    stream = stream.realized()
    xyz = stream["xyz"].clone()
    for i, params in call.asked:
        rows, rng = stream.item_slice(i), noise(params["noise"], call.name, int(stream.capture_times[i]))
        if "time_offset" in stream.values:
            seconds = stream.values["time_offset"][rows].cpu().double()
        else:
            seconds = azimuths(stream, i, call).cpu() / (2 * np.pi) * REVOLUTION
        phase = torch.from_numpy(rng.uniform(0, 2 * np.pi, 6))
        axis = torch.from_numpy(rng.normal(size=(2, 3)))
        axis = axis / axis.norm(dim=1, keepdim=True)
        swing = torch.sin(2 * np.pi * params["frequency"] * seconds[:, None] + phase)
        points = xyz[rows].cpu().double()
        tilt = np.radians(params["tilt_deg"]) * swing[:, :3] * axis[0]
        moved = points + torch.linalg.cross(tilt, points) + params["shift"] * swing[:, 3:] * axis[1]
        xyz[rows] = moved.to(xyz)
    return stream.with_values(xyz=xyz)


__all__ = [
    "DroppedPackets", "IncompleteEcho", "LidarCrosstalk", "ReducedView", "ScanMotionBlur",
]  # fmt: skip
