"""Weights of two things that are blended (Zhang et al. 2018, mixup: beyond empirical risk minimization)."""

from __future__ import annotations

import numpy as np

DIGITS = 6


def beta_weight(rng: np.random.Generator, alpha: float) -> float:
    """A weight from Beta(alpha, alpha), of the first of two things; rounded, so that every processor draws the same.

    Args:
        rng: random stream. alpha: above 0; small ones leave mostly one of the two, 1 is uniform.
    """
    return round(float(rng.beta(alpha, alpha)), DIGITS)
