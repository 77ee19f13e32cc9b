"""Detections that radars tell and that are none, on a device: how many there may be is known on the host.

Each detection gets a place for a ghost, which is valid where it has one; clutter is drawn on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.program import PACKED
from fusion_aug.core.device.rows import (
    NO_KEY,
    Columns,
    Numbers,
    columns_of,
    fills_of_nothing,
    fresh_numbers,
    hit,
    in_their_rows,
    keyed,
    least,
    marks_of_nothing,
    noise_rows,
    per_row,
    row_keys,
    side_by_side,
    span_of,
    valid_rows,
    with_rows,
)
from fusion_aug.core.registry import Call
from fusion_aug.ops.hashed import uniform
from fusion_aug.ops.radar import VELOCITIES, fresh_flags, rays_of, rotated_about_z
from fusion_aug.ops.taken import taken
from fusion_aug.streams import Radar
from fusion_aug.streams.on_device import ROW_ITEM, ROW_NUMBER, VALID
from fusion_aug.transforms.radar.on_device import planned_scans, plans, radar_of, scan_noise, velocities_there
from fusion_aug.transforms.radar.on_device_motion import MotionThere, OwnVelocity, own_velocities
from fusion_aug.transforms.radar.radar import RadarClutter, RadarGhosts

Params = Mapping[str, Any]
MADE = ("ray", "far", "speed", "rcs", "item", "rank")  # numbers of a detection that is drawn on the host


# --- ghosts -----------------------------------------------------------------------------------------------------------
@plans(RadarGhosts)
def plan_ghosts(stream: Radar, call: Call) -> Radar:
    """Lay a ghost behind every detection of the scans that are asked for."""
    asked = [i for i, _ in call.asked if bool(stream.present[i])]
    if not asked or not columns_of(stream).block.rows:
        return stream
    motion = MotionThere(stream, call)
    spans = {i: span_of(stream, i) for i in asked}

    def numbers(item: int, params: Params) -> dict[str, Any]:
        draws, (first, count) = scan_noise(stream, call, item, params), spans[item]
        keys = {**keyed(draws.rows()), **keyed(draws.rows("angle"), "angle."), "least": least(params["share"])}
        figures = {"path": float(params["path"]), "spread": float(np.radians(params["spread_deg"])),
                   "loss": float(params["loss"]), "reach": float(radar_of(stream, call, item).max_range)}  # fmt: skip
        return {**keys, **figures, f"{PACKED}row": first + np.arange(count), **motion.numbers(item)}

    neutral = {**NO_KEY, "angle.key": NO_KEY["key"], "least": np.int64(0), "path": 0.0, "spread": 0.0, "loss": 0.0,
               "reach": 0.0, f"{PACKED}row": np.zeros(0, np.int64), **motion.neutral()}  # fmt: skip
    order = {i: np.arange(2 * count) for i, (_, count) in spans.items()}
    return planned_scans(
        stream, call, _add_ghosts, numbers, neutral, read=motion.blocks, longest=motion.longest, order=order,
        adds=(VALID,), fills=fills_of_nothing(stream, call),
    )  # fmt: skip


def _add_ghosts(
    columns: Columns, numbers: Numbers, *read: Columns, longest: int, fills: tuple[Any, ...]
) -> dict[str, Tensor]:
    own = own_velocities(columns, numbers, read, longest)
    path, spread, loss, reach = per_row(columns, numbers, "path", "spread", "loss", "reach")
    rows = noise_rows(columns)
    angle = (2 * uniform(row_keys(columns, numbers, "angle."), rows) - 1) * spread
    rays, distance = rays_of(dict(columns))
    ray, far = rotated_about_z(rays, angle), distance + path
    seen = valid_rows(columns) & hit(columns, numbers, rows) & (far <= reach)
    beside, there = side_by_side(columns, numbers, longest)
    rank = (seen.index_select(0, beside.flatten()).view(beside.shape) & there).cumsum(1) - 1
    first = fresh_numbers(columns, numbers, longest).index_select(0, columns[ROW_ITEM])
    more = {
        **columns, **velocities_there(columns, rays, ray, own), VALID: seen, "xyz": ray * far[:, None],
        ROW_NUMBER: first + in_their_rows(rank, columns, numbers), **marks_of_nothing(columns, fills, len(rows)),
    }  # fmt: skip
    if "rcs" in columns:
        more["rcs"] = columns["rcs"] - loss.to(columns["rcs"].dtype)
    chosen = numbers[f"{PACKED}row"]
    return with_rows(columns, {n: taken(v, chosen) for n, v in more.items()}, numbers)


# --- detections that are drawn on the host ----------------------------------------------------------------------------
def made_numbers(
    stream: Radar, item: int, ray: np.ndarray, far: np.ndarray, speed: np.ndarray, rcs: np.ndarray
) -> dict[str, Any]:
    """Detections that are added to an item, as numbers of it.

    Args:
        ray: (k, 3). far: (k,) m. speed: (k,) m/s along the ray, raw or compensated. rcs: (k,) dBsm.
    """
    owner = np.full(len(far), columns_of(stream).own[item], np.int64)
    made = (ray, far, speed, rcs, owner, np.arange(len(far)))
    return {f"{PACKED}{name}": value for name, value in zip(MADE, made, strict=True)}


def none_made() -> dict[str, Any]:
    """The same of an item that gets none."""
    none, whole = np.zeros(0), np.zeros(0, np.int64)
    made = (np.zeros((0, 3)), none, none, none, whole, whole)
    return {f"{PACKED}{name}": value for name, value in zip(MADE, made, strict=True)}


def made_detections(
    columns: Columns, numbers: Numbers, own: OwnVelocity, longest: int, fills: tuple[Any, ...], *, is_raw: bool
) -> dict[str, Tensor]:
    """Columns of detections of ``made_numbers``.

    Args:
        own: velocities of the radars; one that is not known counts as 0. longest: rows of an item at most.
        fills: of columns that say what points lie on. is_raw: whether speeds are raw Doppler.
    """
    ray, far, speed, rcs, item, rank = (numbers[f"{PACKED}{name}"] for name in MADE)
    velocity, known = own.of_rows(item)
    along = (ray * torch.where(known[:, None], velocity, 0.0)).sum(1)
    raw, comp = (speed, speed + along) if is_raw else (speed - along, speed)
    first = fresh_numbers(columns, numbers, longest).index_select(0, item)
    more = {"xyz": ray * far[:, None], ROW_ITEM: item, ROW_NUMBER: first + rank, VALID: torch.ones_like(known),
            "rcs": rcs, **marks_of_nothing(columns, fills, len(far))}  # fmt: skip
    more |= {n: ray * v[:, None] for n, v in zip(VELOCITIES, (raw, comp), strict=True)}
    if "flags" in columns:
        more["flags"] = fresh_flags(dict(columns), len(far))
    return more


@plans(RadarClutter)
def plan_clutter(stream: Radar, call: Call) -> Radar:
    """Add false detections that are spread evenly over the field of view."""
    order: dict[int, np.ndarray] = {}
    made: dict[int, dict[str, Any]] = {}
    for i, params in call.asked:
        if bool(stream.present[i]):
            made[i] = _clutter(stream, call, i, params)
            order[i] = np.arange(span_of(stream, i)[1] + len(made[i][f"{PACKED}far"]))
    if not order:
        return stream
    motion = MotionThere(stream, call)
    return planned_scans(
        stream, call, _add_clutter, lambda item, params: {**made[item], **motion.numbers(item)},
        {**none_made(), **motion.neutral()}, read=motion.blocks, longest=motion.longest, order=order, adds=(VALID,),
        fills=fills_of_nothing(stream, call),
    )  # fmt: skip


def _clutter(stream: Radar, call: Call, item: int, params: Params) -> dict[str, Any]:
    rng, sensor = scan_noise(stream, call, item, params).rng, radar_of(stream, call, item)
    n = int(rng.poisson(params["rate"]))
    azimuth = torch.from_numpy(rng.uniform(-1, 1, n) * np.radians(params["view_deg"]))
    far = sensor.max_range * np.sqrt(rng.random(n))
    ray = torch.stack([torch.cos(azimuth), torch.sin(azimuth), torch.zeros_like(azimuth)], 1).numpy()
    speed = rng.uniform(-1, 1, n) * params["doppler"]
    return made_numbers(stream, item, ray, far, speed, np.full(n, float(params["rcs"])))


def _add_clutter(
    columns: Columns, numbers: Numbers, *read: Columns, longest: int, fills: tuple[Any, ...]
) -> dict[str, Tensor]:
    own = own_velocities(columns, numbers, read, longest)
    return with_rows(columns, made_detections(columns, numbers, own, longest, fills, is_raw=False), numbers)
