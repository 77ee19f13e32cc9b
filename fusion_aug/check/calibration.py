"""The same points of the reference frame through the expected and the written calibration of a camera."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from calib import CalibrationError
from fusion_aug.check.geometry import UNCALIBRATED, calibrated, key_cloud, lidars
from fusion_aug.check.measurement import Row
from fusion_aug.sample import Sample

PIXEL_LIMIT = 0.05
MAX_POINTS = 4000
DEPTHS = (5.0, 20.0)  # metres, of the points of a log without LiDAR


def compare_calibration(expected: Sample, found: Sample, name: str) -> Row:
    """Distance on the canvas (px) of the projections of LiDAR points, or of a grid where there is no LiDAR.

    Args:
        expected, found: samples. name: a stream of pictures of both.
    """
    if not calibrated(expected, name):
        return Row("calibration", name, "px", PIXEL_LIMIT, reason=UNCALIBRATED)
    try:
        xyz = points_to_project(expected, name)
        uv, visible = expected.project_ref(xyz, name)
    except CalibrationError as error:  # as at the ends of a log with a clock that is off
        return Row.not_compared("calibration", name, str(error))
    if not calibrated(found, name):
        return Row("calibration (missing)", name, "px", PIXEL_LIMIT, np.array([np.inf]))
    off = (uv - found.project_ref(xyz, name)[0]).norm(dim=1)[visible].numpy()
    if expected.rig.camera(expected[name].instance(name)).size != found.rig.camera(found[name].instance(name)).size:
        off = np.append(off, np.inf)
    return Row("calibration", name, "px", PIXEL_LIMIT, off, "no LiDAR point in view")


def compare_rectification(expected: Sample, found: Sample, name: str) -> Iterator[Row]:
    """How far (px) rectified pixels lie apart: of points before the pair's first camera, and by the turn of the lens.

    Args:
        expected, found: samples. name: a stream of pictures of both. Nothing is known of most cameras.
    """
    cameras = [s.rig.camera(s[name].instance(name)) for s in (expected, found)]
    if cameras[0].rectification is None:
        return
    if cameras[1].rectification is None:
        yield Row.not_compared("rectified pixels", name, "the output holds no R and P")
        return
    known = [(c.A @ c.rectification.P, c.rectification.R) for c in cameras if c.rectification is not None]
    height, width = cameras[0].size
    grid = torch.cartesian_prod(torch.linspace(0, width - 1, 5), torch.linspace(0, height - 1, 5)).to(torch.float64)
    rays = torch.cat([grid, torch.ones(len(grid), 1)], 1) @ torch.linalg.inv(known[0][0][:, :3]).T
    points = torch.cat([torch.cat([rays * depth, torch.ones(len(grid), 1)], 1) for depth in (1.0, *DEPTHS)])
    seen = [points @ P.T for P, _ in known]
    off = (seen[0][:, :2] / seen[0][:, 2:] - seen[1][:, :2] / seen[1][:, 2:]).norm(dim=1)
    turned = (known[0][1] - known[1][1]).abs().max() * cameras[0].pixels_per_radian
    yield Row("rectified pixels", name, "px", PIXEL_LIMIT, torch.cat([off, turned[None]]).numpy())


def points_to_project(sample: Sample, name: str) -> torch.Tensor:
    """(n, 3) points of the reference frame, float64, metres: of the first LiDAR, else a grid before the camera."""
    clouds = lidars(sample)
    if clouds:
        xyz = key_cloud(sample, clouds[0])
        return xyz[:: max(1, len(xyz) // MAX_POINTS)]
    camera = sample.rig.camera(sample[name].instance(name))
    height, width = camera.size
    grid = torch.cartesian_prod(torch.linspace(0, width - 1, 9), torch.linspace(0, height - 1, 9))
    rays = torch.cat([camera.unproject(grid) * depth for depth in DEPTHS])
    T = sample.T_ref(name)
    return rays @ T[:3, :3].T + T[:3, 3]
