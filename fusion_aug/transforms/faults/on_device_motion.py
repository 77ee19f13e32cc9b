"""Faults of IMUs and satellite navigation on a device."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.rows import OFF, ON, Columns, Numbers, per_row, planned
from fusion_aug.core.device.rules import on_device, walks_on_host
from fusion_aug.core.registry import Call
from fusion_aug.streams import EgoPose, Imu, SatelliteFix
from fusion_aug.transforms.faults.motion import GpsJump, ImuSaturation, jump_matrix, moved_fix

Params = Mapping[str, Any]

walks_on_host(GpsJump)


@on_device(ImuSaturation, Imu)
def plan_saturation(stream: Imu, call: Call) -> Imu:
    """Clip every axis."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        return {"accel": float(params["accel"]), "gyro": params["gyro_deg"] * (math.pi / 180)}

    return planned(stream, call, _clip, numbers, {"accel": np.inf, "gyro": np.inf})


def _clip(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    out = {}
    for name in ("accel", "gyro"):
        if name in columns:
            value, (end,) = columns[name], per_row(columns, numbers, name)
            end = end.to(value.dtype)[:, None]
            out[name] = torch.minimum(torch.maximum(value, -end), end)
    return out


@on_device(GpsJump, EgoPose)
def plan_jump(stream: EgoPose, call: Call) -> EgoPose:
    """Move the reported poses."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        return {"shift": jump_matrix(params).numpy()}

    return planned(stream, call, _shift, numbers, {"shift": np.eye(4)})


def _shift(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    (shift,) = per_row(columns, numbers, "shift")
    return {"pose": (shift @ columns["pose"].to(torch.float64)).to(columns["pose"].dtype)}


@on_device(GpsJump, SatelliteFix)
def plan_jump_of_fixes(stream: SatelliteFix, call: Call) -> SatelliteFix:
    """Move the reported places, along the ellipsoid."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        east, north = jump_matrix(params)[:2, 3].tolist()
        return {**ON, "east": east, "north": north}

    return planned(stream, call, _shift_fix, numbers, {**OFF, "east": 0.0, "north": 0.0})


def _shift_fix(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    east, north, on = per_row(columns, numbers, "east", "north", "on")
    moved = moved_fix(columns["latitude"], columns["longitude"], east, north)
    return {n: torch.where(on, v.to(columns[n].dtype), columns[n]) for n, v in moved.items()}
