"""Statistics of LeRobotDataset v3.0: minimum, maximum, mean, deviation and quantiles per episode and over all.

Quantiles come from a histogram of 5000 bins, and those of the whole dataset are means of the episodes' weighted by
their frames: LeRobot computes them so, and readers of the files expect it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
BINS = 5000
MAX_SIDE = 300  # pixels; larger pictures are subsampled


def vector_stats(rows: np.ndarray) -> dict[str, Any]:
    """Statistics of a feature (n, ...), over frames and all axes but the last."""
    flat = rows.reshape(-1, rows.shape[-1]) if rows.ndim > 1 else rows.reshape(-1, 1)
    values = flat.astype(np.float64)
    out: dict[str, Any] = {
        "min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0),
        "count": np.array([len(rows)]),
    }  # fmt: skip
    return out | {
        n: np.array([_quantile(values[:, c], q) for c in range(values.shape[1])]) for n, q in QUANTILES.items()
    }


def picture_stats(pictures: Sequence[np.ndarray]) -> dict[str, Any]:
    """Statistics of pictures (H, W, 3) uint8 as shares of the full level, (3, 1, 1) each."""
    side = max(pictures[0].shape[:2])
    step = max(1, round(side / 150)) if side >= MAX_SIDE else 1
    rows = np.concatenate([p[::step, ::step].reshape(-1, 3) for p in pictures])
    stats = vector_stats(rows)
    out = {k: (v / 255).reshape(3, 1, 1) for k, v in stats.items() if k != "count"}
    return out | {"count": np.array([len(pictures)])}


def depth_stats(pictures: np.ndarray) -> dict[str, Any]:
    """Statistics of one-channel pictures (n, H, W), depth or heights in metres, (1, 1, 1) each."""
    stats = vector_stats(pictures.reshape(len(pictures), -1, 1))
    return {k: v if k == "count" else v.reshape(1, 1, 1) for k, v in stats.items()}


def picture_samples(count: int) -> list[int]:
    """Return the frames of an episode whose pictures enter the statistics."""
    wanted = min(count, max(min(100, count), min(int(count**0.75), 10000)))
    return np.round(np.linspace(0, count - 1, wanted)).astype(int).tolist()


def combine_stats(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Combine the statistics of several episodes."""
    counts = np.array([float(np.asarray(p["count"]).reshape(-1)[0]) for p in parts])
    weights = counts / counts.sum()

    def mean_of(name: str) -> np.ndarray:
        return sum(w * np.asarray(p[name], dtype=np.float64) for w, p in zip(weights, parts, strict=True))

    mean = mean_of("mean")
    spread = sum(
        w * (np.asarray(p["std"], dtype=np.float64) ** 2 + (np.asarray(p["mean"]) - mean) ** 2)
        for w, p in zip(weights, parts, strict=True)
    )
    return {
        "min": np.minimum.reduce([np.asarray(p["min"]) for p in parts]),
        "max": np.maximum.reduce([np.asarray(p["max"]) for p in parts]),
        "mean": mean, "std": np.sqrt(spread), "count": np.array([int(counts.sum())]),
        **{q: mean_of(q) for q in QUANTILES},
    }  # fmt: skip


def _quantile(values: np.ndarray, share: float) -> float:
    edges = np.linspace(values.min() - 1e-10, values.max() + 1e-10, BINS + 1)
    counts = np.histogram(values, edges)[0]
    total = np.cumsum(counts)
    target = share * total[-1]
    i = int(np.searchsorted(total, target))
    if i == 0:
        return float(edges[0])
    if i >= len(counts):
        return float(edges[-1])
    before = total[i - 1]
    inside = (target - before) / counts[i] if counts[i] else 0.0
    return float(edges[i] + inside * (edges[i + 1] - edges[i]))
