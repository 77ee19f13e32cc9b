"""Fog and dust on LiDARs on a device: rows are weakened, marked as lost, or put where the air returns their pulse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import LidarSensor
from fusion_aug.core.device.rows import (
    NO_KEY,
    OFF,
    ON,
    Columns,
    Numbers,
    check_points_move_alone,
    keyed,
    noise_rows,
    per_row,
    planned,
    row_keys,
    span_of,
    without,
)
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.hashed import ItemNoise, centred
from fusion_aug.physics.pulse import PULSES, Pulses
from fusion_aug.physics.pulses_many import Receiver, figures_of, patches, returns
from fusion_aug.streams import Points
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID
from fusion_aug.streams.targets import fill_of_nothing, mark_of_nothing, target_columns
from fusion_aug.transforms.cloud.on_device import lidar_on_device
from fusion_aug.transforms.cloud.on_device_rays import no_scanner, rays, scanner_numbers, scanners_of
from fusion_aug.transforms.weather.lidar import PLAIN
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.weather import Weather

ADDED = ("status", "true_range")  # columns that a report adds
FIGURES, DIRECTION, AIR = "figures", "direction", "pulses"


@on_device(Weather, Points)
def plan_lidar(stream: Points, call: Call) -> Points:
    """Decide for every pulse what comes back."""
    report = any(p["report"] for _, p in call.asked)
    if all(WeatherState.of(p).is_as_recorded for _, p in call.asked) and not report:
        return stream
    check_points_move_alone(stream, call.name)

    def numbers(item: int, params: Mapping[str, Any]) -> dict[str, Any]:
        state = WeatherState.of(params)
        if state.is_as_recorded or span_of(stream, item)[1] == 0:
            return {**NEUTRAL, "asked": np.bool_(True), **scanner_numbers(stream, item, call)}
        sensor = lidar_on_device(call, stream, item)
        draws = ItemNoise(params["noise"], call.name, int(stream.true_capture_times[item]))
        extinction, backscatter = state.air.suspended_optics(sensor.wavelength)
        pulses = Pulses.drawn(extinction, backscatter, sensor, draws.rng) if backscatter > 0 else None
        return {
            **ON, "asked": np.bool_(True), **keyed(draws.rows("wobble")), **_numbers_of(sensor, extinction, pulses),
            **scanner_numbers(stream, item, call),
        }  # fmt: skip

    table = target_columns(stream)
    marks = tuple((n, fill_of_nothing(stream, column)) for n, column in table.items())
    settings = {"scanners": scanners_of(stream), "report": report, "marks": marks}
    adds, neutral = (VALID, *(ADDED if report else ())), {**NEUTRAL, **no_scanner(stream)}
    return planned(stream, call, _in_fog, numbers, neutral, settle=True, adds=adds, **settings)


def _numbers_of(sensor: LidarSensor, extinction: float, pulses: Pulses | None) -> dict[str, Any]:
    """The figures of a scanner, and the pulses that fog returns to it, as numbers of an item."""
    figures, air = figures_of(sensor, extinction, pulses)
    direction = np.zeros((4, 4))
    if pulses is not None:
        direction[:3, :3], direction[3, :3], direction[3, 3] = pulses.bend, pulses.level, pulses.phase
    return {FIGURES: figures, AIR: air, DIRECTION: direction}


STILL = _numbers_of(LidarSensor(frame="", intensity_scale=1.0), 0.0, None)  # all targets return
NEUTRAL = {**OFF, "asked": np.bool_(False), **NO_KEY, **STILL}


def _in_fog(
    columns: Columns, numbers: Numbers, scanners: int, report: bool, marks: tuple[tuple[str, float | None], ...]
) -> dict[str, Tensor]:
    start, way = rays(columns, numbers, scanners)
    single = way.to(torch.float32)
    distance = torch.linalg.norm(single, dim=1)
    figures, drawn = per_row(columns, numbers, FIGURES, DIRECTION)
    receiver, rows = Receiver(*figures.unbind(1)), noise_rows(columns)
    held = columns.get("intensity")
    intensity = PLAIN * receiver.full if held is None else held.to(torch.float32).nan_to_num()
    place = patches(single.to(torch.float64), drawn[:, :3, :3], drawn[:, 3, :3], drawn[:, 3, 3])
    wobble = centred(row_keys(columns, numbers), rows)
    found = returns(
        receiver, distance, intensity, numbers[AIR].flatten(0, 1), place, columns[ROW_ITEM] * PULSES, wobble
    )
    moved, xyz = found.from_air, columns["xyz"]
    there = torch.addcmul(start, single, (found.distance / distance)[:, None]).to(xyz.dtype)
    out = {
        **without(columns, found.lost), "xyz": torch.where(moved[:, None], there, xyz),
        ROW_NUMBER: torch.where(moved, -1 - rows, columns[ROW_NUMBER]),
    }  # fmt: skip
    if held is not None:
        (on,) = per_row(columns, numbers, "on")
        level = found.intensity if held.is_floating_point() else found.intensity.round()
        out["intensity"] = torch.where(on, level.to(held.dtype), held)
    for name, fill in marks:
        where = moved.reshape(-1, *[1] * (columns[name].ndim - 1))
        out[name] = columns[name].masked_fill(where, mark_of_nothing(fill, columns[name].dtype))
    if not report:
        return out
    (asked,) = per_row(columns, numbers, "asked")
    return {**out, "status": moved.to(torch.int64), "true_range": torch.where(asked, distance, torch.nan)}
