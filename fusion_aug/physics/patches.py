"""Patches of the ground: rough maps that repeat through the world, the same for all sensors at all times.

Their spectrum falls with a power of the frequency, so an edge of a patch is ragged at every scale (Mandelbrot 1982).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch

from fusion_aug.ops.random import generator

Array = np.ndarray
CELLS = 512  # of a map along each side


@dataclass(frozen=True)
class Patches:
    """A map of normal scores: the share ``c`` of the ground lies below the normal quantile of ``c``.

    Attributes:
        scores: (CELLS, CELLS) float32, which repeats. cell: metres.
    """

    scores: Array
    cell: float

    @staticmethod
    def of(key: str, cell: float, largest: float, power: float) -> Patches:
        """The map of a key from ``random.digest``.

        Args:
            key: seeds it. cell: metres. largest: metres, of the largest patches.
            power: of the amplitude's fall with frequency, 0 for white noise; the larger, the smoother.
        """
        return Patches(_scores(key, round(CELLS * cell / largest, 6), power), cell)

    def at(self, places: Array) -> Array:
        """Score (n,) at places (n, 2 or more) in the world, metres, float64."""
        place = places[:, :2].T / self.cell
        whole = np.floor(place)
        (fu, fv), (u, v) = place - whole, whole.astype(np.int64) % CELLS
        right, below = (u + 1) % CELLS, (v + 1) % CELLS
        flat = self.scores.reshape(-1)
        above = flat[v * CELLS + u] * (1 - fu) + flat[v * CELLS + right] * fu
        under = flat[below * CELLS + u] * (1 - fu) + flat[below * CELLS + right] * fu
        return above * (1 - fv) + under * fv

    def seen(self, x: Array, y: Array) -> Array:
        """Score (H, W), float32, at places of the world (H, W) each, to 1/32 of a cell.

        Args:
            x, y: metres from a multiple of the map's side, float32.
        """
        u, v = (_repeated(p * np.float32(1 / self.cell)) for p in (x, y))
        return cv2.remap(self._closed, u, v, cv2.INTER_LINEAR)

    @property
    def side(self) -> float:
        """Metres after which the map repeats."""
        return self.cell * CELLS

    @property
    def _closed(self) -> Array:
        """The map with its first row and column again at the end, so that interpolation closes the seam."""
        return np.pad(self.scores, ((0, 1), (0, 1)), mode="wrap")


def _repeated(cells: Array) -> Array:
    """Places along a map's side (H, W), float32, of places in the world in its cells: the remainder of ``CELLS``.

    It is exact, as ``CELLS`` is a power of two, in a tenth of the time of a division.
    """
    return cells - np.floor(cells * np.float32(1 / CELLS)) * np.float32(CELLS)


def covered(score: Array, share: float, rim: float) -> Array:
    """What covers a share of the ground, the highest scores first: 0 to 1 at every place.

    Args:
        score: normal scores of places. share: of the ground. rim: scores over which the cover ends.
    """
    from scipy.special import ndtri

    return np.clip(score * (1 / rim) + float(np.clip(ndtri(share), -20, 20) / rim + 0.5), 0, 1)


@lru_cache(maxsize=16)
def _scores(key: str, lowest: float, power: float) -> Array:
    """Normal scores of noise whose amplitude falls from the frequency ``lowest``, cycles per map, by a power."""
    white = generator(key).standard_normal((CELLS, CELLS))
    f = np.hypot(np.fft.fftfreq(CELLS)[:, None], np.fft.rfftfreq(CELLS)[None]) * CELLS
    rough = np.fft.irfft2(np.fft.rfft2(white) / np.maximum(f, max(lowest, 1.0)) ** power, s=white.shape)
    whole = torch.from_numpy(np.rint(rough.reshape(-1) * (1e9 / rough.std())).astype(np.int64))
    scores = np.empty(CELLS**2, np.float32)
    scores[torch.sort(whole, stable=True).indices.numpy()] = _quantiles()  # whole numbers sort in a fifth of the time
    scores.flags.writeable = False
    return scores.reshape(CELLS, CELLS)


@lru_cache(maxsize=1)
def _quantiles() -> Array:
    """The normal scores of a map (CELLS^2,), lowest first."""
    from scipy.special import ndtri

    return ndtri((np.arange(CELLS**2) + 0.5) / CELLS**2).astype(np.float32)


__all__ = ["CELLS", "Patches", "covered"]
