"""Whether an environment's own step agrees with its mirror: step(mirror(s), mirror(a)) = mirror(step(s, a))."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.sim.index_tables import IndexTable
from fusion_aug.sim.mirror_checks import sample_states
from fusion_aug.sim.mirror_observations import SINGLE, TOLERANCE, Parts, name_of, without_contacts
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.state_mirror import StateMirror

STEPS, SHARE = 5, 0.1  # control steps of the check, and how much of an action's range they use


def check_environment(
    env: Any,
    state: StateMirror,
    action: IndexTable,
    observation: IndexTable,
    parts: Parts,
    vector: Callable[[Any], np.ndarray],
    seed: int,
) -> float | None:
    """Largest difference of observations over some steps without contacts, over the largest number in them.

    The simulator's state is put back. None where the environment cannot be set to a state (``set_state``).

    Args:
        env: the environment. state, action, observation, parts: its mirror. vector: of an observation, flat.
        seed: of states and actions.

    Raises:
        ConfigError: it is above what rounding explains; the number of the observation is named.
    """
    inner = env.unwrapped
    if not (hasattr(inner, "set_state") and hasattr(env, "action_space")):
        return None
    rng, low, high = np.random.default_rng([seed, 10]), env.action_space.low, env.action_space.high
    low, high = np.maximum(low, -1.0), np.minimum(high, 1.0)
    actions = [(low + high) / 2 + SHARE * (high - low) * rng.uniform(-0.5, 0.5, low.shape) for _ in range(STEPS)]
    qpos, qvel = sample_states(inner.model, state, 1, seed + 2)[0]
    module = mujoco()
    kind = module.mjtState.mjSTATE_INTEGRATION
    kept = np.empty(module.mj_stateSize(inner.model, kind))
    module.mj_getState(inner.model, inner.data, kept, kind)
    try:
        with without_contacts(inner.model):
            seen = _observed(inner, qpos, qvel, actions, vector)
            told = _observed(inner, state.qpos(qpos), state.qvel(qvel), [action(a) for a in actions], vector)
    finally:
        module.mj_setState(inner.model, inner.data, kept, kind)
        module.mj_forward(inner.model, inner.data)
    scale = max(1.0, float(np.abs(seen).max(initial=0.0)))
    off = np.abs(observation(seen) - told).max(0) / scale
    if off.max(initial=0.0) > (SINGLE if seen.dtype == np.float32 else 10 * TOLERANCE):
        worst = int(off.argmax())
        raise ConfigError(
            f"mirror: {name_of(worst, parts)}: after {STEPS} steps of the environment, step(mirror(s), mirror(a)) is "
            f"off mirror(step(s, a)) by {off[worst]:.2g} of the largest number; is an action no control?"
        )
    return float(off.max(initial=0.0))


def _observed(
    inner: Any, qpos: np.ndarray, qvel: np.ndarray, actions: list[np.ndarray], vector: Callable[[Any], np.ndarray]
) -> np.ndarray:
    """Observations (steps, n) of actions from a state."""
    mujoco().mj_resetData(inner.model, inner.data)
    inner.set_state(qpos, qvel)
    return np.stack([vector(inner.step(action)[0]) for action in actions])
