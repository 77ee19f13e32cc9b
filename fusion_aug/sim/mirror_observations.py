"""What a mirror does to each number of an observation, found by observing states and their mirror images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.sim.index_tables import IndexTable
from fusion_aug.sim.mirror_checks import State
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.state_mirror import StateMirror

Observe = Callable[[Any, Any], Any]
Parts = dict[str, tuple[int, int]]
TOLERANCE, SINGLE = 1e-8, 1e-5  # of the largest of an observation's numbers, by which others may be off; of float32


def observer_of(env: Any, observe: Observe | None, keys: Sequence[str] | None) -> Observe:
    """A function of (model, data) that observes, by default by the environment's own ``_get_obs``.

    Raises:
        ConfigError: there is none, or no such key.
    """
    if observe is None and not hasattr(env.unwrapped, "_get_obs"):
        raise ConfigError(
            "mirror: observe: the environment has no _get_obs; give a function of (model, data) that observes them"
        )

    def chosen(model: Any, data: Any) -> Any:
        seen = env.unwrapped._get_obs() if observe is None else observe(model, data)
        if keys is None:
            return seen
        missing = [k for k in keys if k not in seen]
        if missing:
            raise ConfigError(f"mirror: keys: the observation has no {missing[0]!r} (it has {', '.join(seen)})")
        return {k: seen[k] for k in keys}

    return chosen


@contextmanager
def without_contacts(model: Any) -> Iterator[None]:
    """No body touches another one meanwhile."""
    before = int(model.opt.disableflags)
    model.opt.disableflags = before | int(mujoco().mjtDisableBit.mjDSBL_CONTACT)
    try:
        yield
    finally:
        model.opt.disableflags = before


def flat(observation: Any) -> np.ndarray:
    """A mapping's vectors (..., n) one after another, in its order; a vector as it is."""
    if not isinstance(observation, Mapping):
        return np.asarray(observation)
    return np.concatenate([np.asarray(v) for v in observation.values()], axis=-1)


def split(vector: np.ndarray, like: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A vector taken apart as a mapping's parts, in their types."""
    ends = np.cumsum([np.shape(v)[-1] for v in like.values()])[:-1]
    pieces = np.split(vector, ends, axis=-1)
    return {k: p.astype(np.asarray(v).dtype) for (k, v), p in zip(like.items(), pieces, strict=True)}


def observation_table(
    observe: Observe,
    model: Any,
    data: Any,
    state: StateMirror,
    free: Sequence[State],
    touching: Sequence[State],
    allow_constant: bool,
) -> tuple[IndexTable, Parts]:
    """The table of an observation, and where the parts of a mapping lie in it. The state of ``data`` is put back.

    Args:
        free: states that are observed without contacts, which a solver finds to its tolerance only. touching: others.

    Raises:
        ConfigError: a part is a picture, a number is no signed number of the mirrored observation, or it never changes.
    """
    module = mujoco()
    kind = module.mjtState.mjSTATE_INTEGRATION
    kept = np.empty(module.mj_stateSize(model, kind))
    module.mj_getState(model, data, kept, kind)
    pairs = []
    try:
        with without_contacts(model):
            pairs += [_both(observe, model, data, state, one) for one in free]
        pairs += [_both(observe, model, data, state, one) for one in touching]
    finally:
        module.mj_setState(model, data, kept, kind)
        module.mj_forward(model, data)
    first = pairs[0][0]
    coarse = any(np.asarray(v).dtype == np.float32 for v in (first.values() if isinstance(first, Mapping) else [first]))
    parts = _parts(first)
    seen, mirrored = (np.array([flat(pair[k]).astype(np.float64) for pair in pairs]) for k in (0, 1))
    return match(seen, mirrored, SINGLE if coarse else TOLERANCE, parts, allow_constant), parts


def _both(observe: Observe, model: Any, data: Any, state: StateMirror, one: State) -> list[Any]:
    """What is observed of a state and of its mirror image, without controls and forces from outside."""
    out = []
    for qpos, qvel in (one, (state.qpos(one[0]), state.qvel(one[1]))):
        mujoco().mj_resetData(model, data)
        data.qpos[:], data.qvel[:] = qpos, qvel
        mujoco().mj_forward(model, data)
        out.append(observe(model, data))
    return out


def _parts(observation: Any) -> Parts:
    """Key -> first and last of its numbers; empty of a plain vector."""
    if not isinstance(observation, Mapping):
        return {}
    parts, first = {}, 0
    for key, value in observation.items():
        if np.ndim(value) != 1:
            raise ConfigError(
                f"mirror: keys: {key!r} has the shape {np.shape(value)}; pictures show another world in the mirror, so "
                f"give the keys of the vectors"
            )
        parts[key] = (first, first + len(value))
        first += len(value)
    return parts


def match(seen: np.ndarray, mirrored: np.ndarray, tolerance: float, parts: Parts, allow_constant: bool) -> IndexTable:
    """Which number of an observation each mirrored one is.

    Args:
        seen, mirrored: (k, n) observations of k states, and of their mirror images. tolerance: of the largest number.

    Raises:
        ConfigError: one is none, or never changes.
    """
    count = seen.shape[1]
    table, allowed = IndexTable.identity(count), tolerance * max(1.0, float(np.abs(seen).max(initial=0.0)))
    taken: set[int] = set()
    changing = np.ptp(np.concatenate([seen, mirrored]), axis=0) > allowed
    for i in range(count):
        if not changing[i]:
            if not allow_constant:
                raise ConfigError(
                    f"mirror: {name_of(i, parts)} is {seen[0, i]:g} in all states, which tells nothing of its mirror "
                    f"image; give states in which it changes (contacts), or allow_constant=True"
                )
            continue
        source = _source(mirrored[:, i], seen, i, allowed, taken)
        if source is None:
            raise ConfigError(
                f"mirror: {name_of(i, parts)} of the mirrored observation is no number of the observation with a sign; "
                f"leave its key out, or give observe"
            )
        table.index[i], table.sign[i], table.offset[i] = source
        taken.add(source[0])
    return table


def _source(
    target: np.ndarray, seen: np.ndarray, own: int, allowed: float, taken: set[int]
) -> tuple[int, float, float] | None:
    """The number that a mirrored one is, with its sign and offset: itself if it can be, else the first that is free."""
    found = []
    for sign in (1.0, -1.0):
        rest = target[:, None] - sign * seen
        middle = rest.mean(0)
        fits = np.abs(rest - middle).max(0) <= allowed
        found += [(int(j), sign, 0.0 if abs(middle[j]) <= allowed else float(middle[j])) for j in fits.nonzero()[0]]
    found.sort(key=lambda f: (f[2] != 0.0, f[0] in taken, f[0] != own, f[0]))
    return found[0] if found else None


def name_of(number: int, parts: Parts) -> str:
    """How messages name a number of an observation."""
    inside = [(k, number - a) for k, (a, b) in parts.items() if a <= number < b]
    return f"number {inside[0][1]} of {inside[0][0]!r}" if inside else f"number {number}"
