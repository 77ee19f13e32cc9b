"""Steps of taxels."""

from __future__ import annotations

import math

import numpy as np
import torch

from fusion_aug.ops.hashed import chance, row_key
from fusion_aug.ops.normals import normal
from fusion_aug.sim.step_noise import dtype_of
from fusion_aug.sim.step_rules import Columns, Kernel, StepCall, steps
from fusion_aug.streams import Taxels
from fusion_aug.transforms.touch.taxels import TaxelCrosstalk, TaxelDropout, TaxelGain, neighbour_shares


@steps(TaxelDropout, Taxels)
def drop_taxels(call: StepCall) -> Kernel | None:
    """Dead elements report zero."""
    dead = chance(row_key(call.params["noise"], call.name), _width(call), call.params["share"])

    def drop(row: int, columns: Columns) -> None:
        columns["force"][dead] = 0.0

    return drop if dead.any() else None


@steps(TaxelGain, Taxels)
def scale_taxels(call: StepCall) -> Kernel | None:
    """Every element has its own gain."""
    drawn = normal(row_key(call.params["noise"], call.name), _width(call)).astype(np.float64)
    gains = np.maximum(1 + call.params["sigma"] * drawn, 0).astype(dtype_of(call, "force"))

    def scale(row: int, columns: Columns) -> None:
        force = columns["force"]
        np.multiply(force, gains, force)

    return scale


@steps(TaxelCrosstalk, Taxels)
def pass_on(call: StepCall) -> Kernel | None:
    """Elements pass a share of their force on to their neighbours."""
    assert isinstance(call.stream, Taxels)
    place = call.stream.poses[0, :, :3, 3].to(torch.float64)
    shares = neighbour_shares(place, call.params["share"], call.params["reach"])
    kept = (1 - shares.sum(-2)).numpy()
    from_each = np.ascontiguousarray(shares.numpy().T)
    products = np.empty_like(from_each)

    def spread(row: int, columns: Columns) -> None:
        force = columns["force"]
        given = force.astype(np.float64)
        if not math.isfinite(np.add.reduce(given)):  # an element without a reading passes nothing on
            given = np.nan_to_num(given)
        np.multiply(from_each, given[:, None], products)
        passed = np.add.reduce(products, axis=0)  # row after row, as sum_in_order
        passed += kept * force
        force[...] = passed

    return spread


def _width(call: StepCall) -> int:
    return int(call.stream.values["force"].shape[1])
