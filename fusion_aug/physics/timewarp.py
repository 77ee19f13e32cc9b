"""Smooth monotone maps of time, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from calib.ties import TIE


@dataclass(frozen=True)
class Warp:
    """The map u -> t = phi(u) from new time to old, with local speed phi'.

    ``phi'(u) = mean + sum_k a_k sin(2 pi f_k (u - start) + p_k)``, so phi and phi'' are known exactly.

    Attributes:
        start: ns, the time that the map keeps.
        mean: speed on average.
        waves: (amplitude, frequency in Hz, phase in rad) of every wave; the amplitudes add up to less than ``mean``.
        apart: (k,) old times, sorted, and (k,) new ones, int64 ns, of those that are not the nearest to phi^-1, see
            ``keeping_apart``.
    """

    start: int
    mean: float = 1.0
    waves: Sequence[tuple[float, float, float]] = ()
    apart: tuple[Tensor, Tensor] | None = None

    def speed(self, new: Tensor) -> Tensor:
        """phi' (n,) at new times (n,) ns."""
        u = self._seconds(new)
        return torch.from_numpy(self.mean + sum((a * np.sin(math.tau * f * u + p) for a, f, p in self.waves), 0 * u))

    def change(self, new: Tensor) -> Tensor:
        """phi'' (n,) per second at new times (n,) ns."""
        u = self._seconds(new)
        waves = (a * math.tau * f * np.cos(math.tau * f * u + p) for a, f, p in self.waves)
        return torch.from_numpy(sum(waves, 0 * u))

    def parts(self, old: Tensor, bend: float) -> Tensor:
        """(n - 1,) int64, into how many pieces the gaps between old times (n,) ns fall that are straight in new time.

        A piece of length d leaves ``phi'' d^2 / 8`` of phi out, which is ``bend`` seconds at most.
        """
        steepest = sum(abs(a) * math.tau * f for a, f, _ in self.waves)
        slowest = self.mean - sum(abs(a) for a, _, _ in self.waves)
        gaps = old.diff().to(torch.float64) * 1e-9 / slowest
        return torch.ceil(gaps * math.sqrt(steepest / (8 * bend)) - TIE).clamp(min=1).to(torch.int64)

    def old(self, new: Tensor) -> Tensor:
        """phi: old times (n,) int64 ns of new ones."""
        return self.start + torch.from_numpy(np.round(self.old_seconds(self._seconds(new)) * 1e9).astype(np.int64))

    def keeping_apart(self, old: Tensor) -> Warp:
        """The map that keeps times distinct and in order, which rounding to whole ns would let fall together.

        Stamps of real logs lie 1 ns apart, and where time runs faster there are fewer ns than stamps. Then a stamp
        moves on to the next free one.

        Args:
            old: (n,) int64 ns, all that need be told apart; in any order, some of them equal.
        """
        old = old.unique()
        if bool((old.diff() > 2 * self._fastest + 1).all()):  # far enough for any rounding
            return self
        nearest, steps = self.new(old), torch.arange(len(old))
        free = (nearest - steps).cummax(0).values + steps
        differ = free != nearest
        return replace(self, apart=(old[differ], free[differ])) if bool(differ.any()) else self

    def new(self, old: Tensor) -> Tensor:
        """phi^-1: new times (n,) int64 ns of old ones."""
        new = self._nearest_new(old)
        if self.apart is None:
            return new
        known, free = self.apart
        at = torch.searchsorted(known, old).clamp(max=len(known) - 1)
        return torch.where(known[at] == old, free[at], new)

    @property
    def _fastest(self) -> float:
        return self.mean + sum(abs(a) for a, _, _ in self.waves)

    def _nearest_new(self, old: Tensor) -> Tensor:
        """phi^-1, rounded to ns."""
        return self.start + torch.from_numpy(np.round(self.new_seconds(self._seconds(old)) * 1e9).astype(np.int64))

    def new_seconds(self, t: np.ndarray) -> np.ndarray:
        """phi^-1 of seconds (n,) float64 after ``start``, not rounded: by Newton's method kept between bounds."""
        spread = sum(a for a, _, _ in self.waves)
        slow, fast = self.mean - spread, self.mean + spread
        low, high = np.minimum(t / slow, t / fast), np.maximum(t / slow, t / fast)
        u = t / self.mean
        for _ in range(60):
            error = self.old_seconds(u) - t
            high, low = np.where(error > 0, u, high), np.where(error > 0, low, u)
            slope = self.mean + sum((a * np.sin(math.tau * f * u + p) for a, f, p in self.waves), 0 * u)
            step = u - error / slope
            u = np.where((step >= low) & (step <= high), step, (low + high) / 2)
            if float(np.abs(error).max(initial=0.0)) < 1e-13:
                break
        return u

    def old_seconds(self, u: np.ndarray) -> np.ndarray:
        """phi of seconds (n,) float64 after ``start``, not rounded."""
        waves = (
            a / (math.tau * f) * (math.cos(p) - np.cos(math.tau * f * u + p)) for a, f, p in self.waves
        )  # fmt: skip
        return self.mean * u + sum(waves, 0 * u)

    def _seconds(self, times: Tensor) -> np.ndarray:
        return (times - self.start).numpy().astype(np.float64) * 1e-9
