"""The declared space of observations: the environment's own, and beside it what is read from the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.sim.packages import gymnasium
from fusion_aug.sim.report import SHAPES
from fusion_aug.sim.sensing import Signal

STATE = "state"  # what an observation that is no dictionary is called beside others
ADDED = ("sensor_data", "sensor_param")


def keys_of(space: Any) -> dict[str, Any]:
    """Key -> space of an environment's observations; one that is no dictionary is called ``state``."""
    inside = dict(space.spaces) if isinstance(space, gymnasium().spaces.Dict) else {STATE: space}
    return inside


def beside(signal: Signal) -> list[str]:
    """Columns of a stream that the environment's own observation does not hold."""
    return [c for c in signal.example.values if c not in signal.to]


def widened(space: Any, signals: list[Signal], sizes: Mapping[str, tuple[int, int]]) -> Any:
    """The space of observations with ``sensor_data`` and ``sensor_param``; the same where neither is needed.

    Raises:
        ConfigError: the environment has such a key already, or a part does not fit its observation.
    """
    spaces, own = gymnasium().spaces, keys_of(space)
    for signal in signals:
        for column, (key, first, end) in signal.to.items():
            box = own.get(key)
            if not isinstance(box, spaces.Box) or len(box.shape) != 1 or not 0 <= first < end <= box.shape[0]:
                raise ConfigError(
                    f"rig: parts.{key}.{signal.name}.{column}: the environment's observation has no numbers "
                    f"[{first}, {end}] there (it is {space})"
                )
    data: dict[str, Any] = {}
    for signal in signals:
        columns = {c: signal.example.values[c][0].numpy() for c in beside(signal)}
        if columns:
            boxes = {c: spaces.Box(-np.inf, np.inf, v.shape, v.dtype.type) for c, v in columns.items()}
            data[signal.name] = spaces.Dict(boxes)
    for name, size in sizes.items():
        data[name] = spaces.Dict({"rgb": spaces.Box(0, 255, (*size, 3), np.uint8)})
    if not data:
        return space
    taken = [k for k in ADDED if k in own]
    if taken:
        raise ConfigError(f"Randomized: the environment has an observation {taken[0]!r} of its own; rename it there")
    added = {"sensor_data": spaces.Dict(data)}
    if sizes:
        matrices = {k: spaces.Box(-np.inf, np.inf, s, np.float32) for k, s in SHAPES.items()}
        added["sensor_param"] = spaces.Dict({n: spaces.Dict(matrices) for n in sizes})
    return spaces.Dict({**own, **added})
