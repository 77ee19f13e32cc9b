"""Features of sensors that sent nothing, or that are dropped by chance, replaced by a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from fusion_aug.core.random import Keys, owner_of
from fusion_aug.core.registry import find_transform
from fusion_aug.errors import ConfigError
from fusion_aug.sample import Sample
from fusion_aug.train.feature_mixing import check_rows
from fusion_aug.transforms.modality.dropout import MODALITIES, SENSORS, ModalityDropout, modality_of

Token = float | Tensor | Mapping[str, float | Tensor]


class DroppedFeatures(NamedTuple):
    """Features of which some rows are a token.

    Attributes:
        features: name -> (B, ...). present: name -> (B,) bool on the host, False where the token stands.
    """

    features: dict[str, Tensor]
    present: dict[str, Tensor]


def drop_features(
    features: Mapping[str, Tensor], batch: Sample, *, token: Token = 0.0, share: float = 0.0, at_least: int = 1,
    seed: int = 0, epoch: int = 0,
) -> DroppedFeatures:  # fmt: skip
    """Replace the features of sensors that are missing by a token, of any modality.

    Of a sample that went through a ``ModalityDropout`` its record decides: a sensor that it dropped, and of which
    nothing is left, has the token, and no other. Of other samples each feature is dropped with probability ``share``,
    by the sample's key. A sensor that a sample never had has the token too.

    Args:
        features: name -> (B, ...), on any device, with gradients. Names are those of sensors, or of modalities
            (camera, lidar, radar, touch, imu, odometry, joints, force), which are missing where all their sensors are.
        batch: the B samples that they are of, in this order.
        token: what stands for a missing one: a number, or a tensor like a row, which may be learned; or one for every
            name.
        share: probability where no record decides. at_least: how many features each sample keeps in that draw.
        seed, epoch: of the training; with ids and names they decide every draw.

    Raises:
        ConfigError: a name is neither a sensor nor a modality; features are of another number of samples; a token is
            missing or does not fit; ``share`` or ``at_least`` is none.
    """
    if not isinstance(features, Mapping):
        raise ConfigError(f"drop_features: expected name -> features, got a {type(features).__name__}")
    check_rows("drop_features", features, len(batch.metas))
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ConfigError(f"drop_features.share: expected a probability, got {share!r}")
    if type(at_least) is not int or at_least < 0:
        raise ConfigError(f"drop_features.at_least: expected a whole number, got {at_least!r}")
    keys, names = Keys(seed, epoch), list(features)
    samples = [batch.take([u]) for u in range(len(batch.metas))]
    _check_names(names, samples)
    rows = []
    for sample in samples:
        there = {n: _sends(sample, n) for n in names}
        if not any(find_transform(r.name) is ModalityDropout for r in sample.history):
            there = _drawn(there, sample, keys, float(share), at_least)
        rows.append([there[n] for n in names])
    table = torch.tensor(rows, dtype=torch.bool).reshape(len(samples), len(names))
    present = {n: table[:, k] for k, n in enumerate(names)}
    return DroppedFeatures({n: _replaced(n, features[n], present[n], token) for n in names}, present)


def _check_names(names: list[str], samples: list[Sample]) -> None:
    known = {s.instance(n) for x in samples for n, s in x.streams.items()} | {n for x in samples for n in x.rig.sensors}
    for name in names:
        if name not in known and name not in MODALITIES:
            raise ConfigError(
                f"drop_features: {name!r} is neither a sensor of the batch ({', '.join(sorted(known))}) nor a modality "
                f"({', '.join(MODALITIES)})"
            )


def _sends(sample: Sample, name: str) -> bool:
    """Whether a sensor, or any of a modality, has sent something."""
    streams = {n: s for n, s in sample.streams.items() if isinstance(s, SENSORS)}
    own = [s for n, s in streams.items() if name in (n, s.instance(n))]
    if not own and name in MODALITIES:
        own = [s for s in streams.values() if modality_of(s) == name]
    return any(len(s) > 0 and bool(s.present.any()) for s in own)


def _drawn(there: dict[str, bool], sample: Sample, keys: Keys, share: float, at_least: int) -> dict[str, bool]:
    """Which features stay: those whose lot is not below ``share``, and as many of the highest as have to."""
    owner = owner_of(sample.meta.id, sample.meta.occurrence)
    able = [n for n, sends in there.items() if sends]
    lots = {n: float(keys.generator(owner, f"drop_features/{n}", "choice").random()) for n in able}
    highest = sorted(able, key=lambda n: (-lots[n], n))[:at_least]
    return {n: sends and (lots[n] >= share or n in highest) for n, sends in there.items()}


def _replaced(name: str, values: Tensor, present: Tensor, token: Token) -> Tensor:
    if isinstance(token, Mapping) and name not in token:
        raise ConfigError(f"drop_features.token: there is none for {name!r}")
    own = torch.as_tensor(token[name] if isinstance(token, Mapping) else token).to(values.device, values.dtype)
    try:
        standing = own.expand(values.shape[1:])
    except RuntimeError:
        raise ConfigError(
            f"drop_features.token: one of shape {tuple(own.shape)} does not fit rows of {name!r}, "
            f"{tuple(values.shape[1:])}"
        ) from None
    return torch.where(present.to(values.device).reshape(-1, *[1] * (values.ndim - 1)), values, standing)


__all__ = ["DroppedFeatures", "drop_features"]
