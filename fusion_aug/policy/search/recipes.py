"""Recipes: what a trial tries, in JSON; from one a pipeline is made. Journals and results hold them.

* ``{"n": 2, "magnitude": 0.5}``: RandAugment.
* ``{"magnitudes": {dimension: m}, "p": {operation: p}}``: the pipeline itself, so strong and so often.
* ``{"policies": [[[operation, m], ...], ...]}``: one of several sub-policies, drawn for every sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fusion_aug.core.compose import Compose, Container, OneOf
from fusion_aug.core.transform import Transform
from fusion_aug.policy.randaugment import RandAugment
from fusion_aug.policy.space import Space

DIGITS = 6  # of drawn magnitudes and probabilities


def pipeline_of(space: Space, recipe: Mapping[str, Any]) -> Compose:
    """The pipeline of a recipe."""
    if "n" in recipe:
        return Compose([RandAugment(space, n=recipe["n"], magnitude=recipe["magnitude"])])
    if "policies" in recipe:
        policies = {f"policy{i}": _sub_policy(space, steps) for i, steps in enumerate(recipe["policies"])}
        return Compose([OneOf(policies)])
    built = space.at(recipe["magnitudes"])
    return with_probabilities(built, recipe["p"]) if "p" in recipe else built


def _sub_policy(space: Space, steps: Any) -> Compose:
    """Operations one after another; two of a name are kept apart by the container."""
    return Compose([replace(space.operation(path, m), name=path.replace("/", "_")) for path, m in steps])


def with_probabilities(pipeline: Compose, probabilities: Mapping[str, float]) -> Compose:
    """The pipeline with other probabilities ``p`` of the transforms at some paths."""

    def changed(transform: Transform, path: str) -> Transform:
        if path in probabilities:
            return replace(transform, p=probabilities[path])
        return transform

    built: Compose = with_leaves(pipeline, changed)
    return built


def with_leaves(container: Any, change: Callable[[Transform, str], Transform], path: str = "") -> Any:
    """A container whose transforms are changed by what they are and where."""
    inside: dict[str, Transform] = {}
    for name, child in container.children():
        at = f"{path}/{name}" if path else name
        inside[name] = with_leaves(child, change, at) if isinstance(child, Container) else change(child, at)
    return type(container)(inside, **{k: getattr(container, k) for k in container.defaults()})


def drawn_recipe(space: Space, rng: np.random.Generator) -> dict[str, Any]:
    """Magnitude of every dimension and probability of every operation, uniform in [0, 1], in the order of the space."""
    return {
        "magnitudes": {d.name: round(float(rng.random()), DIGITS) for d in space.dimensions},
        "p": {path: round(float(rng.random()), DIGITS) for path in space.operations},
    }
