"""An environment's physics, which stops at every step at which something is due, whoever steps.

Environments of three kinds are known: those of ``gymnasium.envs.mujoco``, those of gymnasium-robotics, and any that
has ``model``, ``data``, ``physics_steps``, ``apply_action(action)`` and ``physics_step()`` and calls these from
``step``. They run as they come: an action is applied when it is due, by the environment's own function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.sim.packages import mujoco

PACKAGES = ("gymnasium", "gymnasium-robotics", "mujoco")


class Physics:
    """The physics of one environment.

    Outside episodes (``live`` is False) the environment steps as ever.

    Attributes:
        model, data: of MuJoCo. period: ns of a physics step. steps: physics steps of a control step.
        row: how many steps the episode has made. live: whether an episode runs.
        events: called when one is due, that is when ``row`` has come to ``next_event``, which they set anew.

    Raises:
        ConfigError: the environment is of no known kind.
    """

    def __init__(self, env: Any):
        self._own = own = env.unwrapped
        self.model: Any = getattr(own, "model", None)
        self.data: Any = getattr(own, "data", None)
        module = mujoco()
        if not isinstance(self.model, module.MjModel) or not isinstance(self.data, module.MjData):
            raise ConfigError(f"Randomized: {_said(own)} has no MuJoCo model and data ({versions()}); {REMEDY}")
        self.period = round(float(self.model.opt.timestep) * 1e9)
        self.row, self.live, self.delay, self.next_event = 0, False, 0, NEVER
        self.events: Callable[[], None] = _nothing
        self._due: deque[tuple[int, Any]] = deque()
        for kind in (_own_kind, _robotics_kind, _gymnasium_kind):
            found = kind(self, own)
            if found is not None:
                self._apply, self._advance, self.steps = found
                return
        raise ConfigError(f"Randomized: {_said(own)} steps MuJoCo in a way that is not known ({versions()}); {REMEDY}")

    def begin(self, delay: int) -> None:
        """Begin an episode, whose actions arrive ``delay`` ns after they were sent."""
        self.row, self.live, self.delay, self.next_event = 0, True, delay, NEVER
        self._due.clear()

    def end(self) -> None:
        """Let the environment step as ever."""
        self.live = False

    def send(self, action: Any) -> None:
        """Send an action now: it is applied at the first physics step that begins when it has arrived, or later."""
        arrives = self.row * self.period + self.delay
        self._due.append((-(-arrives // self.period), np.array(action)))

    def run(self, steps: int) -> None:
        """Physics steps, as many at once as nothing happens between."""
        end, due = self.row + steps, self._due
        while self.row < end:
            while due and due[0][0] <= self.row:
                self._apply(due.popleft()[1])
            stop = min(end, self.next_event, due[0][0]) if due else min(end, self.next_event)
            self._advance(stop - self.row)
            self.row = stop
            if stop == self.next_event:
                self.events()


NEVER = 1 << 62
Kind = tuple[Callable[[Any], Any], Callable[[int], Any], int]  # apply an action, make steps, steps of a control step
REMEDY = (
    "give its class model, data, physics_steps, apply_action(action) and physics_step(), and call these in step "
    "(docs/sim_to_real.md)"
)


def _gymnasium_kind(physics: Physics, own: Any) -> Kind | None:
    """Environments of gymnasium: ``do_simulation`` steps several times at once."""
    usual = getattr(own, "_step_mujoco_simulation", None)
    if usual is None or not hasattr(own, "frame_skip"):
        return None
    module, model, data = mujoco(), physics.model, physics.data

    def simulate(ctrl: Any, n_frames: int) -> None:
        if not physics.live:
            usual(ctrl, n_frames)
            return
        physics.send(ctrl)
        physics.run(n_frames)
        module.mj_rnePostConstraint(model, data)  # as there: forces that no sensor asks for

    own._step_mujoco_simulation = simulate
    return (
        lambda ctrl: np.copyto(data.ctrl, ctrl),
        lambda count: module.mj_step(model, data, count),
        int(own.frame_skip),
    )


def _robotics_kind(physics: Physics, own: Any) -> Kind | None:
    """Environments of gymnasium-robotics: an action moves targets from where they are when it is applied."""
    apply, usual = getattr(own, "_set_action", None), getattr(own, "_mujoco_step", None)
    if apply is None or usual is None or not hasattr(own, "n_substeps"):
        return None
    module, model, data = mujoco(), physics.model, physics.data
    own._set_action = lambda action: physics.send(action) if physics.live else apply(action)
    own._mujoco_step = lambda action: physics.run(own.n_substeps) if physics.live else usual(action)
    return apply, lambda count: module.mj_step(model, data, count), int(own.n_substeps)


def _own_kind(physics: Physics, own: Any) -> Kind | None:
    """Environments that offer their steps."""
    apply, advance = getattr(own, "apply_action", None), getattr(own, "physics_step", None)
    if apply is None or advance is None or not hasattr(own, "physics_steps"):
        return None
    own.apply_action = lambda action: physics.send(action) if physics.live else apply(action)
    own.physics_step = lambda: physics.run(1) if physics.live else advance()

    def several(count: int) -> None:
        for _ in range(count):
            advance()

    return apply, several, int(own.physics_steps)


def versions() -> str:
    """The packages whose versions decide, for messages."""
    return ", ".join(f"{name} {_version(name)}" for name in PACKAGES)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _said(own: Any) -> str:
    return f"{type(own).__module__}.{type(own).__qualname__}"


def _nothing() -> None:
    return None
