"""Cubic splines over times in nanoseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def seconds(times: Tensor, since: Tensor) -> np.ndarray:
    """Seconds (n,) float64 of times (n,) after the time ``since``, both int64 ns; the difference is taken in int64."""
    return (times - since).numpy().astype(np.float64) * 1e-9


def spline(times: Tensor, values: Tensor) -> Any:
    """Cubic spline (not-a-knot) of values (k, ...) over seconds since the first time; None for a single value.

    Of readings with equal times, as when a message was sent twice, the first counts.
    """
    from scipy.interpolate import CubicSpline  # slow to import

    first = torch.ones(len(times), dtype=torch.bool)
    first[1:] = times[1:] > times[:-1]
    times, values = times[first], values[first]
    if len(times) < 2:
        return None
    kind = "not-a-knot" if len(times) > 3 else "natural"
    return CubicSpline(seconds(times, times[0]), values.numpy().astype(np.float64), bc_type=kind)
