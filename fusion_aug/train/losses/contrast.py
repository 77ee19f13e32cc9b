"""Contrast of matched features: what belongs together is told from all else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_aug.errors import ConfigError


def info_nce(
    a: Tensor,
    b: Tensor,
    *,
    temperature: float | Tensor = 0.07,
    symmetric: bool = True,
    ignored: Tensor | None = None,
    normalize: bool = True,
) -> Tensor:
    """InfoNCE (arXiv 1807.03748) of two modalities, or of two views: row i of one belongs to row i of the other.

    Features of pixels and of the points that they show (``fa.matches``), of a picture and the cloud or the touch at its
    time, of a sentence and its scene. Each row is to be told from all other rows of the other side:
    ``-log(exp(s_ii / t) / sum_j exp(s_ij / t))`` with the cosine s_ij of row i of a and row j of b.

    Args:
        a, b: (n, d) features of the same n things, floating, on one device.
        temperature: t, above 0; a tensor where it is learnt.
        symmetric: the mean of both directions, a among b and b among a; else a among b alone.
        ignored: (n, n) bool, pairs that are no negatives though they are not matched (``same_things``), such as two
            pixels of one car. The diagonal always counts.
        normalize: whether features are scaled to length 1; else s_ij is their product.

    Returns:
        the mean over rows, () nats: log(n) where nothing is told apart. 0 of no rows, and of one.

    Raises:
        ConfigError: shapes do not fit, or the features are whole numbers.
    """
    if not (a.is_floating_point() and b.is_floating_point()):
        raise ConfigError(f"info_nce: expected features of floats, got {a.dtype} and {b.dtype}")
    if a.ndim != 2 or a.shape != b.shape:
        raise ConfigError(f"info_nce: expected two tables (n, d) of one shape, got {tuple(a.shape)}, {tuple(b.shape)}")
    if ignored is not None and (ignored.dtype != torch.bool or tuple(ignored.shape) != (len(a), len(a))):
        raise ConfigError(f"info_nce: ignored: expected bool ({len(a)}, {len(a)}), got {tuple(ignored.shape)}")
    if isinstance(temperature, int | float) and not temperature > 0:
        raise ConfigError(f"info_nce: temperature: expected a number above 0, got {temperature}")
    common = torch.promote_types(a.dtype, b.dtype)  # one half of a pair may come out of autocast
    a, b = a.to(common), b.to(common)
    if len(a) == 0:
        return a.sum() + b.sum()
    if normalize:
        a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    logits = a @ b.T / temperature
    if ignored is not None:
        others = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
        logits = logits.masked_fill(ignored.to(a.device) & others, -torch.inf)
    own = torch.arange(len(a), device=a.device)
    loss = F.cross_entropy(logits, own)
    return (loss + F.cross_entropy(logits.T, own)) / 2 if symmetric else loss


def same_things(ids: Tensor) -> Tensor:
    """(n, n) bool, which rows are of one thing, by its number (n,); rows below 0 are of nothing known, so of none.

    Raises:
        ConfigError: they are no table of numbers.
    """
    if not isinstance(ids, Tensor) or ids.ndim != 1:
        raise ConfigError("same_things: expected a tensor (n,) of numbers; give each name a number of its own")
    return (ids[:, None] == ids[None]) & (ids[:, None] >= 0)
