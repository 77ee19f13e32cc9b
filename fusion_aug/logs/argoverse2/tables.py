"""Tables of Argoverse 2: clouds, poses, and the velocities that its annotations lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.se3 import rotation_from_quaternion, se3
from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.feather import read_table
from fusion_aug.streams.source import decoder

QUATERNION, SHIFT = ("qw", "qx", "qy", "qz"), ("tx_m", "ty_m", "tz_m")
POSE = (*QUATERNION, *SHIFT)
SIZE = ("length_m", "width_m", "height_m")


@decoder("argoverse_cloud")
def decode_cloud(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """x y z (float32), intensity (0 to 255), ring (laser number), origin (scanner), time_offset (s, float64)."""
    table = read_table(raw, path, ("x", "y", "z", "intensity", "laser_number", "offset_ns"))
    laser = torch.from_numpy(table["laser_number"].astype(np.int64))
    return {
        "xyz": torch.from_numpy(np.stack([table[c].astype(np.float32) for c in "xyz"], 1)),
        "intensity": torch.from_numpy(table["intensity"].astype(np.float32)),
        "ring": laser,
        "origin": (laser >= 32).to(torch.int64),
        "time_offset": torch.from_numpy(table["offset_ns"].astype(np.float64) * 1e-9),
    }


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
