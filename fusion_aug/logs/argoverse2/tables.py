"""Tables of Argoverse 2: their columns, poses, and the velocities that its annotations lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from calib.se3 import rotation_from_quaternion, se3
from fusion_aug.errors import DataError

TRACK, LABELS = "city_SE3_egovehicle.feather", "annotations.feather"
MOUNTS, CAMERAS = "calibration/egovehicle_SE3_sensor.feather", "calibration/intrinsics.feather"
QUATERNION, SHIFT = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
POSE = (*QUATERNION, *SHIFT)
SIZE = ("length_m", "width_m", "height_m")
BOXES = ("timestamp_ns", "track_uuid", "category", *SIZE, *POSE, "num_interior_pts")
INTRINSICS = ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
LENS = ("k1", "k2", "k3")


def poses_of(table: dict[str, np.ndarray], where: Path) -> Tensor:
    """(n, 4, 4) rigid transforms of the rows of a table."""
    q = torch.from_numpy(np.stack([table[c] for c in QUATERNION], 1).astype(np.float64))
    t = torch.from_numpy(np.stack([table[c] for c in SHIFT], 1).astype(np.float64))
    norm = torch.linalg.norm(q, dim=1)
    if not bool((torch.isfinite(t).all(1) & ((norm - 1).abs() < 1e-3)).all()):
        raise DataError(f"{where}: a row is no pose: qw qx qy qz must be a unit quaternion and tx ty tz finite")
    return se3(rotation_from_quaternion(q / norm[:, None]), t)


def track_velocities(tracks: np.ndarray, stamps: Tensor, places: Tensor) -> Tensor:
    """Velocity of every annotation, by central differences along its track (one-sided at the track's ends).

    Args:
        tracks: (n,) which object each row is of. stamps: (n,) int64 ns. places: (n, 3) m, in a static frame.

    Returns:
        (n, 3) m/s in that frame, float64; NaN where the neighbours in the track are none or 1.5 s or more apart.
    """
    out = torch.full((len(stamps), 3), torch.nan, dtype=torch.float64)
    _, number = np.unique(tracks, return_inverse=True)
    order = np.lexsort((stamps.numpy(), number))
    same = number[order][1:] == number[order][:-1]
    here = np.arange(len(order))
    before = here - np.concatenate([[False], same])
    after = here + np.concatenate([same, [False]])
    rows, a, b = (torch.from_numpy(order[i]) for i in (here, before, after))
    seconds = (stamps[b] - stamps[a]).to(torch.float64) * 1e-9
    known = (seconds > 0) & (seconds < 1.5)
    out[rows[known]] = ((places[b] - places[a]) / seconds[:, None])[known]
    return out
