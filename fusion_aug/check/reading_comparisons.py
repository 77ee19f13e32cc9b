"""How attitudes, covariances and durations are compared: part of the open table of ``comparisons``."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.check.comparisons import beyond_rounding, by_value, register_comparison


def turns_between(expected: Any, found: Any) -> np.ndarray:
    """(n,) angle in radians between rotations as quaternions (n, 4), of either sign: 4 asin(|q - q'| / 2)."""
    near = [np.sqrt((beyond_rounding(expected, sign * found) ** 2).sum(-1)) for sign in (1, -1)]
    size = np.minimum(*near) / 2
    return np.where(np.isfinite(size), 4 * np.arcsin(np.minimum(size, 1.0)), np.inf)


register_comparison("rotation", turns_between, "rad", 1e-6)
register_comparison("covariance", by_value, "SI^2", 1e-6)
register_comparison("duration", by_value, "s", 1e-6)
