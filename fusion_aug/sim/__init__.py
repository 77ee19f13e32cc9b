"""Wrappers of simulators: one draw for a whole simulated robot.

The names are loaded when they are used, so that a recorded log needs no simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusion_aug.sim.mirroring import mirror as mirror
    from fusion_aug.sim.randomized import Randomized as Randomized
    from fusion_aug.sim.recorder import Recorder as Recorder
    from fusion_aug.sim.replaying import replay as replay
    from fusion_aug.sim.stepper import Stepper as Stepper
    from fusion_aug.sim.world import MujocoWorld as MujocoWorld

_MODULES = {
    "MujocoWorld": "world", "Randomized": "randomized", "Recorder": "recorder", "Stepper": "stepper",
    "mirror": "mirroring", "replay": "replaying",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
