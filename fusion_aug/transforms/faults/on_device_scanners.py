"""Faults of LiDARs on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import LidarSensor
from calib.ties import nearest_whole
from fusion_aug.core.device.rows import (
    NO_KEY,
    OFF,
    ON,
    Columns,
    Numbers,
    check_points_move_alone,
    fills_of_nothing,
    hit,
    keyed,
    least,
    marks_of_nothing,
    noise_rows,
    per_row,
    planned,
    planned_loss,
    row_keys,
    without,
)
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.hashed import exponential, uniform
from fusion_aug.ops.random import noise
from fusion_aug.streams import Lidar, Points
from fusion_aug.streams.on_device import ROW_NUMBER
from fusion_aug.transforms.cloud.on_device import lidar_on_device
from fusion_aug.transforms.cloud.on_device_boxes import BoxesThere, inside_boxes
from fusion_aug.transforms.cloud.on_device_rays import no_scanner, rays, scanner_numbers, scanners_of
from fusion_aug.transforms.cloud.points import item_key
from fusion_aug.transforms.faults.scanners import (
    REVOLUTION,
    STATUS_FOREIGN,
    DroppedPackets,
    IncompleteEcho,
    LidarCrosstalk,
    ReducedView,
    ScanMotionBlur,
)
from fusion_aug.transforms.weather.place import T_ref_vehicle

Params = Mapping[str, Any]
FIGURES = ("near_range", "near_floor", "noise_floor", "white")  # of a scanner, for intensities of made returns


@on_device(DroppedPackets, Lidar)
def plan_packets(stream: Points, call: Call) -> Points:
    """Mark the points of lost packets."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        key = keyed(item_key(stream, call, item, params))
        packets = np.int64(np.ceil(360.0 / params["packet_deg"]))
        return {**key, "least": least(params["share"]), "packets": packets, **scanner_numbers(stream, item, call)}

    neutral = {**NO_KEY, "least": np.int64(0), "packets": np.int64(1), **no_scanner(stream)}
    return planned_loss(stream, call, _drop_packets, numbers, neutral, scanners=scanners_of(stream))


def _azimuths(columns: Columns, numbers: Numbers, scanners: int) -> Tensor:
    way = rays(columns, numbers, scanners)[1]
    return torch.atan2(way[:, 1], way[:, 0])


def _drop_packets(columns: Columns, numbers: Numbers, scanners: int) -> dict[str, Tensor]:
    (packets,) = per_row(columns, numbers, "packets")
    share = (_azimuths(columns, numbers, scanners).nan_to_num(0.0) + np.pi) / (2 * np.pi)
    packet = torch.minimum((share * packets).long().clamp(min=0), packets - 1)
    return without(columns, hit(columns, numbers, packet))


@on_device(ReducedView, Lidar)
def plan_view(stream: Points, call: Call) -> Points:
    """Mark what lies outside of a sector of the vehicle's surroundings as lost."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        number = int(stream.sample_index[item])
        T = call.sample.metas[number].T_ref(stream.frame, int(stream.true_capture_times[item]), true_rig=True)
        R = torch.from_numpy(T_ref_vehicle(call.sample, number)[:3, :3]).T @ T[:3, :3]
        centre, half = np.radians(params["centre_deg"]), np.radians(params["view_deg"]) / 2
        return {**ON, "R": R.numpy(), "centre": float(centre), "half": float(half),
                **scanner_numbers(stream, item, call)}  # fmt: skip

    neutral = {**OFF, "R": np.eye(3), "centre": 0.0, "half": 0.0, **no_scanner(stream)}
    return planned_loss(stream, call, _reduce_view, numbers, neutral, scanners=scanners_of(stream))


def _reduce_view(columns: Columns, numbers: Numbers, scanners: int) -> dict[str, Tensor]:
    R, centre, half, on = per_row(columns, numbers, "R", "centre", "half", "on")
    way = (R @ rays(columns, numbers, scanners)[1][..., None])[..., 0]
    off = torch.atan2(way[:, 1], way[:, 0]) - centre
    off = torch.remainder(off + np.pi, 2 * np.pi) - np.pi
    return without(columns, on & ~(off.abs() <= half))


@on_device(IncompleteEcho, Lidar)
def plan_echoes(stream: Points, call: Call) -> Points:
    """Mark returns of dark paint as lost."""
    there = BoxesThere(stream, call)
    if "intensity" not in stream.values or not there.boxes:
        return stream

    def numbers(item: int, params: Params) -> dict[str, Any]:
        sensor = lidar_on_device(call, stream, item)
        dark = {"white": float(sensor.scale * sensor.white), "reflectivity": float(params["reflectivity"])}
        key = {**keyed(item_key(stream, call, item, params)), "least": least(params["share"])}
        return {**there.numbers(item, list(there.matched(item, params))), **key, **dark}

    neutral = {**there.neutral(), **NO_KEY, "least": np.int64(0), "white": 1.0, "reflectivity": 0.0}
    return planned_loss(stream, call, _lose_dark, numbers, neutral, read=there.blocks, longest=there.longest)


def _lose_dark(columns: Columns, numbers: Numbers, *read: Columns, longest: int) -> dict[str, Tensor]:
    white, reflectivity = per_row(columns, numbers, "white", "reflectivity")
    dark = columns["intensity"].to(torch.float64) / white < reflectivity
    unlucky = hit(columns, numbers, noise_rows(columns))
    return without(columns, inside_boxes(columns, numbers, read, longest) & dark & unlucky)


@on_device(ScanMotionBlur, Lidar)
def plan_shake(stream: Points, call: Call) -> Points:
    """Move every point by the scanner's swing at its time."""
    check_points_move_alone(stream, call.name)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        rng = noise(params["noise"], call.name, int(stream.capture_times[item]))
        phase, axis = rng.uniform(0, 2 * np.pi, 6), torch.from_numpy(rng.normal(size=(2, 3)))
        axis = axis / axis.norm(dim=1, keepdim=True)
        size = torch.tensor([[np.radians(params["tilt_deg"])], [params["shift"]]], dtype=torch.float64)
        speed = float(2 * np.pi * params["frequency"])
        return {**ON, "phase": phase, "swing": (size * axis).flatten().numpy(), "speed": speed,
                **scanner_numbers(stream, item, call)}  # fmt: skip

    neutral = {**OFF, "phase": np.zeros(6), "swing": np.zeros(6), "speed": 0.0, **no_scanner(stream)}
    return planned(stream, call, _shake, numbers, neutral, settle=True, scanners=scanners_of(stream))


def _shake(columns: Columns, numbers: Numbers, scanners: int) -> dict[str, Tensor]:
    phase, size, speed, on = per_row(columns, numbers, "phase", "swing", "speed", "on")
    if "time_offset" in columns:
        seconds = columns["time_offset"].to(torch.float64)
    else:
        seconds = _azimuths(columns, numbers, scanners) / (2 * np.pi) * REVOLUTION
    tilt, shift = (torch.sin((speed * seconds)[:, None] + phase) * size).split(3, 1)
    points = columns["xyz"].to(torch.float64)
    moved = points + torch.linalg.cross(tilt, points) + shift
    return {"xyz": torch.where(on[:, None], moved.to(columns["xyz"].dtype), columns["xyz"])}


@on_device(LidarCrosstalk, Lidar)
def plan_crosstalk(stream: Points, call: Call) -> Points:
    """Put some points somewhere on their rays."""
    check_points_move_alone(stream, call.name)
    fills = fills_of_nothing(stream, call)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        sensor = lidar_on_device(call, stream, item)
        drawn = [item_key(stream, call, item, params, what) for what in ("hit", "range", "power")]
        keys = {**keyed(drawn[0]), **keyed(drawn[1], "range."), **keyed(drawn[2], "power.")}
        nearest = max(sensor.min_range, 0.5)
        return {**keys, "least": least(params["share"]), "nearest": nearest, "farthest": sensor.max_range,
                **_figures(sensor), **scanner_numbers(stream, item, call)}  # fmt: skip

    no_keys = {f"{name}{n}": v for name in ("", "range.", "power.") for n, v in NO_KEY.items()}
    neutral = {**no_keys, "least": np.int64(0), "nearest": 1.0, "farthest": 1.0,
               **_figures(LidarSensor(frame="", intensity_scale=1.0)), **no_scanner(stream)}  # fmt: skip
    return planned(stream, call, _crosstalk, numbers, neutral, settle=True, fills=fills,
                   scanners=scanners_of(stream))  # fmt: skip


def _figures(sensor: LidarSensor) -> dict[str, float]:
    levels = 0.0 if sensor.intensity_levels is None else sensor.intensity_levels / sensor.scale
    return {**{n: float(getattr(sensor, n)) for n in FIGURES}, "scale": float(sensor.scale), "levels": float(levels)}


def _crosstalk(columns: Columns, numbers: Numbers, fills: tuple[Any, ...], scanners: int) -> dict[str, Tensor]:
    start, way = rays(columns, numbers, scanners)
    old, rows = torch.linalg.norm(way, dim=1), noise_rows(columns)
    taken = hit(columns, numbers, rows) & torch.isfinite(old) & (old > 0)
    nearest, farthest = per_row(columns, numbers, "nearest", "farthest")
    far = nearest + (farthest - nearest) * uniform(row_keys(columns, numbers, "range."), rows)
    place = start + way * (far / old.clamp(min=1e-9))[:, None]
    new = {"xyz": place, ROW_NUMBER: torch.where(columns[ROW_NUMBER] < 0, columns[ROW_NUMBER], -1 - rows)}
    if "intensity" in columns:
        new["intensity"] = _foreign_level(columns, numbers, far, rows)
    if "status" in columns:
        new["status"] = torch.full_like(columns["status"], STATUS_FOREIGN)
    new |= marks_of_nothing(columns, fills, len(rows))
    return {
        n: torch.where(taken[:, None] if v.ndim > 1 else taken, v.to(columns[n].dtype), columns[n])
        for n, v in new.items()
    }


def _foreign_level(columns: Columns, numbers: Numbers, far: Tensor, rows: Tensor) -> Tensor:
    """Intensity of a pulse of another LiDAR; the formulas of ``physics.pulse``, for every row."""
    near, floor, dark, white, scale, levels = per_row(columns, numbers, *FIGURES, "scale", "levels")
    loss = torch.maximum(far, near)
    gain = torch.minimum(far, near) / (loss * loss * near)
    least_power = torch.maximum(floor * gain, dark)
    power = least_power * (1 + 2.0 * exponential(row_keys(columns, numbers, "power."), rows))
    level = (power / gain.clamp(min=1e-12) * white).clamp(0.0, 1.0) * scale
    return torch.where(levels > 0, nearest_whole(level * levels) / levels, level)
