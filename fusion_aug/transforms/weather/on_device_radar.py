"""Fog and dust on radars on a device: detections are weaker, and marked as lost below the threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import RadarSensor
from fusion_aug.core.device.rows import Columns, Numbers, per_row, planned_loss, without
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.radar import rcs_threshold
from fusion_aug.streams import Radar
from fusion_aug.transforms.weather.radar import LEAST_MARGIN, two_way_loss
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

CLEAR = {"loss": 0.0, "least": 0.0}


@on_device(Weather, Radar)
def plan_radar(stream: Radar, call: Call) -> Radar:
    """Weaken and lose detections."""
    if "rcs" not in stream.values or all(WeatherState.of(p).air.is_clear for _, p in call.asked):
        return stream

    def numbers(item: int, params: Mapping[str, Any]) -> dict[str, Any]:
        if not bool(stream.present[item]):
            return CLEAR
        sensor = call.sample.metas[int(stream.sample_index[item])].true_rig.sensors.get(call.name)
        known = sensor if isinstance(sensor, RadarSensor) else RadarSensor(frame=stream.frame)
        per_metre = two_way_loss(np.ones(()), WeatherState.of(params), known.carrier)
        return {"loss": float(per_metre), "least": float(known.min_rcs)}

    return planned_loss(stream, call, _weaker, numbers, CLEAR)


def _weaker(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    per_metre, least = per_row(columns, numbers, "loss", "least")
    distance = torch.linalg.norm(columns["xyz"].to(torch.float64), dim=1)
    loss, rcs = per_metre * distance, columns["rcs"].to(torch.float64)
    margin = (rcs - rcs_threshold(distance, least)).clamp(min=LEAST_MARGIN)
    return {**without(columns, loss > margin), "rcs": (rcs - loss).to(columns["rcs"].dtype)}
