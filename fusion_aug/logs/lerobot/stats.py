"""Statistics of LeRobotDataset: minimum, maximum, mean, deviation and quantiles per episode and over all.

Quantiles come from a histogram of 5000 bins, and those of the whole dataset are means of the episodes' weighted by
their frames: LeRobot computes them so, and readers of the files expect it. Versions before 3.0 have no quantiles.

NaN and infinite numbers are left out; where none is left the statistics are null, since JSON has no NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
BINS = 5000
MAX_SIDE = 300  # pixels; larger pictures are subsampled


def vector_stats(rows: np.ndarray) -> dict[str, Any]:
    """Statistics of a feature (n, ...), over frames and all axes but the last; NaN of a column without a number."""
    flat = rows.reshape(-1, rows.shape[-1]) if rows.ndim > 1 else rows.reshape(-1, 1)
    values = flat.astype(np.float64)
    known = np.isfinite(values)
    if known.all():
        ends = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
        chosen = list(values.T)
    else:
        chosen = [column[own] for column, own in zip(values.T, known.T, strict=True)]
        ends = {
            name: np.array([getattr(c, name)() if len(c) else np.nan for c in chosen])
            for name in ("min", "max", "mean", "std")
        }
    out: dict[str, Any] = {**ends, "count": np.array([len(rows)])}
    columns = [_quantiles(column, list(QUANTILES.values())) for column in chosen]
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


def plain(stats: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics of a feature as lists for JSON, null in place of NaN."""
    return {name: _with_null(np.asarray(v).tolist()) for name, v in stats.items()}


def _with_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_null(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


class TotalStats:
    """Statistics of one feature over several episodes, which are added one by one.

    Means are moved by the share of each episode, as in a weighted running mean: nothing of an episode is kept. An
    episode without a number in a column has no share in it.
    """

    def __init__(self) -> None:
        self._count = 0
        self._weight: Any = 0
        self._variance: Any = 0.0
        self._ends: dict[str, Any] = {"min": np.inf, "max": -np.inf}
        self._means: dict[str, Any] = {}

    def add(self, stats: Mapping[str, Any]) -> None:
        """Add the statistics of an episode; those of all have the same shapes."""
        count = int(np.asarray(stats["count"]).reshape(-1)[0])
        own = {name: np.asarray(v, dtype=np.float64) for name, v in stats.items() if name != "count"}
        known = np.isfinite(own["mean"])
        weight = count * known
        self._count += count
        self._weight = self._weight + weight
        share = weight / np.maximum(self._weight, 1)
        self._ends = {name: end(self._ends[name], own[name]) for name, end in (("min", np.fmin), ("max", np.fmax))}
        own = {name: np.where(known, v, 0.0) for name, v in own.items()}
        means = self._means or {name: 0.0 for name in ("mean", *QUANTILES) if name in own}
        away = own["mean"] - means["mean"]
        self._variance = self._variance + share * (own["std"] ** 2 - self._variance) + share * (1 - share) * away**2
        self._means = {name: mean + share * (own[name] - mean) for name, mean in means.items()}

    @property
    def value(self) -> dict[str, np.ndarray]:
        """Statistics of all episodes that were added, of which there is at least one; NaN where none has a number."""
        spread = {**self._ends, **self._means, "std": np.sqrt(self._variance)}
        found = {name: np.where(self._weight > 0, v, np.nan) for name, v in spread.items()}
        first = {name: found.pop(name) for name in ("min", "max", "mean", "std")}
        return first | {"count": np.array([self._count])} | found


def _quantiles(values: np.ndarray, shares: Sequence[float]) -> list[float]:
    """Quantiles of (n,) numbers from their histogram."""
    if not len(values):
        return [float("nan")] * len(shares)
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
