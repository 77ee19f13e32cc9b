"""Faults of radars on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.program import PACKED
from fusion_aug.core.device.rows import Columns, Numbers, fills_of_nothing, per_row, span_of, with_rows, without
from fusion_aug.core.registry import Call
from fusion_aug.ops.radar import rays_of, rcs_threshold
from fusion_aug.streams import Radar
from fusion_aug.streams.on_device import VALID
from fusion_aug.transforms.faults.radars import RadarInterference
from fusion_aug.transforms.radar.on_device import planned_scans, plans, radar_of, scan_noise
from fusion_aug.transforms.radar.on_device_added import made_detections, made_numbers, none_made
from fusion_aug.transforms.radar.on_device_motion import MotionThere, own_velocities

Params = Mapping[str, Any]


@plans(RadarInterference)
def plan_interference(stream: Radar, call: Call) -> Radar:
    """Mark detections below the raised threshold as lost, and add false ones."""
    order: dict[int, np.ndarray] = {}
    made: dict[int, dict[str, Any]] = {}
    for i, params in call.asked:
        if bool(stream.present[i]):
            made[i] = _false_ones(stream, call, i, params)
            order[i] = np.arange(span_of(stream, i)[1] + len(made[i][f"{PACKED}far"]))
    if not order:
        return stream
    motion = MotionThere(stream, call)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        figures = {"rise": float(params["noise_rise"]), "min_rcs": float(radar_of(stream, call, item).min_rcs)}
        return {**made[item], **figures, **motion.numbers(item)}

    neutral = {**none_made(), "rise": 0.0, "min_rcs": 0.0, **motion.neutral()}
    return planned_scans(
        stream, call, _interfere, numbers, neutral, read=motion.blocks, longest=motion.longest, order=order,
        adds=(VALID,), fills=fills_of_nothing(stream, call),
    )  # fmt: skip


def _false_ones(stream: Radar, call: Call, item: int, params: Params) -> dict[str, Any]:
    rng, sensor = scan_noise(stream, call, item, params).rng, radar_of(stream, call, item)
    n = int(rng.poisson(params["rate"]))
    azimuth = rng.uniform(-np.pi / 3, np.pi / 3) + rng.normal(0, np.radians(params["spread_deg"]), n)
    far = rng.uniform(2.0, sensor.max_range, n)
    ray = np.stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)], 1)
    raw = rng.uniform(-sensor.max_doppler, sensor.max_doppler, n)
    floor = rcs_threshold(torch.from_numpy(far), sensor.min_rcs).numpy()
    return made_numbers(stream, item, ray, far, raw, floor + params["noise_rise"] + rng.exponential(2.0, n))


def _interfere(
    columns: Columns, numbers: Numbers, *read: Columns, longest: int, fills: tuple[Any, ...]
) -> dict[str, Tensor]:
    own = own_velocities(columns, numbers, read, longest)
    more = made_detections(columns, numbers, own, longest, fills, is_raw=True)
    if "rcs" in columns:
        rise, min_rcs = per_row(columns, numbers, "rise", "min_rcs")
        least = rcs_threshold(rays_of(dict(columns))[1], min_rcs)
        margin = (columns["rcs"].to(torch.float64) - least).clamp(min=0.5)  # it was detected before
        columns = {**columns, **without(columns, rise > margin)}
    return with_rows(columns, more, numbers)
