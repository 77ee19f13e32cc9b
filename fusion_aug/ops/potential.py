"""A map from its steps between neighbours (Poisson's equation), and a coarse map at the edges of a finer picture."""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray
ROUNDS = 4  # of the solver


def integrated(steps: list[tuple[Array, Array]], expected: Array, weight: Array) -> Array:
    """The map (h, w) nearest to given steps across and down and to expected values, by weighted least squares.

    Conjugate gradients, preconditioned by the same equations with mean weights, which a cosine transform solves.

    Args:
        steps: across (h, w - 1) and down (h - 1, w), each with its weights. expected, weight: (h, w).
    """
    from scipy.fft import dctn, idctn

    (across, a), (down, d) = steps

    def applied(x: Array) -> Array:
        out = weight * x
        flow = a * np.diff(x, axis=1)
        out[:, :-1] -= flow
        out[:, 1:] += flow
        flow = d * np.diff(x, axis=0)
        out[:-1] -= flow
        out[1:] += flow
        return out

    pull = weight * expected
    pull[:, :-1] -= a * across
    pull[:, 1:] += a * across
    pull[:-1] -= d * down
    pull[1:] += d * down
    v, u = (2 - 2 * np.cos(np.pi * np.arange(n, dtype=np.float32) / n) for n in weight.shape)
    scale = weight.mean() + a.mean() * u[None] + d.mean() * v[:, None]
    x, left, way, size = np.zeros_like(pull), pull, np.zeros_like(pull), 0.0
    for _ in range(ROUNDS):
        near = idctn(dctn(left) / scale)
        fresh = float((left * near).sum())
        way = near + np.float32(fresh / size if size else 0.0) * way
        size, bent = fresh, applied(way)
        along = np.float32(fresh / max(float((way * bent).sum()), 1e-12))
        x, left = x + along * way, left - along * bent
    return x


def guided(coarse: Array, guide: Array, fine: Array, radius: int = 2, eps: float = 0.02) -> Array:
    """A coarse map at the size of a fine guide, as a linear function of it in every small window (He and Sun 2015).

    Args:
        coarse: (h, w) float32. guide: (h, w) of the fine one. fine: (H, W) float32. radius: of windows, cells.
        eps: variance of the guide below which windows are even.
    """
    size = (2 * radius + 1, 2 * radius + 1)
    mean, level = cv2.blur(coarse, size), cv2.blur(guide, size)
    slope = (cv2.blur(coarse * guide, size) - mean * level) / (cv2.blur(guide * guide, size) - level * level + eps)
    slope = np.clip(slope, 0, 1)
    a, b = (cv2.resize(cv2.blur(x, size), fine.shape[::-1]) for x in (slope, mean - slope * level))
    return a * fine + b


__all__ = ["guided", "integrated"]
