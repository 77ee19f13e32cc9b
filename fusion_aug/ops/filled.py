"""Pictures with a value in some of their pixels, of any type and on any device."""

from __future__ import annotations

import torch
from torch import Tensor

from fusion_aug.ops.warp import SIGNED


def filled(pictures: Tensor, where: Tensor, value: float) -> Tensor:
    """Values with ``value`` where ``where`` is True, without a look at either.

    Args:
        pictures: of any type, also those that torch can only move. where: bool, of a shape that goes with theirs.
    """
    if pictures.dtype not in SIGNED:
        return pictures.masked_fill(where, value)
    kind = SIGNED[pictures.dtype]
    number = int(torch.tensor(value, dtype=pictures.dtype).view(kind))
    return pictures.view(kind).masked_fill(where, number).view(pictures.dtype)
