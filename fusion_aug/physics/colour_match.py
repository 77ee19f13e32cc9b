"""Colours of one set of pictures made those of another: the map between two normal distributions of colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray

LEAST_VARIANCE = 1e-6  # of levels from 0 to 1, that a direction of colours counts with, a quarter of a level of 255


def moved_colours(
    mean: Sequence[float], covariance: Sequence[Sequence[float]],
    new_mean: Sequence[float], new_covariance: Sequence[Sequence[float]],
) -> tuple[Array, Array]:  # fmt: skip
    """The linear map of colours that moves least: x' = matrix x + shift.

    It is the optimal transport between normal distributions (Pitie and Kokaram 2007, the linear Monge-Kantorovich map):
    symmetric and positive, so that no colour changes places with another.

    Args:
        mean, covariance: (3,) and (3, 3) of the colours as they are. new_mean, new_covariance: as they are to be.

    Returns:
        matrix (3, 3) and shift (3,).
    """
    was, becomes = (np.asarray(c, np.float64) + LEAST_VARIANCE * np.eye(3) for c in (covariance, new_covariance))
    root = _root(was)
    inverse = np.linalg.inv(root)
    matrix = inverse @ _root(root @ becomes @ root) @ inverse
    matrix = (matrix + matrix.T) / 2
    return matrix, np.asarray(new_mean, np.float64) - matrix @ np.asarray(mean, np.float64)


def _root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    found: Array = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return found
