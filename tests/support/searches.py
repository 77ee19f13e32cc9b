"""A small space, and objectives whose scores are known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import fusion_aug as fa

STEPS = {
    "bright": fa.Brightness(factor=[0.5, 1.5]), "turn": fa.RotateScene(yaw_deg=[-45, 45]),
    "points": fa.PointDropout(share=[0.0, 0.5]), "grain": fa.GaussianNoise(sigma=[0.0, 0.05]),
}  # fmt: skip


def space() -> fa.Space:
    """Four operations of one dimension each."""
    return fa.Space.of(fa.Compose(STEPS))


def strengths(pipeline: fa.Compose) -> dict[str, float]:
    """How strong a plain pipeline is, in the units of its fields: the last value that they may take."""
    found = {}
    for name, step in pipeline.children():
        field = {"bright": "factor", "turn": "yaw_deg", "points": "share", "grain": "sigma"}[name]
        value: Any = getattr(step, field)
        found[name] = float(value["values"][-1] if isinstance(value, Mapping) else value)
    return found


def likes_a_third(pipeline: fa.Compose, seed: int, epochs: int, checkpoint: Any) -> dict[str, float]:
    """Best (1) where a third of the points are dropped, and the other steps are nearly off."""
    found = strengths(pipeline)
    off = abs(math.log(found["bright"])) + found["turn"] / 180 + found["grain"]
    return {"good": 1 - (found["points"] - 1 / 3) ** 2 - 0.1 * off + 0.001 * seed}


class Counted:
    """An objective that counts its calls, and stops like a killed one where it is told to."""

    def __init__(self, objective: Any, stop_before: int | None = None):
        self.objective, self.stop_before, self.calls = objective, stop_before, 0

    def __call__(self, *words: Any) -> Any:
        if self.calls == self.stop_before:
            raise KeyboardInterrupt
        self.calls += 1
        return self.objective(*words)
