"""Faults of taxels, the elements of touch sensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from fusion_aug.core.promises import SIGNAL_EXEMPTIONS
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.ops.hashed import RowKey, chance, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.streams import Taxels
from fusion_aug.streams.families import Fault


@dataclass(frozen=True, kw_only=True)
class TaxelTransform(Transform, Fault, abstract=True):
    """A fault of single elements that lasts through the sample."""

    scope: str = "sensor"

    dense_noise: ClassVar[bool] = True
    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")
    exemptions: ClassVar[dict[str, str]] = SIGNAL_EXEMPTIONS

    @classmethod
    def reported_force(cls, force: Tensor, params: Mapping[str, Any], stream: Taxels, key: RowKey) -> Tensor:
        """Return the forces that a faulty pad reports.

        Args:
            force: (n, T) N, what presses on each element. params: drawn parameters.
            stream: the same items, with the poses of the elements.
            key: of this pad in this sample; its rows are the elements.

        Returns:
            (n, T) N in the dtype of ``force``.
        """
        raise NotImplementedError


@handles(TaxelTransform, Taxels)
def change_taxels(stream: Taxels, call: Call) -> Taxels:
    """Change forces sample by sample, so that what is drawn for an element holds for all its readings."""
    force = stream.values["force"].clone()
    for u in stream.sample_index.unique().tolist():
        mine = (stream.sample_index == u).nonzero()[:, 0]
        params = call.params[int(mine[0])]
        key = row_key(params["noise"], call.name)
        force[mine] = call.transform.reported_force(force[mine], params, stream.take_items(mine), key)
    return stream.with_values(force=force)


@dataclass(frozen=True, kw_only=True)
class TaxelDropout(TaxelTransform):
    """A ``share`` of the elements is dead and reports zero."""

    share: Range = (0.0, 0.2)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {"share": Strength(0.0, 0.4, "linear", "probe", "share of the taxels")}
    example: ClassVar[dict[str, Any]] = {"share": 0.5}

    @classmethod
    def reported_force(cls, force: Tensor, params: Mapping[str, Any], stream: Taxels, key: RowKey) -> Tensor:
        """Forces with a random share ``share`` of the elements at 0, the same elements in all items."""
        dead = chance(key, force.shape[1], params["share"], force.device)
        return torch.where(dead, torch.zeros_like(force), force)


@dataclass(frozen=True, kw_only=True)
class TaxelGain(TaxelTransform):
    """Every element reports its force times a gain of its own, normal about 1 with ``sigma``, never below 0."""

    sigma: Range = (0.0, 0.1)

    version: ClassVar[int] = 2  # since 2026-11: noise by rows
    limits: ClassVar[dict[str, tuple[float, float]]] = {"sigma": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {"sigma": Strength(0.0, 0.51, "linear", "probe")}
    example: ClassVar[dict[str, Any]] = {"sigma": [0.0, 0.1]}

    @classmethod
    def reported_force(cls, force: Tensor, params: Mapping[str, Any], stream: Taxels, key: RowKey) -> Tensor:
        """Forces times max(1 + ``sigma`` z, 0), one Gaussian z per element."""
        drawn = normal(key, force.shape[1], force.device).to(torch.float64)
        return force * (1 + params["sigma"] * drawn).clamp(min=0).to(force)


@dataclass(frozen=True, kw_only=True)
class TaxelCrosstalk(TaxelTransform):
    """Every element passes a ``share`` of its force on to its neighbours within about ``reach`` metres.

    It is spread by ``exp(-(distance / reach)^2 / 2)``; the sum over all elements stays. An element whose neighbours
    are farther away, so that these weights add up to less than 1, passes as much less on.
    """

    share: Range = (0.0, 0.2)
    reach: float = 0.005

    limits: ClassVar[dict[str, tuple[float, float]]] = {"share": (0.0, 1.0)}
    strengths: ClassVar[Strengths] = {"share": Strength(0.0, 0.66, "linear", "probe", "share of the force")}
    example: ClassVar[dict[str, Any]] = {"share": [0.0, 0.2]}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.reach, bool) or not isinstance(self.reach, int | float) or not self.reach > 0:
            raise ConfigError(f"TaxelCrosstalk.reach: expected metres, more than 0, got {self.reach!r}")

    @classmethod
    def reported_force(cls, force: Tensor, params: Mapping[str, Any], stream: Taxels, key: RowKey) -> Tensor:
        """Forces after each element passed the share ``share`` to its neighbours by exp(-(d / ``reach``)^2 / 2).

        d in metres; NaN passes nothing on.
        """
        place = stream.poses[0, :, :3, 3].to(force.device, torch.float64)
        return passed_on(force, place, params["share"], params["reach"])


def passed_on(force: Tensor, place: Tensor, share: Any, reach: Any) -> Tensor:
    """Forces (..., k, T) of elements after each has passed a share on to its neighbours.

    Args:
        place: (..., T, 3) of the elements, m, float64. share: of its force. reach: m; numbers, or (..., 1, 1).
    """
    shares = neighbour_shares(place, share, reach)
    # an element without a reading passes nothing on
    given = force.to(torch.float64).nan_to_num(0.0)
    passed = given @ shares.transpose(-1, -2) if shares.ndim > 2 else sum_in_order(given, shares.transpose(-1, -2))
    return ((1 - shares.sum(-2, keepdim=True)) * force + passed).to(force.dtype)


def neighbour_shares(place: Tensor, share: Any, reach: Any) -> Tensor:
    """What element i (row) gets of the force of element j, (..., T, T) float64. Arguments as of ``passed_on``."""
    near = torch.exp(-0.5 * (torch.cdist(place, place) / reach) ** 2)
    near = near.masked_fill(torch.eye(place.shape[-2], dtype=torch.bool, device=place.device), 0.0)
    total = near.sum(-2, keepdim=True)  # of what each element passes on
    return share * near / total.clamp(min=1)


def sum_in_order(values: Tensor, weights: Tensor) -> Tensor:
    """``values @ weights``, (k, T) and (T, T), summed element after element: a reading has its bits in any batch."""
    out = values[:, :1] * weights[0]
    for j in range(1, values.shape[1]):
        out += values[:, j : j + 1] * weights[j]
    return out
