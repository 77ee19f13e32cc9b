"""Faults of taxels on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.device.rows import OFF, ON, Columns, Numbers, per_row, planned
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.streams import Taxels
from fusion_aug.transforms.touch.taxels import TaxelCrosstalk, TaxelDropout, TaxelGain, TaxelTransform, passed_on

Params = Mapping[str, Any]
Plan = Callable[[Taxels, Call], Taxels]


def _key(call: Call, params: Params) -> Any:
    return row_key(params["noise"], call.name)


def _alive(stream: Taxels, call: Call) -> Taxels:
    """A share of the elements is dead."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        return {"alive": ~chance(_key(call, params), stream.poses.shape[1], params["share"])}

    return planned(stream, call, _keep_alive, numbers, {"alive": np.ones(stream.poses.shape[1], bool)})


def _keep_alive(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    (alive,) = per_row(columns, numbers, "alive")
    return {"force": torch.where(alive, columns["force"], 0.0)}


def _gains(stream: Taxels, call: Call) -> Taxels:
    """Every element has a gain of its own."""

    def numbers(item: int, params: Params) -> dict[str, Any]:
        drawn = normal(_key(call, params), stream.poses.shape[1]).astype(np.float64)
        return {"gain": np.maximum(1 + params["sigma"] * drawn, 0.0)}

    return planned(stream, call, _with_gains, numbers, {"gain": np.ones(stream.poses.shape[1])})


def _with_gains(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    (gain,) = per_row(columns, numbers, "gain")
    return {"force": columns["force"] * gain.to(columns["force"].dtype)}


def _neighbours(stream: Taxels, call: Call) -> Taxels:
    """Every element passes a share on; elements lie in a sample as at its first reading."""
    firsts = {u: (stream.sample_index == u).nonzero()[0, 0] for u in stream.sample_index.unique().tolist()}

    def numbers(item: int, params: Params) -> dict[str, Any]:
        poses = stream.poses[firsts[int(stream.sample_index[item])]]
        place = poses[:, :3, 3].to(torch.float64).numpy()
        return {**ON, "place": place, "share": float(params["share"]), "reach": float(params["reach"])}

    neutral = {**OFF, "place": np.zeros((stream.poses.shape[1], 3)), "share": 0.0, "reach": 1.0}
    return planned(stream, call, _pass_on, numbers, neutral)


def _pass_on(columns: Columns, numbers: Numbers) -> dict[str, Tensor]:
    force, (place, share, reach, on) = columns["force"], per_row(columns, numbers, "place", "share", "reach", "on")
    changed = passed_on(force[:, None], place, share[:, None, None], reach[:, None, None])[:, 0]
    return {"force": torch.where(on[:, None], changed, force)}


PLANS: dict[Any, Plan] = {TaxelDropout: _alive, TaxelGain: _gains, TaxelCrosstalk: _neighbours}


@on_device(TaxelTransform, Taxels, where=lambda cls: cls in PLANS)
def plan_taxels(stream: Taxels, call: Call) -> Taxels:
    """By the plan of the transform."""
    return PLANS[call.transform](stream, call)
