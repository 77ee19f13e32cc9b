"""Distances of what many pictures show, from depth pictures, on any device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.ops.cells_many import without_gaps
from fusion_aug.ops.surfaces_many import SHARED

LENGTHS, ALONG = "squares of rays", "depth of rays"
ROWS, COLUMNS = f"{SHARED}powers of rows", f"{SHARED}powers of columns"


def numbers_of_rays(rays: np.ndarray | None, size: tuple[int, int]) -> dict[str, Any]:
    """What ``inverse_distances`` needs of a picture on a canvas of ``size``.

    Args:
        rays: (3, 3), what makes a ray of a pixel (u, v, 1), of depth along the optical axis; None of that along rays.
    """
    squares, along = np.zeros((3, 3)), np.array([0.0, 0.0, 1.0])
    squares[0, 0] = 1.0
    if rays is not None:
        spread = np.diag([size[1], size[0], 1.0])
        spread[:2, 2] = (size[1] - 1) / 2, (size[0] - 1) / 2
        M = rays @ spread
        M = M / M[2, 2]
        S = M.T @ M
        # rows: powers 0 to 2 of v, columns: of u
        squares = np.array([[S[2, 2], 2 * S[0, 2], S[0, 0]], [2 * S[1, 2], 2 * S[0, 1], 0.0], [S[1, 1], 0.0, 0.0]])
        along = M[2]
    return {LENGTHS: squares.astype(np.float32), ALONG: along.astype(np.float32), **_powers(size)}


@lru_cache(maxsize=16)  # all pictures of a size share them
def _powers(size: tuple[int, int]) -> dict[str, Any]:
    at = [(np.arange(n) - (n - 1) / 2) / n for n in size]  # along v and u, small numbers for float32
    rows, columns = (np.stack([a**k for k in range(3)], 1).astype(np.float32) for a in at)
    return {ROWS: rows, COLUMNS: columns.T.copy()}


def inverse_distances(depth: Tensor, numbers: Mapping[str, Tensor], *, gaps: bool, even: bool, sky: float) -> Tensor:
    """Inverses of distances along rays, (N, 1, H, W) float32, 1/m, of distances as ``sample.depth`` has them.

    Args:
        depth: (N, H, W), infinite in the sky. numbers: ``numbers_of_rays``. gaps: whether some pixels hold none.
        even: whether depth of rays is 1 in all pictures, which no perspective map has tilted. sky: its distance, m.
    """
    squares = torch.matmul(torch.matmul(numbers[ROWS], numbers[LENGTHS]), numbers[COLUMNS])
    length = squares.sqrt_()
    if not even:
        u, v, one = numbers[ALONG][:, :, None, None].unbind(1)
        length = length / (numbers[COLUMNS][1] * u + numbers[ROWS][:, 1:2] * v + one).abs()
    far = (depth * length)[:, None]
    if not gaps:
        return far.nan_to_num_(posinf=sky).reciprocal_()
    far = far.clamp_(max=sky)
    return without_gaps(F.threshold(far, 0.0, torch.inf).reciprocal_(), far > 0)


__all__ = ["inverse_distances", "numbers_of_rays"]
