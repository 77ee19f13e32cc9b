"""Rows of a tensor of any type and on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion_aug.ops.warp import SIGNED


def taken(values: Tensor, rows: Tensor) -> Tensor:
    """Rows (k, ...) of values (n, ...), by integer index or by a mask (n,).

    Args:
        values: of any type, also those that torch can only move. rows: on their device.
    """
    if values.dtype in SIGNED:
        return taken(values.view(SIGNED[values.dtype]), rows).view(values.dtype)
    return values[rows] if rows.dtype == torch.bool else values.index_select(0, rows)
