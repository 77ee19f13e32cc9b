"""Columns resampled in time, each by its declared method."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import se3, slerp, slerp_quaternions
from calib.splines import seconds, spline
from fusion_aug.ops.resample import bracket, nearest, strongest
from fusion_aug.streams.columns import Column, take_column_rows
from fusion_aug.streams.rotations import TURNS, read_turns


def read_at(values: Any, column: Column, times: Tensor, at: Tensor) -> Any:
    """A column (k, ...) at other times (n,), by its method of resampling.

    Args:
        values: the column. column: its type, with the method (``Column.resample``).
        times: (k,) int64 ns of its values. at: (n,) int64 ns, inside them.
    """
    if column.resample == TURNS:
        return read_turns(values, column, times, at)
    if column.resample == "strongest":
        return strongest(values, times, at)
    if column.resample == "nearest" or isinstance(values, np.ndarray) or not values.is_floating_point():
        return take_column_rows(values, nearest(times, at))
    before, after, weight = bracket(times, at)
    a, b = values[before], values[after]
    if column.resample == "slerp":
        w = weight
        if values.ndim == 2:  # quaternions
            return torch.where(w[:, None] == 0, a, slerp_quaternions(a, b, w).to(values))
        position = a[:, :3, 3] + w[:, None] * (b[:, :3, 3] - a[:, :3, 3])
        return se3(slerp(a[:, :3, :3], b[:, :3, :3], w), position).to(values)
    if column.resample == "cubic" and len(times) > 3 and bool(torch.isfinite(values).all()):
        curve = spline(times, values.detach().cpu())
        if curve is None:
            return values[:1].expand(len(at), *values.shape[1:])
        return torch.from_numpy(curve(seconds(at.clamp(times[0], times[-1]), times[0]))).to(values)
    w = weight.reshape(-1, *[1] * (values.ndim - 1)).to(values)
    if column.resample == "longitude":
        short = (b - a + 180) % 360 - 180
        return torch.where(w == 0, a, (a + w * short + 180) % 360 - 180)
    return torch.where(w == 0, a, a + w * (b - a))
