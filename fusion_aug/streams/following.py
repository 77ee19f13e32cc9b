"""Columns that a driver worked out of the coordinates, and that follow these (``ops.ray_columns``)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_aug.ops.ray_columns import fit_angle, is_distance, moved_angles, moved_distances
from fusion_aug.ops.similarity import Motion
from fusion_aug.streams.columns import Column

ANGLES = {"azimuth": ("azimuth",), "elevation": ("elevation",), "angle": ("azimuth", "elevation")}
FOLLOWING = ("range", *ANGLES)


def following_columns(types: Mapping[str, Column], values: Mapping[str, Any]) -> dict[str, Column]:
    """The columns of a cloud that follow its coordinates."""
    return {n: types[n] for n in values if n in types and types[n].kind in FOLLOWING}


def follow(
    columns: Mapping[str, Column],
    values: Mapping[str, Any],
    after: Tensor,
    bounds: Tensor,
    motion: Motion | None = None,
) -> dict[str, Any]:
    """Columns of points that were moved, in the types that they had.

    An angle that does not follow from the coordinates belongs to a scanner that stands elsewhere, and stays; such a
    distance scales.

    Args:
        columns: those that follow. values: all columns, ``xyz`` before the motion among them.
        after: (rows, 3) ``xyz`` after it. bounds: (n + 1,) rows of the items.
        motion: (n,) similarities that made it; None where points moved one by one.
    """
    old, new = (_numbers(xyz) for xyz in (values["xyz"], after))
    scales = None if motion is None else motion.scale.tolist()
    turns = None if motion is None else (motion.matrix.detach()[:, :3, 3] == 0).all(1).tolist()  # about the origin
    edges, out = bounds.tolist(), {}
    for name, column in columns.items():
        found = _numbers(values[name]).copy()
        for i, (a, b) in enumerate(pairwise(edges)):
            size = 1.0 if scales is None else scales[i]
            if column.kind == "range" and turns is not None and turns[i]:
                found[a:b] *= size
            else:
                found[a:b] = _moved(column.kind, found[a:b], old[a:b], new[a:b], size)
        if not values[name].is_floating_point():
            found = np.round(found)
        out[name] = torch.from_numpy(found).to(values[name])
    return out


def _moved(kind: str, values: np.ndarray, old: np.ndarray, new: np.ndarray, scale: float) -> np.ndarray:
    if kind == "range":
        return moved_distances(values, old, new, scale) if is_distance(values, old) else values * scale
    fit = fit_angle(values, old, ANGLES[kind])
    return values if fit is None else moved_angles(values, old, new, fit)


def unexplained(
    columns: Mapping[str, Column], values: Mapping[str, Any], bounds: Tensor, kinds: tuple[str, ...] = FOLLOWING
) -> list[str]:
    """Names of the columns of some kinds that do not follow from the coordinates of an item."""
    xyz, edges = _numbers(values["xyz"]), bounds.tolist()
    wrong = []
    for name, column in columns.items():
        numbers = _numbers(values[name])
        for a, b in pairwise(edges):
            if column.kind not in kinds or not np.isfinite(xyz[a:b]).all(1).any() or not np.any(numbers[a:b]):
                continue
            fits = is_distance(numbers[a:b], xyz[a:b]) if column.kind == "range" else (
                fit_angle(numbers[a:b], xyz[a:b], ANGLES[column.kind]) is not None
            )  # fmt: skip
            if not fits:
                wrong.append(name)
                break
    return wrong


def _numbers(values: Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float64).numpy()
