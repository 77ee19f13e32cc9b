"""Statistics of LeRobotDataset: minimum, maximum, mean, deviation and quantiles per episode and over all.

Quantiles come from a histogram of 5000 bins, and those of the whole dataset are means of the episodes' weighted by
their frames: LeRobot computes them so, and readers of the files expect it. Versions before 3.0 have no quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    columns = [_quantiles(values[:, c], list(QUANTILES.values())) for c in range(values.shape[1])]
    return out | {name: np.array(own) for name, own in zip(QUANTILES, zip(*columns, strict=True), strict=True)}


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


class TotalStats:
    """Statistics of one feature over several episodes, which are added one by one.

    Means are moved by the share of each episode, as in a weighted running mean: nothing of an episode is kept.
    """

    def __init__(self) -> None:
        self._count = 0
        self._variance: Any = 0.0
        self._ends: dict[str, np.ndarray] = {}
        self._means: dict[str, np.ndarray] = {}

    def add(self, stats: Mapping[str, Any]) -> None:
        """Add the statistics of an episode; those of all have the same shapes."""
        count = int(np.asarray(stats["count"]).reshape(-1)[0])
        own = {name: np.asarray(v, dtype=np.float64) for name, v in stats.items() if name != "count"}
        if not self._count:
            self._count, self._variance = count, own["std"] ** 2
            self._ends = {name: own[name] for name in ("min", "max")}
            self._means = {name: own[name] for name in ("mean", *QUANTILES) if name in own}
            return
        self._count += count
        share = count / self._count
        away = own["mean"] - self._means["mean"]
        self._variance = self._variance + share * (own["std"] ** 2 - self._variance) + share * (1 - share) * away**2
        self._means = {name: mean + share * (own[name] - mean) for name, mean in self._means.items()}
        self._ends = {
            name: end(self._ends[name], own[name]) for name, end in (("min", np.minimum), ("max", np.maximum))
        }

    @property
    def value(self) -> dict[str, np.ndarray]:
        """Statistics of all episodes that were added, of which there is at least one."""
        mean, quantiles = self._means["mean"], {n: self._means[n] for n in QUANTILES if n in self._means}
        spread = {"mean": mean, "std": np.sqrt(self._variance), "count": np.array([self._count])}
        return self._ends | spread | quantiles


def _quantiles(values: np.ndarray, shares: Sequence[float]) -> list[float]:
    """Quantiles of (n,) numbers from their histogram."""
    edges = np.linspace(values.min() - 1e-10, values.max() + 1e-10, BINS + 1)
    counts = np.histogram(values, edges)[0]
    total = np.cumsum(counts)
    return [_quantile(edges, counts, total, share) for share in shares]


def _quantile(edges: np.ndarray, counts: np.ndarray, total: np.ndarray, share: float) -> float:
    target = share * total[-1]
    i = int(np.searchsorted(total, target))
    if i == 0:
        return float(edges[0])
    if i >= len(counts):
        return float(edges[-1])
    before = total[i - 1]
    inside = (target - before) / counts[i] if counts[i] else 0.0
    return float(edges[i] + inside * (edges[i + 1] - edges[i]))
