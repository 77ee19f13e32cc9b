"""Agreement of modalities: what a head that sees the cameras alone says, and one that sees the LiDAR alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fusion_aug.errors import ConfigError
from fusion_aug.train.losses.divergence import mean_where, probabilities, refuse_whole_numbers


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
        ConfigError: there are fewer than two modalities, they are whole numbers, or shapes do not fit.
    """
    shapes = {tuple(v.shape) for v in logits.values()}
    if len(logits) < 2 or len(shapes) > 1:
        raise ConfigError(
            f"agreement: expected heads of one shape, got { {m: tuple(v.shape) for m, v in logits.items()} }"
        )
    unknown = [m for m in present or {} if m not in logits]
    if unknown:
        raise ConfigError(f"agreement: present: there is no head {unknown[0]!r} (there are {', '.join(logits)})")
    refuse_whole_numbers(logits.values(), "agreement")
    first = next(iter(logits.values()))
    count, rows = len(logits), len(first)
    there = torch.ones(count, rows, dtype=torch.bool, device=first.device)
    for k, name in enumerate(logits):
        if present and name in present:
            there[k] = _sent(present[name], rows, name).to(first.device)
    # an absent head may hold anything, also NaN, which is to reach no gradient
    given = [
        torch.where(on.reshape(-1, *[1] * (v.ndim - 1)), v, 0.0) for on, v in zip(there, logits.values(), strict=True)
    ]
    heads = torch.stack([probabilities(v, dim, multi_label) for v in given])
    weights = there.reshape(count, rows, *[1] * (heads.ndim - 2))
    mean = torch.where(weights, heads, 0.0).sum(0) / weights.sum(0).clamp(min=1)
    if detach:
        mean = mean.detach()
    least = torch.finfo(heads.dtype).tiny
    apart = torch.special.xlogy(mean, mean.clamp(min=least)) - mean * heads.clamp(min=least).log()
    asked = there & (there.sum(0) > 1)
    apart = apart.sum(-1)
    return mean_where(apart, asked.reshape(count, rows, *[1] * (apart.ndim - 2)).expand_as(apart))


def _sent(present: Any, rows: int, name: str) -> Tensor:
    """Whether a modality sent something, (rows,) bool, as it was given."""
    if not isinstance(present, Tensor) or present.dtype != torch.bool or tuple(present.shape) != (rows,):
        got = f"{present.dtype} {tuple(present.shape)}" if isinstance(present, Tensor) else repr(present)
        raise ConfigError(f"agreement: present: {name}: expected bool ({rows},), got {got}")
    return present
