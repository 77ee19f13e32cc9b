"""Spatial variation of fog, dust and spray, with optical depths in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fusion_aug.ops.random import generator

Array = np.ndarray
WAVES = 8


@dataclass(frozen=True)
class FogField:
    """Relative density 1 + sum of plane waves, which drift with the wind; never below 0.

    Attributes:
        k: (m, 3) wave vectors, rad/m, in the world. phase: (m,). weight: (m,), of sum ``patchiness``.
        drift: (3,) m/s.
    """

    k: Array
    phase: Array
    weight: Array
    drift: Array

    @staticmethod
    def of(key: str, patchiness: float, wind: tuple[float, float]) -> FogField:
        """The field of a key from ``random.digest``: patches 20 to 150 m long and flat.

        Args:
            key: seeds the waves. patchiness: share of the density that varies, 0 to 1. wind: (x, y) m/s.
        """
        rng = generator(key)
        length, heading = np.exp(rng.uniform(math.log(20), math.log(150), WAVES)), rng.uniform(0, 2 * np.pi, WAVES)
        k = np.stack([np.cos(heading), np.sin(heading), rng.uniform(-0.4, 0.4, WAVES)], 1)
        weight = rng.uniform(0.5, 1.0, WAVES)
        phase = rng.uniform(0, 2 * np.pi, WAVES)
        return FogField(
            2 * np.pi / length[:, None] * k, phase, patchiness * weight / weight.sum(), np.array([*wind, 0.0])
        )

    def _phase(self, place: Array, seconds: float) -> Array:
        """Phase (m,) of every wave at a position (3,) in the world."""
        return self.phase + self.k @ (place - self.drift * seconds)

    def density(self, start: Array, rays: Array, distance: Array, seconds: float) -> Array:
        """Relative density (n,) at a distance along unit rays (n, 3) from ``start`` (3,)."""
        out = np.ones(len(rays))
        for k, phase, weight in zip(self.k, self._phase(start, seconds), self.weight, strict=True):
            out += weight * np.cos(phase + distance * (rays @ k))
        return out

    def path(self, start: Array, rays: Array, distance: Array, seconds: float) -> Array:
        """Integral (n,) of the relative density over the way, metres."""
        out = np.array(distance, float)
        for k, phase, weight in zip(self.k, self._phase(start, seconds), self.weight, strict=True):
            along = rays @ k
            # sin(phase + d x) - sin(phase) over x, without the division by zero where a ray runs along a crest
            out += weight * distance * np.sinc(distance * along / (2 * np.pi)) * np.cos(phase + distance * along / 2)
        return out


@dataclass(frozen=True)
class Puffs:
    """Gaussian clouds of spray.

    Attributes:
        centre: (m, 3) metres. shape: (m, 3, 3), which turns a way from the centre into standard deviations.
        extinction: (m,) at the centre, 1/m.
    """

    centre: Array
    shape: Array
    extinction: Array

    def __len__(self) -> int:
        return len(self.centre)

    def depth(self, start: Array, rays: Array, distance: Array) -> Array:
        """Optical depth (n,) of the way along unit rays (n, 3) from ``start`` (3,)."""
        from scipy.special import erf

        out = np.zeros(len(rays))
        for centre, shape, extinction in zip(self.centre, self.shape, self.extinction, strict=True):
            ray, gap = rays @ shape.T, shape @ (start - centre)
            a, b = (ray * ray).sum(1), ray @ gap
            closest = gap @ gap - b * b / a
            near = closest < 25.0
            root = np.sqrt(2 * a[near])
            part = np.exp(-0.5 * closest[near]) * np.sqrt(np.pi) / root
            out[near] += extinction * part * (erf((a[near] * distance[near] + b[near]) / root) - erf(b[near] / root))
        return out

    def peak(self, start: Array, rays: Array) -> Array:
        """Distance (m, n) along rays at which each cloud is densest."""
        peaks = []
        for centre, shape in zip(self.centre, self.shape, strict=True):
            ray = rays @ shape.T
            peaks.append(-(ray @ (shape @ (start - centre))) / (ray * ray).sum(1))
        return np.array(peaks).reshape(len(self), len(rays))
