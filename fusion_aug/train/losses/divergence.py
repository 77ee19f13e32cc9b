"""How far the predictions of several views, or of several heads, lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from fusion_aug.errors import ConfigError


def probabilities(logits: Tensor, dim: int, multi_label: bool) -> Tensor:
    """Probabilities of logits; of independent labels those of yes and no, as a further last dimension.

    Those of 16 bits are made float32: in float16 the cells of a map cannot even be counted.

    Args:
        logits: (..., C, ...). dim: of the classes. multi_label: whether each class is a yes or no of its own.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if not multi_label:
        return logits.softmax(dim).movedim(dim, -1)
    return torch.stack([logits, -logits], -1).sigmoid()


def counted(logits: Tensor, counts: Tensor, dim: int, multi_label: bool, where: str) -> Tensor:
    """Logits with 0 in place of those that do not count, which then reach no gradient whatever they hold, also NaN.

    Args:
        logits: (..., C, ...). counts: bool, of their shape without ``dim`` (with it where ``multi_label``), or one that
            spreads over it. dim: of the classes. multi_label: whether each is a yes or no of its own.
        where: function and argument, for messages.

    Raises:
        ConfigError: ``counts`` is no such mask.
    """
    if not isinstance(counts, Tensor) or counts.dtype != torch.bool:
        raise ConfigError(f"{where}: expected a tensor of bool, got {getattr(counts, 'dtype', type(counts).__name__)}")
    last = logits if multi_label else logits.movedim(dim, -1)
    shape = last.shape if multi_label else last.shape[:-1]
    try:
        spread = counts.to(logits.device).expand(shape)
    except RuntimeError:
        raise ConfigError(f"{where}: expected the shape {tuple(shape)}, got {tuple(counts.shape)}") from None
    kept = torch.where(spread if multi_label else spread[..., None], last, 0.0)
    return kept if multi_label else kept.movedim(-1, dim)


def entropy(p: Tensor) -> Tensor:
    """Entropy (...,) of distributions (..., C), nats; a probability of 0 has none."""
    return -torch.special.xlogy(p, p.clamp(min=torch.finfo(p.dtype).tiny)).sum(-1)


def jensen_shannon(
    logits: Sequence[Tensor],
    *,
    weights: Sequence[float] | None = None,
    dim: int = 1,
    multi_label: bool = False,
    where: Tensor | None = None,
) -> Tensor:
    """Jensen-Shannon divergence of what several views of one sample predict (as of AugMix, arXiv 1912.02781).

    ``H(sum_k w_k p_k) - sum_k w_k H(p_k)`` with the entropy H of the views' predictions p_k.

    Args:
        logits: of two or more views, (n, C, ...) each, row by row of the same things.
        weights: of the views, which add up to 1; equal by default.
        dim: of the classes.
        multi_label: whether each class is a yes or no of its own, as in heat maps; else they exclude one another.
        where: bool, the shape of the logits without ``dim`` (with it where ``multi_label``), what counts.

    Returns:
        the mean, () nats, from 0 (all say the same) to the entropy of the weights, log(2) of two views. 0 where nothing
        counts.

    Raises:
        ConfigError: there are fewer than two views, they are whole numbers, or shapes or weights do not fit.
    """
    if len(logits) < 2 or len({tuple(v.shape) for v in logits}) > 1:
        raise ConfigError(f"jensen_shannon: expected views of one shape, got {[tuple(v.shape) for v in logits]}")
    share = [1 / len(logits)] * len(logits) if weights is None else [float(w) for w in weights]
    if len(share) != len(logits) or min(share) < 0 or not abs(sum(share) - 1) <= 1e-6:
        raise ConfigError(f"jensen_shannon: weights: expected {len(logits)} that add up to 1, got {share}")
    refuse_whole_numbers(logits, "jensen_shannon")
    if where is not None:
        logits = [counted(v, where, dim, multi_label, "jensen_shannon: where") for v in logits]
    p = [probabilities(v, dim, multi_label) for v in logits]
    mean = sum((w * q for w, q in zip(share, p, strict=True)), torch.zeros_like(p[0]))
    apart = entropy(mean) - sum((w * entropy(q) for w, q in zip(share, p, strict=True)), torch.zeros_like(mean[..., 0]))
    return mean_where(apart, where)


def refuse_whole_numbers(tensors: Iterable[Tensor], who: str) -> None:
    """Refuse what is no logits or features.

    Raises:
        ConfigError: a tensor does not hold floats.
    """
    if odd := [t.dtype for t in tensors if not t.is_floating_point()]:
        raise ConfigError(f"{who}: expected tensors of floats, got {odd[0]}")


def mean_where(values: Tensor, where: Tensor | None) -> Tensor:
    """The mean, (), of the values (...) that count; 0 where none does."""
    counts = torch.ones_like(values) if where is None else where.to(values).expand_as(values)
    kept = values if where is None else torch.where(where.to(values.device), values, torch.zeros_like(values))
    return (kept * counts).sum() / counts.sum().clamp(min=1)
