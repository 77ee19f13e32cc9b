"""Selection and noise of points on a device: rows are marked, not taken out, so that no size depends on values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.hashed import RowKey, fractions, row_key
from fusion_aug.streams import Lidar, Points
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID
from fusion_aug.transforms.cloud.lidar import BeamDropout, IntensityGain, check_rings, lidar_of
from fusion_aug.transforms.cloud.points import PointDropout, item_key

ALL = 1 << 53  # what ``fractions`` stay below
NO_KEY = {"start": np.int64(0), "step": np.int64(1)}


def least(share: float) -> np.int64:
    """The whole number below which ``fractions`` hit with a probability; as ``ops.hashed.chance`` compares them."""
    return np.int64(np.ceil(np.fmin(np.fmax(share, 0.0), 1.0) * 2.0**53))


def _keyed(key: RowKey) -> dict[str, Any]:
    return {"start": np.int64(key.start), "step": np.int64(key.step)}


def _hit(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor], counted: Tensor) -> Tensor:
    """Whether each row is hit: its number's fraction lies below ``least`` of its item."""
    rows = columns[ROW_ITEM]
    start, step, below = (numbers[n].index_select(0, rows) for n in ("start", "step", "least"))
    hit: Tensor = fractions(RowKey(start, step), counted) < below
    return hit


def _without(columns: Mapping[str, Tensor], lost: Tensor) -> dict[str, Tensor]:
    return {VALID: ~lost if VALID not in columns else columns[VALID] & ~lost}


@on_device(PointDropout, Points)
def plan_dropout(stream: Points, call: Call) -> Points:
    """Mark a random subset as lost."""
    numbers: list[Any] = [None] * len(stream)
    for i, params in call.asked:
        numbers[i] = {**_keyed(item_key(stream, call, i, params)), "least": least(params["share"])}
    neutral = {**NO_KEY, "least": np.int64(0)}
    return _planned(stream, call, _drop_points, numbers, neutral)


def _drop_points(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return _without(columns, _hit(columns, numbers, columns[ROW_NUMBER]))


@on_device(BeamDropout, Lidar)
def plan_beams(stream: Points, call: Call) -> Points:
    """Mark the points of lost beams; those of no known beam stay."""
    check_rings(stream, call.name)
    numbers: list[Any] = [None] * len(stream)
    for i, params in call.asked:
        numbers[i] = {**_keyed(row_key(params["beams"], call.name)), "least": least(params["share"])}
    return _planned(stream, call, _drop_beams, numbers, {**NO_KEY, "least": np.int64(0)})


def _drop_beams(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    ring = columns["ring"].long()
    return _without(columns, _hit(columns, numbers, ring) & (ring >= 0))


def _planned(stream: Points, call: Call, kernel: Any, numbers: Sequence[Any], neutral: Mapping[str, Any]) -> Points:
    """The stream with a stage of rows in the plan, which may drop some."""
    values = call.program.columns(kernel, stream.values, numbers, neutral, adds=(VALID,))
    return replace_unchecked(stream, values=values)


@on_device(IntensityGain, Lidar)
def plan_intensity(stream: Points, call: Call) -> Points:
    """Change the column; a pending motion stays pending."""
    if "intensity" not in stream.values:
        return stream
    numbers: list[Any] = [None] * len(stream)
    for i, params in call.asked:
        scale = lidar_of(call, stream, i).intensity_scale
        if scale is None:
            raise DataError(
                f"IntensityGain: the scale of the intensities of {call.name!r} is not known; give the largest that a "
                f"return can have, such as log.intensity_scale=255, or the sensor's intensity_scale in log.rig"
            )
        numbers[i] = {"scale": float(scale), "gain": float(params["gain"]), "gamma": float(params["gamma"])}
    neutral = {"scale": np.inf, "gain": 1.0, "gamma": 1.0}
    values = call.program.columns(_other_intensity, stream.values, numbers, neutral)
    return replace_unchecked(stream, values=values)


def _other_intensity(columns: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    intensity, rows = columns["intensity"], columns[ROW_ITEM]
    scale, gain, gamma = (numbers[n].index_select(0, rows) for n in ("scale", "gain", "gamma"))
    share = (intensity.to(torch.float64) / scale).clamp(0, 1)
    new = scale * (gain * share**gamma).clamp(0, 1)
    return {"intensity": torch.where(torch.isfinite(scale), new, intensity.to(torch.float64)).to(intensity.dtype)}
