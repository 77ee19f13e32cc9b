"""Probe: a fixed statistic of how much of the data a transform takes, by kind of data.

It tells how strong transforms are against each other, not how much a network loses. Every loss lies from 0, nothing has
changed, to 1:

* ``pictures`` (cameras) and ``gels`` (tactile pictures): 1 - mean SSIM of the three channels (Wang et al. 2004);
* ``clouds`` (LiDAR): share of the points of which none is left within 0.1 m, plus the share of new points that are that
  far from all old ones; a point that is left counts by how far its intensity has changed, in spreads of the cloud's;
* ``radar``: the same with 1 m, and velocity and cross-section for intensity;
* ``imu``, ``joints``, ``wrenches``, ``odometry``: rms difference over the own spread of every component, in the column
  that changes most; ``taxels``: the sum of absolute differences over that of the values. Readings that are gone count
  as lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from scipy.spatial import cKDTree
from torch import Tensor

from fusion_aug.sample import Sample
from fusion_aug.streams import (
    Camera,
    ImageStream,
    Imu,
    JointState,
    Lidar,
    Odometry,
    Points,
    Radar,
    Stream,
    TactileImage,
    Taxels,
    Wrench,
)

NEAR = {"clouds": 0.1, "radar": 1.0}  # metres within which a point is the same
VALUES = {"clouds": ("intensity",), "radar": ("velocity", "rcs")}  # columns besides the place
READINGS = {Imu: "imu", JointState: "joints", Wrench: "wrenches", Odometry: "odometry"}
# median loss of the suite's presets of severity 5 that take at least 0.05 of a kind (tools/calibrate_strength.py)
REFERENCE = {
    "pictures": 0.28, "clouds": 0.54, "radar": 0.39,
    **dict.fromkeys(("gels", "imu", "joints", "wrenches", "odometry", "taxels"), 0.39),  # the median of those three
}  # fmt: skip
WINDOW, SIGMA = 11, 1.5  # pixels, of SSIM
STEADY = (0.01**2, 0.03**2)  # its constants for levels from 0 to 1


def losses(before: Sample, after: Sample) -> dict[str, float]:
    """How much of a sample a transform has taken, by kind of data; only kinds that the sample has.

    Args:
        before, after: the transform; samples, not batches.

    Returns:
        kind -> loss from 0 to 1, the mean over its streams. A stream that is gone is lost as a whole.
    """
    found: dict[str, list[float]] = {}
    for name, stream in before.streams.items():
        if measure := _measure_of(stream):
            kind, loss = measure
            left = after.streams.get(name)
            same = left is stream
            found.setdefault(kind, []).append(0.0 if same else 1.0 if left is None else loss(stream, left))
    return {kind: float(np.mean(values)) for kind, values in found.items()}


def _measure_of(stream: Stream) -> tuple[str, Callable[[Stream, Stream], float]] | None:
    """The kind of data of a stream, and how its loss is measured."""
    if isinstance(stream, Camera | TactileImage):
        return "gels" if isinstance(stream, TactileImage) else "pictures", pictures_loss
    if isinstance(stream, Lidar | Radar):
        kind = "radar" if isinstance(stream, Radar) else "clouds"
        return kind, partial(points_loss, kind=kind)
    if isinstance(stream, Taxels):
        return "taxels", partial(readings_loss, by_sum=True)
    return next(((kind, readings_loss) for cls, kind in READINGS.items() if isinstance(stream, cls)), None)


def pictures_loss(before: Stream, after: Stream) -> float:
    """1 - mean SSIM over the pictures of two streams; a picture that is gone or of another size is lost."""
    assert isinstance(before, ImageStream) and isinstance(after, ImageStream)
    a, b = before.realized(), after.realized()
    if len(a) != len(b):
        return 1 - min(len(a), len(b)) / max(len(a), len(b))
    out = [0.0 if p is q else picture_loss(p, q) for p, q in zip(a.items, b.items, strict=True)]
    return float(np.mean(out)) if out else 0.0


def picture_loss(before: Tensor, after: Tensor) -> float:
    """1 - SSIM of two pictures (H, W, 3), averaged over pixels and channels, from 0 to 1."""
    if before.shape != after.shape:
        return 1.0
    x, y = (p.cpu().numpy().astype(np.float32) / (1 if p.is_floating_point() else 255) for p in (before, after))

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA))

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    alike = (2 * mx * my + STEADY[0]) * (2 * cov + STEADY[1])
    alike /= (mx * mx + my * my + STEADY[0]) * (vx + vy + STEADY[1])
    return float(np.clip(1 - alike.mean(dtype=np.float64), 0, 1))


def points_loss(before: Stream, after: Stream, kind: str) -> float:
    """Share of points that are lost, moved, added or changed, at most 1.

    Args:
        before, after: clouds. kind: ``clouds`` or ``radar``, which says how near is the same.
    """
    assert isinstance(before, Points) and isinstance(after, Points)
    a, b = before.realized(), after.realized()
    old, new = (s["xyz"].detach().cpu().numpy().astype(np.float64) for s in (a, b))
    here, there = np.isfinite(old).all(1), np.isfinite(new).all(1)
    if not here.any():
        return 0.0
    if not there.any():
        return 1.0
    off, nearest = cKDTree(new[there]).query(old[here])
    found = off <= NEAR[kind]
    added = float((cKDTree(old[here]).query(new[there])[0] > NEAR[kind]).sum())
    changed = np.zeros(len(off))
    for name in (n for n in VALUES[kind] if n in a.values and n in b.values):
        x, y = (s[name].detach().cpu().numpy().astype(np.float64).reshape(len(s[name]), -1) for s in (a, b))
        spread = max(float(x[here].std()), 1e-9)
        changed = np.maximum(changed, np.linalg.norm(y[there][nearest] - x[here], axis=1) / spread)
    gone = np.where(found, np.minimum(np.nan_to_num(changed, nan=1.0), 1), 1.0)
    return float(min(1.0, gone.mean() + added / len(off)))


def readings_loss(before: Stream, after: Stream, by_sum: bool = False) -> float:
    """How much readings differ, in the column that changed most, at most 1; lost readings count as 1.

    Args:
        before, after: streams of readings.
        by_sum: by the sum of absolute differences against that of the values; else by rms, over the own spread of every
            component, a component that hardly moves counted with a tenth of the largest spread of its column.
    """
    n = min(len(before), len(after))
    share, most = n / max(len(before), 1), 0.0
    for name, column in before.values.items():
        other = after.values.get(name)
        if not isinstance(column, Tensor) or not column.is_floating_point() or not isinstance(other, Tensor):
            continue
        if "covariance" in name or len(column) != len(before) or other.shape[1:] != column.shape[1:]:
            continue
        width = column[0].numel() if n else 0
        x, y = (v[:n].detach().cpu().numpy().astype(np.float64).reshape(n, width) for v in (column, other))
        most = max(most, _sums_differ(x, y) if by_sum else _differ(x, y))
    return float(1 - share * (1 - min(1.0, most)))


def _sums_differ(x: np.ndarray, y: np.ndarray) -> float:
    """Sum of absolute differences (n, k) against that of the values; 0 of no values. What is NaN in y alone is gone."""
    known = np.isfinite(x)
    size = np.abs(x[known])
    apart = np.abs(y[known] - x[known])
    return float(np.where(np.isnan(apart), size, apart).sum() / size.sum()) if size.sum() > 0 else 0.0


def _differ(x: np.ndarray, y: np.ndarray) -> float:
    """Rms difference (n, k) over the spread of every component; what is NaN in y alone is off by one spread."""
    known = np.isfinite(x)
    count = np.maximum(known.sum(0), 1)
    middle = np.where(known, x, 0).sum(0) / count
    spread = np.sqrt(np.where(known, (x - middle) ** 2, 0).sum(0) / count)
    spread = np.maximum(spread, 0.1 * spread.max(initial=0))
    if not spread.max(initial=0) > 0:
        return 0.0
    apart = ((y - x) / spread)[known] ** 2
    return float(np.sqrt(np.where(np.isnan(apart), 1.0, apart).mean()))
