"""Whether the simulator agrees with a mirror: step(mirror(s), mirror(a)) = mirror(step(s, a))."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.errors import ConfigError
from fusion_aug.sim.model_names import actuator_name, body_name, joint_name
from fusion_aug.sim.model_robot import FREE, HINGE, joints_of
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.state_mirror import StateMirror

State = tuple[np.ndarray, np.ndarray]
REACH = {HINGE: 1.0, 2: 0.1}  # rad and metres about the pose of rest, of joints without limits
PUSH = 0.1  # share of a control's range
SPEED = 0.3  # rad/s or m/s


def sample_states(model: Any, state: StateMirror, count: int, seed: int) -> list[State]:
    """Random (qpos, qvel) within the joints' limits; loose bodies are at rest, turned and moved a little."""
    rng, out = np.random.default_rng([seed, 7]), []
    for _ in range(count):
        qpos, qvel = np.array(model.qpos0), SPEED * rng.uniform(-1, 1, model.nv)
        for j in range(model.njnt):
            q, kind = int(model.jnt_qposadr[j]), int(model.jnt_type[j])
            if kind == FREE:
                qpos[q : q + 3] += rng.uniform(-0.02, 0.02, 3)
                turned = qpos[q + 3 : q + 7] + rng.uniform(-0.2, 0.2, 4)
                qpos[q + 3 : q + 7] = turned / np.linalg.norm(turned)
            elif kind in REACH:
                low, high = qpos[q] + REACH[kind] * np.array([-1.0, 1.0])
                if model.jnt_limited[j]:
                    low, high = max(low, model.jnt_range[j][0]), min(high, model.jnt_range[j][1])
                qpos[q] = low + (high - low) * rng.uniform(0.1, 0.9)
        out.append((qpos, qvel))
    return out


def random_controls(model: Any, rng: np.random.Generator) -> np.ndarray:
    """(nu,) controls: small ones, within their ranges."""
    low, high = np.where(model.actuator_ctrllimited[:, None], model.actuator_ctrlrange, [[-1.0, 1.0]]).T
    middle, half = (low + high) / 2, (high - low) / 2
    return middle + PUSH * half * rng.uniform(-1, 1, model.nu)


def check_joints(model: Any, state: StateMirror, seed: int, tolerance: float) -> None:
    """Raise where a body is not where its partner's mirror image is, from the root on; its joint is named.

    Raises:
        ConfigError: a joint has another sign, partner or offset than the maps say.
    """
    module = mujoco()
    data, other = module.MjData(model), module.MjData(model)
    for qpos, _ in sample_states(model, state, 4, seed):
        data.qpos[:], other.qpos[:] = qpos, state.qpos(qpos)
        for one in (data, other):
            module.mj_kinematics(model, one)
        for body, (partner, M) in sorted(state.bodies.items()):
            off = np.abs(state.world @ _pose(data, body) - _pose(other, partner) @ M).max()
            if off > tolerance:
                raise ConfigError(f"mirror: {_who(model, body)}: its mirror image is off by {off:.2g} (m or axes)")


def _who(model: Any, body: int) -> str:
    """The joint that moves a body, or the nearest above."""
    while body and not joints_of(model, body):
        body = int(model.body_parentid[body])
    joints = joints_of(model, body)
    return f"joint {joint_name(model, joints[-1])!r}" if joints else f"body {body_name(model, body)!r}"


def _pose(data: Any, body: int) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = data.xmat[body].reshape(3, 3), data.xpos[body]
    return T


def check_actuators(model: Any, state: StateMirror, seed: int, tolerance: float) -> None:
    """Raise where an actuator pushes otherwise than its partner's mirror image.

    Raises:
        ConfigError: naming it.
    """
    module, rng = mujoco(), np.random.default_rng([seed, 8])
    data, other = module.MjData(model), module.MjData(model)
    (qpos, qvel), *_ = sample_states(model, state, 1, seed)
    for a in range(model.nu):
        ctrl = np.zeros(model.nu)
        ctrl[a] = random_controls(model, rng)[a]
        data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, ctrl
        other.qpos[:], other.qvel[:], other.ctrl[:] = state.qpos(qpos), state.qvel(qvel), state.ctrl(ctrl)
        for one in (data, other):
            module.mj_forward(model, one)
        pushed, wanted = np.array(other.qfrc_actuator), state.qvel(np.array(data.qfrc_actuator))
        off = np.abs(pushed - wanted)
        if off.max(initial=0.0) > tolerance * max(1.0, float(np.abs(wanted).max())):
            joint = joint_name(model, int(model.dof_jntid[int(off.argmax())]))
            raise ConfigError(
                f"mirror: actuator {actuator_name(model, a)!r}: its mirror image pushes the joint {joint!r} by "
                f"{pushed[off.argmax()]:.3g} instead of {wanted[off.argmax()]:.3g}"
            )


def check_steps(
    model: Any,
    state: StateMirror,
    steps: int,
    seed: int,
    tolerance: float,
    contacts: bool = False,
    start: State | None = None,
) -> float:
    """Largest residue in qpos and qvel over steps of the simulator with random controls.

    Args:
        start: (qpos, qvel) of the first step; any by default.

    Raises:
        ConfigError: it is above the tolerance; the joint with the largest residue after the first such step is named.
    """
    worst, joint, at = 0.0, "", 0
    for step, (off, who) in enumerate(residues(model, state, steps, seed, contacts, start)):
        if off > worst:
            worst, joint, at = off, who, step + 1
        if worst > tolerance:
            raise ConfigError(
                f"mirror: joint {joint!r}: after {at} steps, step(mirror(s), mirror(a)) is off mirror(step(s, a)) by "
                f"{worst:.2g}, more than {tolerance:g}: masses, damping or drives of both sides differ"
            )
    return worst


def residues(
    model: Any, state: StateMirror, steps: int, seed: int, contacts: bool = False, start: State | None = None
) -> list[tuple[float, str]]:
    """Residue after each step, and the joint where it is largest.

    Args:
        model: of MuJoCo, whose flag for contacts is set for the time. contacts: whether bodies touch one another.
        start: (qpos, qvel).
    """
    module, rng = mujoco(), np.random.default_rng([seed, 9])
    before = int(model.opt.disableflags)
    if not contacts:
        model.opt.disableflags = before | int(module.mjtDisableBit.mjDSBL_CONTACT)
    try:
        data, other = module.MjData(model), module.MjData(model)
        qpos, qvel = sample_states(model, state, 1, seed + 1)[0] if start is None else start
        data.qpos[:], data.qvel[:] = qpos, qvel
        other.qpos[:], other.qvel[:] = state.qpos(qpos), state.qvel(qvel)
        out = []
        for _ in range(steps):
            data.ctrl[:] = random_controls(model, rng)
            other.ctrl[:] = state.ctrl(np.array(data.ctrl))
            module.mj_step(model, data)
            module.mj_step(model, other)
            out.append(_difference(model, state, data, other))
        return out
    finally:
        model.opt.disableflags = before


def _difference(model: Any, state: StateMirror, data: Any, other: Any) -> tuple[float, str]:
    """Largest difference of two states, and the joint that it is at."""
    velocity = np.abs(np.array(other.qvel) - state.qvel(np.array(data.qvel)))
    position = np.abs(np.array(other.qpos) - state.qpos(np.array(data.qpos)))
    for j in range(model.njnt):
        if int(model.jnt_type[j]) == FREE:  # q and -q are one rotation
            q = int(model.jnt_qposadr[j]) + 3
            position[q : q + 4] = np.minimum(
                position[q : q + 4], np.abs(np.array(other.qpos) + state.qpos(np.array(data.qpos)))[q : q + 4]
            )
    joint = joint_name(model, int(model.dof_jntid[int(velocity.argmax())]))
    return float(max(velocity.max(initial=0.0), position.max(initial=0.0))), joint
