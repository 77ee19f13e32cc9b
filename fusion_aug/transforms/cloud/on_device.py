"""Selection and noise of points on a device: rows are marked, not taken out, so that no size depends on values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import LidarSensor
from calib.replacing import replace_unchecked
from fusion_aug.core.device.rows import (
    NO_KEY,
    OFF,
    ON,
    Columns,
    Numbers,
    check_points_move_alone,
    hit,
    keyed,
    least,
    noise_rows,
    normals,
    per_row,
    planned,
    planned_loss,
    quantiles,
    row_keys,
    span_of,
    valid_rows,
    with_rows,
    without,
)
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.errors import DataError
from fusion_aug.ops.hashed import row_key, words
from fusion_aug.ops.random import noise
from fusion_aug.ops.voxels import first_in_cells
from fusion_aug.streams import Lidar, Points
from fusion_aug.streams.on_device import ROW_ITEM, VALID
from fusion_aug.transforms.cloud.lidar import BeamDropout, IntensityGain, check_rings, lidar_of
from fusion_aug.transforms.cloud.on_device_rays import distances, no_scanner, rays, scanner_numbers, scanners_of
from fusion_aug.transforms.cloud.points import (
    PointDropout,
    RangeCrop,
    RangeJitter,
    ShufflePoints,
    VoxelSubsample,
    item_key,
)

Params = Mapping[str, Any]
SPARED = {**NO_KEY, "least": np.int64(0)}  # of an item that loses nothing


# --- drawn points -----------------------------------------------------------------------------------------------------
@on_device(PointDropout, Points)
def plan_dropout(stream: Points, call: Call) -> Points:
    """Mark a random subset as lost."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        return {**keyed(item_key(stream, call, item, params)), "least": least(params["share"])}

    return planned(stream, call, _drop_points, numbers, SPARED, adds=(VALID,))


def _drop_points(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    return without(columns, hit(columns, numbers, noise_rows(columns)))


@on_device(BeamDropout, Lidar)
def plan_beams(stream: Points, call: Call) -> Points:
    """Mark the points of lost beams; those of no known beam stay."""
    check_rings(stream, call.name)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        return {**keyed(row_key(params["beams"], call.name)), "least": least(params["share"])}

    return planned(stream, call, _drop_beams, numbers, SPARED, adds=(VALID,))


def _drop_beams(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    ring = columns["ring"].long()
    return without(columns, hit(columns, numbers, ring) & (ring >= 0))


@on_device(ShufflePoints, Points)
def plan_shuffle(stream: Points, call: Call) -> Points:
    """Permute the rows of each item; how many there are has to be known on the host."""
    if VALID in stream.values:
        raise DataError(
            f"ShufflePoints: points of {call.name!r} may have been lost on the device, and how many are left is not "
            f"known there; shuffle before, or before batch.to(...)"
        )
    if not call.asked:
        return stream
    order = {
        i: noise(params["noise"], call.name, int(stream.capture_times[i])).permutation(span_of(stream, i)[1])
        for i, params in call.asked
    }
    return planned(stream, call, _reordered, lambda item, params: {}, {}, order=order, adds=(VALID,))


def _reordered(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    return with_rows(columns, {}, numbers)


# --- places -----------------------------------------------------------------------------------------------------------
@on_device(RangeCrop, Points)
def plan_crop(stream: Points, call: Call) -> Points:
    """Mark what lies outside of a shell as lost."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        high = np.inf if params["high"] is None else float(params["high"])
        return {**ON, "low": float(params["low"]), "high": high, **scanner_numbers(stream, item, call)}

    neutral = {**OFF, "low": 0.0, "high": 0.0, **no_scanner(stream)}
    return planned_loss(stream, call, _crop, numbers, neutral, scanners=scanners_of(stream))


def _crop(columns: Columns, numbers: Numbers, scanners: int) -> dict[str, Tensor]:
    distance = distances(columns, numbers, scanners)
    low, high, on = per_row(columns, numbers, "low", "high", "on")
    return without(columns, on & ~((distance >= low) & (distance <= high)))


@on_device(RangeJitter, Points)
def plan_jitter(stream: Points, call: Call) -> Points:
    """Scale every ray."""
    check_points_move_alone(stream, call.name)

    def numbers(item: int, params: Params) -> dict[str, Any]:
        key = keyed(item_key(stream, call, item, params))
        return {**ON, **key, "sigma": float(params["sigma"]), **scanner_numbers(stream, item, call), **quantiles()}

    neutral = {**OFF, **NO_KEY, "sigma": 0.0, **no_scanner(stream), **quantiles()}
    return planned(stream, call, _jitter, numbers, neutral, settle=True, scanners=scanners_of(stream))


def _jitter(columns: Columns, numbers: Numbers, scanners: int) -> dict[str, Tensor]:
    xyz, (start, way) = columns["xyz"], rays(columns, numbers, scanners)
    sigma, on = per_row(columns, numbers, "sigma", "on")
    shift = normals(columns, numbers) * sigma
    factor = (1 + shift / torch.linalg.norm(way, dim=1).clamp(min=1e-6)).clamp(min=0.01)
    return {"xyz": torch.where(on[:, None], (start + way * factor[:, None]).to(xyz.dtype), xyz)}


@on_device(VoxelSubsample, Points)
def plan_subsample(stream: Points, call: Call) -> Points:
    """Mark all points of a cube but the first in a random order as lost, and those that are not finite."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        return {**ON, **keyed(item_key(stream, call, item, params)), "size": float(params["size"])}

    return planned_loss(stream, call, _subsample, numbers, {**OFF, **NO_KEY, "size": 1.0})


def _subsample(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    size, on = per_row(columns, numbers, "size", "on")
    places = columns["xyz"].to(torch.float64) / size[:, None]
    there = valid_rows(columns) & torch.isfinite(places).all(1)
    drawn = words(row_keys(columns, numbers), noise_rows(columns))
    return without(columns, on & ~first_in_cells(places, columns[ROW_ITEM], drawn, there))


# --- intensities ------------------------------------------------------------------------------------------------------
def lidar_on_device(call: Call, stream: Points, item: int) -> LidarSensor:
    """The model of the scanner of a cloud whose intensities are used; of one that has none the scale is 1.

    Raises:
        DataError: nobody knows the scale of the intensities.
    """
    sensor = lidar_of(call, stream, item)
    if "intensity" not in stream.values or span_of(stream, item)[1] == 0:
        return replace_unchecked(sensor, intensity_scale=1.0)
    if sensor.intensity_scale is None:
        raise DataError(
            f"{call.transform.__name__}: the scale of the intensities of {call.name!r} is not known; give the largest "
            f"that a return can have, such as log.intensity_scale=255, or the sensor's intensity_scale in log.rig"
        )
    return sensor


@on_device(IntensityGain, Lidar)
def plan_intensity(stream: Points, call: Call) -> Points:
    """Change the column; a pending motion stays pending."""
    if "intensity" not in stream.values:
        return stream

    def numbers(item: int, params: Params) -> dict[str, Any]:
        scale = float(lidar_on_device(call, stream, item).scale)
        return {"scale": scale, "gain": float(params["gain"]), "gamma": float(params["gamma"])}

    return planned(stream, call, _other_intensity, numbers, {"scale": np.inf, "gain": 1.0, "gamma": 1.0})


def _other_intensity(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    intensity = columns["intensity"]
    scale, gain, gamma = per_row(columns, numbers, "scale", "gain", "gamma")
    share = (intensity.to(torch.float64) / scale).clamp(0, 1)
    new = scale * (gain * share**gamma).clamp(0, 1)
    return {"intensity": torch.where(torch.isfinite(scale), new, intensity.to(torch.float64)).to(intensity.dtype)}
