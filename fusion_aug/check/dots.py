"""Content identity: dots drawn at projected 3-D points are found again in the augmented picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from calib.sensors import apply_homography
from fusion_aug.check.camera_map import RecordedCameraMap
from fusion_aug.check.geometry import calibrated, key_cloud, lidars
from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.sample import Sample
from fusion_aug.sample.history import History
from fusion_aug.streams import Camera
from fusion_aug.transforms.scene.scene import scene_motion

MEAN_LIMIT, MAX_LIMIT = 0.05, 0.15  # pixels of the canvas
DOTS = 40  # per camera
RERENDERED = "its picture was re-rendered from depth, which is itself an estimate"
MIN_SIGMA, CANVAS_SIGMA = 3.0, 1.6  # smallest size of a dot: source pixels, canvas pixels
REACH = 4.5  # of a dot, in sigmas


class Dots(NamedTuple):
    """Dots in one camera: points (k, 3) of the reference frame, and their size (source pixels)."""

    points: Tensor
    sigma: float


def map_scales(P: Tensor, size: tuple[int, int]) -> tuple[float, float]:
    """Smallest and largest factor by which a 3x3 pixel map scales at the middle of a picture of ``size``."""
    height, width = size
    at = torch.tensor([[0.0, 0], [1, 0], [0, 1]], dtype=torch.float64) + torch.tensor([width / 2, height / 2])
    uv = apply_homography(P, at)
    values = torch.linalg.svdvals((uv[1:] - uv[:1]).T)
    return float(values[-1]), float(values[0])


def choose_dots(sample: Sample, camera: str, cloud: str, P: Tensor) -> Dots:
    """Points that are well apart and well inside a camera's picture, also on the canvas that ``P`` leads to."""
    size = sample.rig.camera(sample[camera].instance(camera)).size
    smallest, largest = map_scales(P, size)
    sigma = max(MIN_SIGMA, CANVAS_SIGMA / max(smallest, 1e-6))
    apart = 3 * REACH * sigma * largest / max(smallest, 1e-6)
    xyz = key_cloud(sample, cloud)
    uv, visible = sample.project_ref(xyz, camera, true_rig=True)
    far = torch.tensor([size[1], size[0]], dtype=torch.float64)
    margin = torch.minimum(torch.full_like(far, REACH * sigma), far / 8)
    inside = visible & (uv > margin).all(1) & (uv < far - margin).all(1)
    rows = inside.nonzero()[:, 0]
    # a fixed shuffle, so that the dots spread over the picture
    rest = rows[torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))]
    chosen: list[int] = []
    while len(rest) and len(chosen) < DOTS:
        chosen.append(int(rest[0]))
        rest = rest[(uv[rest] - uv[chosen[-1]]).norm(dim=1) > apart]
    return Dots(xyz[chosen], sigma)


def paint_dots(sample: Sample, camera: str, dots: Dots) -> Camera:
    """The camera's key picture, black but for white Gaussian dots at projected points."""
    stream = sample.take_key(camera)
    assert isinstance(stream, Camera)
    height, width = sample.rig.camera(stream.instance(camera)).size
    uv, _ = sample.project_ref(dots.points, camera, true_rig=True)
    picture, reach = np.zeros((height, width), np.float32), int(np.ceil(REACH * dots.sigma)) + 1
    for u, v in uv.tolist():
        a, b = max(0, int(v) - reach), min(height, int(v) + reach + 1)
        c, d = max(0, int(u) - reach), min(width, int(u) + reach + 1)
        y, x = np.mgrid[a:b, c:d]
        picture[a:b, c:d] += np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * dots.sigma**2))
    rgb = torch.from_numpy(np.repeat((picture * 255).round().clip(0, 255).astype(np.uint8)[..., None], 3, 2))
    return replace(stream, items=(rgb,), pending=())


def with_dots(sample: Sample, history: History = ()) -> tuple[Sample, dict[str, Dots]]:
    """The sample with dots in place of its pictures, and the dots of every camera.

    Args:
        sample: one sample.
        history: what will be done to it, so that the dots suit the canvas that comes out.
    """
    clouds = lidars(sample)
    cameras = {n: s for n, s in sample.of_type(Camera).items() if calibrated(sample, n)} if clouds else {}
    dots = {c: choose_dots(sample, c, clouds[0], RecordedCameraMap.from_history(history, c).P) for c in cameras}
    painted = {c: paint_dots(sample, c, d) for c, d in dots.items()}
    return sample.with_streams({**sample.streams, **painted}), dots


def centroid(picture: Tensor, u: float, v: float, radius: int, least: float) -> tuple[float, float] | None:
    """Centre of brightness around an expected pixel, found in a window that follows it; None at the edge.

    Args:
        picture: (H, W, 3).
        u, v: expected pixel.
        radius: of the window, pixels.
        least: brightness (sum of levels) below which there is no dot.
    """
    image = picture[..., 0].to(torch.float64).numpy()
    height, width = image.shape
    for _ in range(4):
        cu, cv = round(u), round(v)
        if cu - radius < 0 or cv - radius < 0 or cu + radius >= width or cv + radius >= height:
            return None
        y, x = np.mgrid[cv - radius : cv + radius + 1, cu - radius : cu + radius + 1]
        weight = image[cv - radius : cv + radius + 1, cu - radius : cu + radius + 1]
        if weight.sum() < least:
            return None
        u, v = float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())
    return u, v


def dot_errors(source: Sample, augmented: Sample, dots: dict[str, Dots]) -> dict[str, np.ndarray]:
    """Distance (pixels) of every dot that is found from where the augmented rig puts its point, by new camera name.

    Args:
        source: the sample with dots.
        augmented: the same after a pipeline.
        dots: of every camera of the source.
    """
    out = {}
    H = scene_motion(augmented.history)
    for camera, (xyz, sigma) in dots.items():
        camera_map = RecordedCameraMap.from_history(augmented.history, camera)
        P, new = camera_map.P, camera_map.name
        smallest, largest = map_scales(P, source.rig.camera(source[camera].instance(camera)).size)
        moved = xyz @ H[:3, :3].T + H[:3, 3]
        uv, visible = augmented.project_ref(moved, new, true_rig=True)
        picture = augmented[new].image(augmented.key_item(new))  # type: ignore[attr-defined]
        radius = int(np.ceil(REACH * sigma * largest))
        least = 0.2 * 255 * 2 * np.pi * sigma**2 * smallest * largest
        height, width = picture.shape[:2]
        errors = []
        for (u, v), seen in zip(uv.tolist(), visible.tolist(), strict=True):
            found = centroid(picture, u, v, radius, least) if seen else None
            clear = radius + 3  # so far from the rim that a dot cannot be missed
            if found is not None:
                errors.append(float(np.hypot(found[0] - u, found[1] - v)))
            elif seen and clear < u < width - clear and clear < v < height - clear:
                errors.append(float("nan"))  # a dot that should be there and is not
        out[new] = np.array(errors)
    return out


@measurement("content")
def content(pairs: Sequence[Pair]) -> list[Row]:
    """Dots found again: mean and largest distance."""
    rows = []
    for pair in pairs:
        dotted, points = with_dots(pair.source, pair.augmented.history)
        for camera in (c for c in pair.source.of_type(Camera) if calibrated(pair.source, c)):
            if camera not in points:
                rows.append(
                    Row("content dots", camera, "px", MAX_LIMIT, reason="the log has no LiDAR to place dots by")
                )
        if not points:
            continue
        from fusion_aug.core.engine import replay

        again = replay(dotted, pair.augmented.history)
        camera_maps = [RecordedCameraMap.from_history(pair.augmented.history, c) for c in points]
        shifted = {r.name for r in camera_maps if r.mount_shifted}
        for camera, errors in dot_errors(dotted, again, points).items():
            if camera in shifted:
                rows.append(Row("content dots", camera, "px", MAX_LIMIT, reason=RERENDERED))
                continue
            rows.append(Row("content dots", camera, "px", MAX_LIMIT, errors, "no dot in view"))
            mean = np.array([errors.mean()]) if len(errors) else errors
            rows.append(Row("content dots, mean", camera, "px", MEAN_LIMIT, mean, "no dot in view"))
    return rows
