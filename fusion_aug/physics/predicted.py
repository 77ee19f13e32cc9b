"""Distances and sky that a network says, brought together with what a LiDAR measured.

A network that sees one picture knows inverse depth up to scale and shift, 1 / z = a p + b (Ranftl et al. 2020). Both
are fitted to the returns, robustly: by iteratively reweighted least squares of the share by which inverse depth is
missed, with the weights of Geman and McClure 1987. A scanner on the roof sees over things that the camera sees.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from calib.ties import nearest_whole

Array = np.ndarray

LEAST_RETURNS = 100  # that scale and shift are fitted to
ROUNDS = 30
SPREAD = 0.15  # of the logarithm of depth: by how much a return is missed that counts for a quarter
QUANTILES = 0.15, 0.5, 0.85
AGREES = 0.25  # of the logarithm of depth: by how much at most a return that agrees is missed
LEAST_GAINED = 0.4  # of the returns that disagree with any one depth, share that a fit must agree with
FARTHEST = 1000.0  # metres: of what is no sky
SKY_FROM = 0.5  # probability


class Fit(NamedTuple):
    """Inverse depth, 1/m, is ``scale`` times what a network says plus ``shift``.

    Attributes:
        share: of the returns that agree. constant: of those that agree with the one depth that most agree with.
    """

    scale: float
    shift: float
    share: float
    constant: float

    @property
    def is_good(self) -> bool:
        """Whether what the network says tells near from far."""
        return self.share - self.constant >= LEAST_GAINED * (1 - self.constant)

    def depth(self, said: Array) -> Array:
        """Depth along the camera's axis (...), metres, at most ``FARTHEST``; float32."""
        inverse = np.float32(self.scale) * said + np.float32(self.shift)
        return 1 / np.maximum(inverse, np.float32(1 / FARTHEST))


def fitted(said: Array, depth: Array) -> Fit:
    """Scale and shift of what a network says.

    Args:
        said: (n,) at the returns' pixels, larger where nearer. depth: (n,) of the returns along the camera's axis, m.
    """
    p, y = said.astype(np.float64), 1 / depth.astype(np.float64)
    low, middle, high = np.quantile(p, QUANTILES)
    least, usual, most = np.quantile(y, QUANTILES)
    # of what is larger where the other is, quantiles belong together
    a = float((most - least) / (high - low)) if high > low else 0.0
    b = float(usual - a * middle)
    for _ in range(ROUNDS):
        near = np.maximum(a * p + b, 1 / FARTHEST)
        miss = np.log(y / near) / SPREAD
        a, b = _weighted(p, y, 1 / (near * (1 + miss * miss)) ** 2)
    share = float((np.abs(np.log(np.maximum(a * p + b, 1 / FARTHEST) / y)) <= AGREES).mean())
    ways = np.sort(np.log(depth))
    constant = float((np.searchsorted(ways, ways + 2 * AGREES, "right") - np.arange(len(ways))).max() / len(ways))
    return Fit(a, b, share, constant)


def _weighted(p: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Scale, not below 0, and shift for which the weighted squares of a p + b - y are least."""
    whole = weight.sum()
    p0, y0 = (weight * p).sum() / whole, (weight * y).sum() / whole
    square = (weight * (p - p0) ** 2).sum()
    a = max(0.0, float((weight * (p - p0) * (y - y0)).sum() / square)) if square > 1e-12 * whole * p0 * p0 else 0.0
    return a, float(y0 - a * p0)


def sky_said(probability: Array, pixels: Array, cell: int) -> Array:
    """Where a network says sky, (H, W) bool, but for the surroundings of returns: what sends one back is a surface.

    Args:
        probability: (H, W), 0 to 1. pixels: (n, 2) of the returns. cell: pixels across what one return stands for.
    """
    hit = np.zeros(probability.shape, np.uint8)
    height, width = probability.shape
    u, v = nearest_whole(pixels).astype(np.int64).T
    hit[v.clip(0, height - 1), u.clip(0, width - 1)] = 1
    side = 2 * max(1, cell // 2) + 1
    around = cv2.dilate(hit, np.ones((side, side), np.uint8)) > 0
    out: Array = (probability >= SKY_FROM - 1e-6) & ~around
    return out
