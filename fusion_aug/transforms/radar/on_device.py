"""What radars do, on a device: detections that are measured elsewhere, missed, or folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import RadarSensor
from calib.ties import nearest_whole
from fusion_aug.core.device.rows import (
    NO_KEY,
    OFF,
    ON,
    Columns,
    Numbers,
    hit,
    keyed,
    least,
    noise_rows,
    normals,
    per_row,
    planned,
    quantiles,
    without,
)
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.hashed import ItemNoise
from fusion_aug.ops.radar import VELOCITIES, radial, rays_of, rcs_threshold, rotated_about_z
from fusion_aug.streams import Radar
from fusion_aug.streams.on_device import ROW_ITEM, VALID
from fusion_aug.transforms.radar.family import RadarTransform
from fusion_aug.transforms.radar.on_device_motion import MotionThere, OwnVelocity, compensated, own_velocities
from fusion_aug.transforms.radar.radar import DopplerFolding, RadarMissed, RadarNoise, RcsNoise

Params = Mapping[str, Any]
Plan = Callable[[Radar, Call], Radar]
PLANS: dict[Any, Plan] = {}


def plans(transform: type) -> Callable[[Plan], Plan]:
    """Register what a transform of radars plans on a device."""

    def register(plan: Plan) -> Plan:
        PLANS[transform] = plan
        return plan

    return register


@on_device(RadarTransform, Radar, where=lambda cls: cls in PLANS)
def plan_radar(stream: Radar, call: Call) -> Radar:
    """By the plan of the transform."""
    return PLANS[call.transform](stream, call)


def radar_of(stream: Radar, call: Call, item: int) -> RadarSensor:
    """The rig's model of the radar; a standard one where the rig has none."""
    sensor = call.sample.metas[int(stream.sample_index[item])].true_rig.sensors.get(call.name)
    return sensor if isinstance(sensor, RadarSensor) else RadarSensor(frame=stream.frame)


def scan_noise(stream: Radar, call: Call, item: int, params: Params) -> ItemNoise:
    """The noise of a scan."""
    return ItemNoise(params.get("noise", ""), call.name, int(stream.true_capture_times[item]))


def planned_scans(stream: Radar, call: Call, kernel: Any, numbers_of: Any, neutral: Params, **settings: Any) -> Radar:
    """The stream with a stage of the scans that are present in the plan, after pending motions."""

    def numbers(item: int, params: Params) -> Any:
        return numbers_of(item, params) if bool(stream.present[item]) else None

    return planned(stream, call, kernel, numbers, neutral, settle=True, **settings)


def velocities_there(
    columns: Columns, old: Tensor, new: Tensor, own: OwnVelocity, speed: Tensor | float = 0.0
) -> dict[str, Tensor]:
    """Velocities of detections on other rays; as ``velocities_on_rays`` has them.

    Args:
        columns: of detections, with the numbers of their items. old, new: (rows, 3) rays. own: of the items.
        speed: (rows,) error of the Doppler, m/s.
    """
    was = {n: radial(dict(columns), n, old) for n in VELOCITIES if n in columns}
    now = {n: v + speed for n, v in was.items()}
    if len(was) == 2:
        velocity, known = own.of_rows(columns[ROW_ITEM])
        gap = was["velocity_comp"] - was["velocity"]
        now["velocity_comp"] = compensated(now["velocity"], new, gap, velocity, known)
    return {n: (new * v[:, None]).to(columns[n].dtype) for n, v in now.items()}


@plans(RcsNoise)
def plan_rcs(stream: Radar, call: Call) -> Radar:
    """Shift cross-sections."""
    if "rcs" not in stream.values:
        return stream

    def numbers(item: int, params: Params) -> dict[str, Any]:
        key = keyed(scan_noise(stream, call, item, params).rows())
        return {**ON, **key, "sigma": float(params["sigma"]), "bias": float(params["bias"]), **quantiles()}

    return planned_scans(stream, call, _shift_rcs, numbers, {**OFF, **NO_KEY, "sigma": 0.0, "bias": 0.0, **quantiles()})


def _shift_rcs(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    sigma, bias, on = per_row(columns, numbers, "sigma", "bias", "on")
    rcs = columns["rcs"]
    shift = bias + sigma * normals(columns, numbers)
    return {"rcs": torch.where(on, rcs + shift.to(rcs.dtype), rcs)}


@plans(RadarNoise)
def plan_noise(stream: Radar, call: Call) -> Radar:
    """Errors of range, azimuth and Doppler."""
    motion = MotionThere(stream, call)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        key, sensor = keyed(scan_noise(stream, call, item, params).rows()), radar_of(stream, call, item)
        sizes = (("range", "range_resolution"), ("azimuth", "azimuth_resolution"), ("doppler", "doppler_resolution"))
        errors = np.array([params[name] * getattr(sensor, figure) for name, figure in sizes], np.float64)
        return {**ON, **key, "errors": errors, **motion.numbers(item), **quantiles()}

    neutral = {**OFF, **NO_KEY, "errors": np.zeros(3), **motion.neutral(), **quantiles()}
    return planned_scans(stream, call, _scatter, numbers, neutral, read=motion.blocks, longest=motion.longest)


def _scatter(columns: Columns, numbers: Numbers, *read: Columns, longest: int) -> dict[str, Tensor]:
    errors, on = per_row(columns, numbers, "errors", "on")
    rays, distance = rays_of(dict(columns))
    aside = errors * normals(columns, numbers, 3)
    ray = rotated_about_z(rays, aside[:, 1])
    place = ray * (distance + aside[:, 0]).clamp(min=0.1)[:, None]
    own = own_velocities(columns, numbers, read, longest)
    new = {"xyz": place.to(columns["xyz"].dtype), **velocities_there(columns, rays, ray, own, aside[:, 2])}
    return {n: torch.where(on[:, None], v, columns[n]) for n, v in new.items()}


@plans(RadarMissed)
def plan_missed(stream: Radar, call: Call) -> Radar:
    """Mark detections that are missed by chance, and those below the threshold."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        key = keyed(scan_noise(stream, call, item, params).rows())
        figures = {"min_rcs": float(params["min_rcs"]), "nearer": 50.0 / params["at"]}
        return {**ON, **key, "least": least(params["share"]), **figures}

    neutral = {**OFF, **NO_KEY, "least": np.int64(0), "min_rcs": 0.0, "nearer": 1.0}
    return planned_scans(stream, call, _miss, numbers, neutral, adds=(VALID,))


def _miss(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    lost = hit(columns, numbers, noise_rows(columns))
    if "rcs" in columns:
        min_rcs, nearer, on = per_row(columns, numbers, "min_rcs", "nearer", "on")
        floor = rcs_threshold(rays_of(dict(columns))[1] * nearer, min_rcs)
        lost |= on & (columns["rcs"].to(torch.float64) < floor)  # an unknown cross-section is kept
    return without(columns, lost)


@plans(DopplerFolding)
def plan_folding(stream: Radar, call: Call) -> Radar:
    """Fold raw Doppler; the compensated one takes the same step."""
    if "velocity" not in stream.values:
        return stream

    def numbers(item: int, params: Params) -> dict[str, Any]:
        own = radar_of(stream, call, item).max_doppler
        return {**ON, "limit": float(own if params["max_doppler"] is None else params["max_doppler"])}

    return planned_scans(stream, call, _fold, numbers, {**OFF, "limit": 1.0})


def _fold(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    limit, on = per_row(columns, numbers, "limit", "on")
    rays, _ = rays_of(dict(columns))
    step = -2 * limit * nearest_whole(radial(dict(columns), "velocity", rays) / (2 * limit))
    change = rays * step[:, None]
    return {
        n: torch.where(on[:, None], columns[n] + change.to(columns[n].dtype), columns[n])
        for n in VELOCITIES if n in columns
    }  # fmt: skip
