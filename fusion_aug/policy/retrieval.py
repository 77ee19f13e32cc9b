"""How well pairs of text and sensor data are told from others."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fusion_aug.errors import DataError
from fusion_aug.ops.modes import standard_modes


@standard_modes()
def retrieval_margins(text: Tensor, sensor: Tensor) -> Tensor:
    """By how much each pair of text and sensor data is told from the others of its batch.

    Cosine similarity of the pair, minus the highest of its text with other data or of its data with other texts: below
    0 where another would be retrieved. ``HardExamples.update(ids, -retrieval_margins(text, sensor))`` ranks by it.

    Args:
        text, sensor: features (n, d) of n >= 2 pairs, in one order.

    Returns:
        (n,) from -2 to 2, on their device; it carries a gradient.

    Raises:
        DataError: they are not of that shape, or whole numbers.
    """
    floats = text.is_floating_point() and sensor.is_floating_point()
    if not floats or text.ndim != 2 or text.shape != sensor.shape or len(text) < 2:
        raise DataError(
            f"retrieval_margins: expected two times (n, d) features of n >= 2 pairs, floats, got {text.dtype} "
            f"{tuple(text.shape)} and {sensor.dtype} {tuple(sensor.shape)}"
        )
    similar = torch.nn.functional.normalize(text, dim=1) @ torch.nn.functional.normalize(sensor, dim=1).T
    own = similar.diagonal()
    others = similar.masked_fill(torch.eye(len(own), dtype=torch.bool, device=own.device), -math.inf)
    return own - torch.maximum(others.amax(0), others.amax(1))
