"""Narrowing: a space, and the ranges of its pipeline, without what lies beyond some magnitudes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fusion_aug.core.compose import Compose
from fusion_aug.core.schedules import Schedule
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError
from fusion_aug.policy.search.recipes import with_leaves
from fusion_aug.policy.space import Dimension, Space


def narrowed(space: Space, largest: Mapping[str, float]) -> Space:
    """A space of which dimensions end at a magnitude of the old one, also in the ranges of its pipeline.

    Args:
        space: the old one. largest: dimension -> magnitude that is 1 from now on; at 0 the dimension is left out, and
            its field is neutral.

    Raises:
        ConfigError: no dimension is left, or a name is none.
    """
    space.named(largest)
    kept = [d for d in space.dimensions if largest.get(d.name, 1.0) > 0]
    if not kept:
        raise ConfigError("density: no range is left; raise factor=, or try lower levels=")

    def changed(leaf: Transform, path: str) -> Transform:
        mine = [d for d in space.dimensions if d.path == path]
        values = {d.field: cut(getattr(leaf, d.field), d, largest.get(d.name, 1.0)) for d in mine}
        if mine and not any(d in kept for d in mine):
            values["p"] = 0.0
        return replace(leaf, **values)

    pipeline: Compose = with_leaves(space.pipeline, changed)
    left = replace(space, pipeline=pipeline, dimensions=tuple(kept))
    return left.up_to({d.name: largest.get(d.name, 1.0) for d in kept})


def ends_of(dimension: Dimension, magnitude: float) -> list[float]:
    """The values of a dimension at a magnitude above 0, one or two."""
    value: Any = dimension.value(magnitude)
    return list(value["values"]) if isinstance(value, Mapping) else [float(value)]


def cut(value: Any, dimension: Dimension, largest: float) -> Any:
    """A ``Range`` without what lies beyond a magnitude; where nothing of it is left, the value there.

    Args:
        value: of the field. dimension: it is. largest: magnitude; at 0 the field is neutral.
    """
    if largest == 0:
        return dimension.value(0.0)
    if largest == 1 or value is None:
        return value
    low, high = _limits(dimension, largest)

    def inside(number: Any) -> Any:
        if isinstance(number, Schedule):
            return replace(number, start=inside(number.start), end=inside(number.end))
        return min(max(number, low), high)

    if isinstance(value, int | float | Schedule):
        return inside(value)
    if isinstance(value, Sequence):
        return [inside(v) for v in value]
    if value["distribution"] == "choice":
        return {
            **value,
            "values": [v for v in value["values"] if low <= v <= high] or [inside(v) for v in value["values"]],
        }
    if value["distribution"] == "normal":
        limits = {"low": max(low, value.get("low", low)), "high": min(high, value.get("high", high))}
        return {**value, **{k: v for k, v in limits.items() if math.isfinite(v)}}
    return {**value, "low": inside(value["low"]), "high": inside(value["high"])}


def _limits(dimension: Dimension, magnitude: float) -> tuple[float, float]:
    """The interval of values that a dimension takes up to a magnitude; where it has one side, the other end is open."""
    ends = ends_of(dimension, magnitude)
    if len(ends) == 2:
        return min(ends), max(ends)
    strength = dimension.strength
    start: Any = strength.neutral if strength.near is None else strength.near  # Strength refuses None
    return (ends[0], math.inf) if strength.sides[0] < start else (-math.inf, ends[0])
