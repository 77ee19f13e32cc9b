"""The same points of the reference frame through the expected and the written calibration of a camera."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from calib import CalibrationError, UnknownLens
from calib.sensors import apply_homography
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
        item = placed_item(expected, name)
        xyz = points_to_project(expected, name, item)
        uv, visible = expected.project_ref(xyz, name, camera_item=item)
        if not bool(visible.any()):  # no LiDAR looks where the camera does
            xyz = grid_before(expected, name, item)
            uv, visible = expected.project_ref(xyz, name, camera_item=item)
    except CalibrationError as error:  # as at the ends of a log with a clock that is off
        return Row.not_compared("calibration", name, str(error))
    if not calibrated(found, name):
        return Row("calibration (missing)", name, "px", PIXEL_LIMIT, np.array([np.inf]))
    there = item if item < len(found[name]) else None
    off = (uv - found.project_ref(xyz, name, camera_item=there)[0]).norm(dim=1)[visible].numpy()
    if expected.rig.camera(expected[name].instance(name)).size != found.rig.camera(found[name].instance(name)).size:
        off = np.append(off, np.inf)
    return Row("calibration", name, "px", PIXEL_LIMIT, off, "no point in view")


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
    lenses = [c.rectification.raw for c in cameras if c.rectification is not None]
    if lenses[0] is not None and not isinstance(lenses[0], UnknownLens):
        raw = [None if m is None or isinstance(m, UnknownLens) else apply_homography(c.A, m.project(rays)[0])
               for c, m in zip(cameras, lenses, strict=True)]  # fmt: skip
        apart = np.array([np.inf]) if raw[0] is None or raw[1] is None else (raw[0] - raw[1]).norm(dim=1).numpy()
        yield Row("pixels behind rectified ones", name, "px", PIXEL_LIMIT, apart)


def placed_item(sample: Sample, name: str) -> int:
    """The picture nearest to that of the reference time whose camera's place is known: joints may be read later."""
    key = sample.key_item(name)
    for item in sorted(range(len(sample[name])), key=lambda k: abs(k - key)):
        try:
            sample.T_ref(name, item)
        except CalibrationError:
            continue
        return item
    return key


def points_to_project(sample: Sample, name: str, item: int | None = None) -> torch.Tensor:
    """(n, 3) points of the reference frame, float64, metres: of the first LiDAR, else a grid before the camera."""
    for cloud in lidars(sample)[:1]:
        try:
            xyz = key_cloud(sample, cloud)
        except CalibrationError:  # it stands nowhere in the reference frame
            break
        return xyz[:: max(1, len(xyz) // MAX_POINTS)]
    return grid_before(sample, name, item)


def grid_before(sample: Sample, name: str, item: int | None = None) -> torch.Tensor:
    """(n, 3) points of the reference frame, float64, metres: on rays through a grid of a camera's pixels."""
    camera = sample.rig.camera(sample[name].instance(name))
    height, width = camera.size
    grid = torch.cartesian_prod(torch.linspace(0, width - 1, 9), torch.linspace(0, height - 1, 9))
    rays = torch.cat([camera.unproject(grid) * depth for depth in DEPTHS])
    T = sample.T_ref(name, item)
    return rays @ T[:3, :3].T + T[:3, 3]
