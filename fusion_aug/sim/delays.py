"""Observations that only the environment can make: they are late by whole control steps, and the rest is told."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from calib.ties import TIE
from fusion_aug.errors import ConfigError
from fusion_aug.sim.timing import Timing


def check_whole(name: str, timing: Timing) -> None:
    """Refuse what cannot be done to an observation of the environment's.

    Raises:
        ConfigError: more than a latency is asked for.
    """
    wrong = [f for f in ("jitter", "rate", "drop") if getattr(timing, f) not in (0.0, None)]
    if wrong:
        raise ConfigError(
            f"Randomized.sensors.{name}.{wrong[0]}: only the environment can make this observation, once per control "
            "step; map it to the model in the rig file (streams and parts), or give its latency alone"
        )


class Late:
    """One of the environment's observations, late by a whole number of control steps.

    Args:
        drawn: with the latency in seconds. control: ns of a control step.
    """

    def __init__(self, drawn: Mapping[str, Any], control: int):
        late = drawn["latency"] * 1e9
        self.steps = math.floor(late / control + TIE)
        self.told = {
            "latency": drawn["latency"], "delivered": self.steps * control * 1e-9,
            "residual": max(late - self.steps * control, 0.0) * 1e-9,
        }  # fmt: skip
        self._held: deque[Any] = deque(maxlen=self.steps + 1)

    def pass_on(self, value: Any) -> Any:
        """The observation of some control steps ago; the first one until then."""
        self._held.append(np.array(value) if isinstance(value, np.ndarray) else value)
        return self._held[0]
