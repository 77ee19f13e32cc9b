"""The residual: how large the changes are that a lossy output leaves out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fusion_aug.sample import Sample


def residual(
    sample: Sample, cameras: Sequence[str], as_stored: Callable[[Tensor], Tensor] = lambda matrix: matrix
) -> dict[str, float]:
    """Return how far a reader of the official files can be from the sample.

    Args:
        sample: what is written.
        cameras: those whose calibration the files hold.
        held: what they hold of the 3x3 of intrinsics and pixel map.

    Returns:
        ``box_tilt_deg``: largest angle between a box's z axis and the reference frame's, which yaw-only readers drop;
        ``distortion_px``: largest shift of a pixel by distortion or skew that the files leave out;
        ``depth_share``: largest relative error of the depth that a perspective in the intrinsics brings.
    """
    out = {"box_tilt_deg": 0.0, "distortion_px": 0.0, "depth_share": 0.0}
    if "boxes" in sample.streams and sample.boxes().rows:
        out["box_tilt_deg"] = box_tilt_deg(sample, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    for name in cameras:
        camera = sample.rig.camera(name)
        height, width = camera.size
        grid = torch.cartesian_prod(torch.linspace(0, width - 1, 9), torch.linspace(0, height - 1, 9)).double()
        rays = camera.unproject(grid)
        ahead = rays[:, 2] > 0.01
        flat = rays[ahead] / rays[ahead, 2:] @ as_stored(camera.A @ camera.model.K).T
        if len(flat):
            off = (flat[:, :2] / flat[:, 2:] - grid[ahead]).norm(dim=1).max()
            out["distortion_px"] = max(out["distortion_px"], round(float(off), 6))
            out["depth_share"] = max(out["depth_share"], round(float((flat[:, 2] - 1).abs().max()), 6))
    return out


def box_tilt_deg(sample: Sample, up: Tensor) -> float:
    """Largest angle between the boxes' z axes and a direction (3,) of the reference frame, degrees; 0 without boxes."""
    own = sample.boxes()["pose"][:, :3, 2]
    tilt = torch.atan2(torch.linalg.norm(torch.linalg.cross(own, up.expand_as(own)), dim=1), own @ up)
    return round(float(torch.rad2deg(tilt).max()), 6) if len(own) else 0.0
