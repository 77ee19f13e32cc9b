"""Content identity: dots drawn where 3-D points project are found again in the augmented picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from fusion_aug.check.geometry import key_cloud, lidars, pixel_route
from fusion_aug.check.measurement import Pair, Row, measurement
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera

MEAN_LIMIT, MAX_LIMIT = 0.05, 0.15  # pixels
DOTS = 40  # per camera
SIGMA = 3.0  # of a dot, source pixels
APART = 40.0  # least distance of two dots, source pixels


def choose_dots(sample: Sample, camera: str, cloud: str) -> Tensor:
    """Points (k, 3) of the reference frame that are well apart and well inside a camera's picture."""
    xyz = key_cloud(sample, cloud)
    uv, visible = sample.project_ref(xyz, camera, truth=True)
    height, width = sample.rig.camera(sample[camera].instance(camera)).size
    margin = min(APART / 2, width / 8, height / 8)
    inside = (
        visible & (uv[:, 0] > margin) & (uv[:, 0] < width - margin) & (uv[:, 1] > margin) & (uv[:, 1] < height - margin)
    )
    rows = inside.nonzero()[:, 0]
    # a fixed shuffle, so that the dots spread over the picture
    order = np.random.default_rng(0).permutation(len(rows))
    chosen: list[int] = []
    for row in rows[torch.from_numpy(order)].tolist():
        if len(chosen) == DOTS:
            break
        if all(float((uv[row] - uv[c]).norm()) > APART for c in chosen):
            chosen.append(row)
    return xyz[chosen]


def paint_dots(sample: Sample, camera: str, points: Tensor) -> Camera:
    """The camera's key picture, black but for white Gaussian dots at projected points."""
    stream = sample.take_key(camera)
    assert isinstance(stream, Camera)
    height, width = sample.rig.camera(stream.instance(camera)).size
    uv, _ = sample.project_ref(points, camera, truth=True)
    picture = np.zeros((height, width), np.float32)
    for u, v in uv.tolist():
        a, b = max(0, int(v) - 14), min(height, int(v) + 15)
        c, d = max(0, int(u) - 14), min(width, int(u) + 15)
        y, x = np.mgrid[a:b, c:d]
        picture[a:b, c:d] += np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * SIGMA**2))
    rgb = torch.from_numpy(np.repeat((picture * 255).round().clip(0, 255).astype(np.uint8)[..., None], 3, 2))
    return replace(stream, items=(rgb,), pending=())


def with_dots(sample: Sample) -> tuple[Sample, dict[str, Tensor]]:
    """The sample with dots in place of its pictures, and the points behind them by camera."""
    clouds = lidars(sample)
    points = {c: choose_dots(sample, c, clouds[0]) for c in sample.of_type(Camera)} if clouds else {}
    painted = {c: paint_dots(sample, c, p) for c, p in points.items()}
    return sample.with_streams({**sample.streams, **painted}), points


def centroid(picture: Tensor, u: float, v: float, scale: float) -> tuple[float, float] | None:
    """Centre of brightness around an expected pixel, found in a window that follows it; None at the edge."""
    image = picture[..., 0].to(torch.float64).numpy()
    height, width = image.shape
    radius = int(np.ceil(4.5 * SIGMA * max(scale, 0.5)))
    for _ in range(4):
        cu, cv = round(u), round(v)
        if cu - radius < 0 or cv - radius < 0 or cu + radius >= width or cv + radius >= height:
            return None
        y, x = np.mgrid[cv - radius : cv + radius + 1, cu - radius : cu + radius + 1]
        weight = image[cv - radius : cv + radius + 1, cu - radius : cu + radius + 1]
        if weight.sum() < 255:
            return None
        u, v = float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())
    return u, v


def dot_errors(source: Sample, augmented: Sample, points: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Distance (pixels) of every dot that is found from where the augmented rig puts its point, by new camera name.

    Args:
        source: the sample with dots.
        augmented: the same after a pipeline.
        points: by camera, in the reference frame of the source.
    """
    out = {}
    H = scene_map(augmented)
    for camera, xyz in points.items():
        P, new = pixel_route(augmented.history, camera)
        moved = xyz @ H[:3, :3].T + H[:3, 3]
        uv, visible = augmented.project_ref(moved, new, truth=True)
        picture = augmented[new].pictures[augmented.key_item(new)]  # type: ignore[attr-defined]
        scale = float(torch.linalg.det(P[:2, :2]).abs().sqrt())
        errors = []
        for (u, v), seen in zip(uv.tolist(), visible.tolist(), strict=True):
            found = centroid(picture, u, v, scale) if seen else None
            if found is not None:
                errors.append(float(np.hypot(found[0] - u, found[1] - v)))
            elif seen and _well_inside(u, v, picture, scale):
                errors.append(float("nan"))  # a dot that should be there and is not
        out[new] = np.array(errors)
    return out


def _well_inside(u: float, v: float, picture: Tensor, scale: float) -> bool:
    margin = 5.5 * SIGMA * max(scale, 0.5) + 2
    height, width = picture.shape[:2]
    return margin < u < width - margin and margin < v < height - margin


def scene_map(augmented: Sample) -> Tensor:
    """The similarity (4, 4) of the reference frame that the records imply."""
    from fusion_aug.families import Scene
    from fusion_aug.registry import TRANSFORMS

    H = torch.eye(4, dtype=torch.float64)
    for record in augmented.history:
        cls = TRANSFORMS.get(record.name)
        if record.applied and cls is not None and issubclass(cls, Scene):
            H = cls.motion(record.params[""])[0] @ H
    return H


@measurement("content")
def content(pairs: Sequence[Pair]) -> list[Row]:
    """Dots found again: mean and largest distance."""
    rows = []
    for pair in pairs:
        dotted, points = with_dots(pair.source)
        for camera in pair.source.of_type(Camera):
            if camera not in points:
                rows.append(
                    Row("content dots", camera, "px", MAX_LIMIT, reason="the log has no LiDAR to place dots by")
                )
        if not points:
            continue
        from fusion_aug.transforms.engine import replay

        again = replay(dotted, pair.augmented.history)
        for camera, errors in dot_errors(dotted, again, points).items():
            rows.append(Row("content dots", camera, "px", MAX_LIMIT, errors, "no dot in view"))
            mean = np.array([errors.mean()]) if len(errors) else errors
            rows.append(Row("content dots, mean", camera, "px", MEAN_LIMIT, mean, "no dot in view"))
    return rows
