"""Agreement of modalities: what a head that sees the cameras alone says, and one that sees the LiDAR alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from fusion_aug.errors import ConfigError
from fusion_aug.train.losses.divergence import mean_where, probabilities


def agreement(
    logits: Mapping[str, Tensor],
    *,
    present: Mapping[str, Tensor] | None = None,
    dim: int = 1,
    multi_label: bool = False,
    detach: bool = True,
) -> Tensor:
    """How far every head lies from what all heads together say: KL(mean || head), the mean over heads and rows.

    A sensor that sent nothing (``ModalityDropout``) neither counts for the mean nor is asked.

    Args:
        logits: modality -> (n, C, ...) of its head, row by row of the same things.
        present: modality -> (n,) bool, whether it sent something; all by default.
        dim: of the classes. multi_label: whether each class is a yes or no of its own, as in heat maps.
        detach: whether the mean is taken as given, so that heads follow it and it does not follow them.

    Returns:
        () nats, 0 where all say the same, and where no row has two modalities.

    Raises:
        ConfigError: there are fewer than two modalities, or shapes do not fit.
    """
    shapes = {tuple(v.shape) for v in logits.values()}
    if len(logits) < 2 or len(shapes) > 1:
        raise ConfigError(
            f"agreement: expected heads of one shape, got { {m: tuple(v.shape) for m, v in logits.items()} }"
        )
    unknown = [m for m in present or {} if m not in logits]
    if unknown:
        raise ConfigError(f"agreement: present: there is no head {unknown[0]!r} (there are {', '.join(logits)})")
    heads = torch.stack([probabilities(v, dim, multi_label) for v in logits.values()])
    count, rows = len(heads), heads.shape[1]
    there = torch.ones(count, rows, dtype=torch.bool, device=heads.device)
    for k, name in enumerate(logits):
        if present and name in present:
            there[k] = present[name].to(heads.device)
    weights = there.reshape(count, rows, *[1] * (heads.ndim - 2))
    heads = torch.where(weights, heads, 1.0)  # an absent head may hold anything, also NaN
    mean = torch.where(weights, heads, 0.0).sum(0) / weights.sum(0).clamp(min=1)
    if detach:
        mean = mean.detach()
    least = torch.finfo(heads.dtype).tiny
    apart = torch.special.xlogy(mean, mean.clamp(min=least)) - mean * heads.clamp(min=least).log()
    asked = there & (there.sum(0) > 1)
    apart = apart.sum(-1)
    return mean_where(apart, asked.reshape(count, rows, *[1] * (apart.ndim - 2)).expand_as(apart))
