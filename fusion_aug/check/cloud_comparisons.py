"""How columns of clouds are compared: part of the open table of ``comparisons``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fusion_aug.check.comparisons import by_value, intensity_unit, rate_unit, register_comparison, vectors
from fusion_aug.streams import Points, Radar


def places(expected: Any, found: Any) -> np.ndarray:
    """(n,) distance of points (n, 3); in float64, as coordinates of a map are held, without leave to round."""
    if expected.dtype == found.dtype == torch.float64:
        gap = np.linalg.norm((expected - found).detach().cpu().numpy(), axis=-1)
        if bool(np.isfinite(gap).all()):
            return gap
    return vectors(expected, found)


# points of a LiDAR are in float32 on disk, and often in another frame
register_comparison((Points, "xyz"), places, "m", 2e-3, title="points (xyz)")
register_comparison((Points, "intensity"), by_value, intensity_unit, 1e-6)
register_comparison((Radar, "velocity"), vectors, "m/s", 1e-3, title="Doppler ({})")
register_comparison((Radar, "velocity_comp"), vectors, "m/s", 1e-3, title="Doppler ({})")
register_comparison((Radar, "rcs"), by_value, "dBsm", 1e-6)
register_comparison("radial", by_value, rate_unit("m", "m/s"), 1e-4)
register_comparison("direction", vectors, "1", 1e-6)
register_comparison("curvature", by_value, "1/m", 1e-6)
for kind in ("range", "azimuth", "elevation", "angle", "unknown"):  # in the unit of the driver
    register_comparison(kind, by_value, "1", 1e-4)
