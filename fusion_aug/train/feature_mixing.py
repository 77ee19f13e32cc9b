"""Features of a batch blended with those of other samples, of any modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fusion_aug.core.random import Keys, Owner, owner_of
from fusion_aug.errors import ConfigError
from fusion_aug.ops.blending import beta_weight
from fusion_aug.sample import Sample

Features = Tensor | Mapping[str, Tensor]


class MixedFeatures(NamedTuple):
    """Blended features, and what a loss needs to know of them.

    Attributes:
        features: as they were given, each row blended.
        partner: (B,) int64, the row that each is blended with.
        weight: (B,) float64 in [0, 1], of its own; the partner has the rest. A loss is
            ``weight * loss(output, labels) + (1 - weight) * loss(output, labels[partner])``.
    """

    features: Any
    partner: Tensor
    weight: Tensor


def mix_features(
    features: Features, batch: Sample, alpha: float = 0.4, *, seed: int = 0, epoch: int = 0, name: str = "mix_features"
) -> MixedFeatures:
    """Blend every sample's features with those of a partner in the batch (manifold mixup, Verma et al. 2019).

    All modalities of a sample have one partner and one weight. They act on embeddings, where raw signals would lie: the
    mean of two joint states is no state of any robot. Both draws are keyed by the sample's id, so the order of a batch
    changes nothing; who is in it does. A batch of one sample has no partner and stays as it is.

    Args:
        features: (B, ...) of any modality, or modality -> (B, ...); on any device, with gradients.
        batch: the B samples that they are of, in this order.
        alpha: of Beta(alpha, alpha), above 0.
        seed, epoch: of the training; with ids and ``name`` they decide every draw. name: for draws of its own, where
            several layers are blended.

    Raises:
        ConfigError: features are whole numbers, or of another number of samples; ``alpha`` is not above 0.
    """
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 < alpha < float("inf"):
        raise ConfigError(f"mix_features.alpha: expected a number above 0, got {alpha!r}")
    tables = features if isinstance(features, Mapping) else {"features": features}
    check_rows("mix_features", tables, len(batch.metas))
    keys = Keys(seed, epoch)
    owners = [owner_of(m.id, m.occurrence) for m in batch.metas]
    partner, weight = torch.arange(len(owners)), torch.ones(len(owners), dtype=torch.float64)
    for u, owner in enumerate(owners) if len(owners) > 1 else ():
        rng = keys.generator(owner, name, "choice")
        others = sorted((v for v in range(len(owners)) if v != u), key=lambda v: _in_order(owners[v]))
        partner[u] = others[int(rng.integers(len(others)))]
        weight[u] = beta_weight(rng, float(alpha))
    blended = {n: _blended(values, partner, weight) for n, values in tables.items()}
    return MixedFeatures(blended if isinstance(features, Mapping) else blended["features"], partner, weight)


def check_rows(who: str, tables: Mapping[str, Tensor], rows: int) -> None:
    """Raise where features are not those of a batch.

    Args:
        who: asks. tables: name -> features. rows: samples of the batch.

    Raises:
        ConfigError: naming the first that is not.
    """
    for name, values in tables.items():
        if not isinstance(values, Tensor) or not values.is_floating_point():
            kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
            raise ConfigError(f"{who}: {name!r}: expected a tensor with fractions, got {kind}")
        if values.ndim == 0 or len(values) != rows:
            raise ConfigError(f"{who}: {name!r} has the shape {tuple(values.shape)}; ({rows}, ...) is expected")


def _in_order(owner: Owner) -> tuple[str, int]:
    return (owner, 0) if isinstance(owner, str) else owner


def _blended(values: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    own = weight.to(values.device, values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return values * own + values[partner.to(values.device)] * (1 - own)


__all__ = ["MixedFeatures", "mix_features"]
