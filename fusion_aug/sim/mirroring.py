"""Left-right symmetry of a simulated robot: maps of states, actions and observations, checked by the simulator."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calib import CalibrationError
from calib.sides import other_side
from calib.symmetry import RobotMirror, find_mirror
from fusion_aug.errors import ConfigError
from fusion_aug.sim.index_tables import IndexTable
from fusion_aug.sim.mirror_checks import check_actuators, check_joints, check_steps, sample_states
from fusion_aug.sim.mirror_env import check_environment
from fusion_aug.sim.mirror_observations import Observe, flat, observation_table, observer_of, split
from fusion_aug.sim.model_names import actuator_name, body_name, joint_name
from fusion_aug.sim.model_robot import FREE, find_root, robot_of_model
from fusion_aug.sim.packages import mujoco
from fusion_aug.sim.state_mirror import StateMirror

JOINT_TRANSMISSION = 0  # mjtTrn
QUATERNION = np.array([1.0, -1, 1, -1])  # of S R S, S = diag(1, -1, 1)


@dataclass(frozen=True, eq=False)
class EnvMirror:
    """The mirror image of an environment.

    Attributes:
        state: maps of qpos, qvel and controls. robot: which joints and links swap (``find_mirror``).
        action: table of actions (..., m). observation: table of observations (..., n), those of a mapping one after
            another in its order.
        parts: key -> (first, stop) of a mapping's parts in that table; empty of plain vectors.
        residue: largest difference of ``step(mirror(s), mirror(a))`` and ``mirror(step(s, a))`` that was found, in
            qpos and qvel. env_residue: the same of the environment's own step, in observations, over their largest
            number; None where it cannot be set to a state.
    """

    state: StateMirror
    robot: RobotMirror
    action: IndexTable
    observation: IndexTable
    parts: Mapping[str, tuple[int, int]]
    residue: float
    env_residue: float | None

    def observe(self, observation: Any) -> Any:
        """The mirrored observation: a vector (..., n), or a mapping with the keys of ``parts``."""
        if not self.parts:
            return self.observation(observation)
        mine = {k: observation[k] for k in self.parts}
        return split(self.observation(flat(mine)), mine)

    def act(self, action: Any) -> Any:
        """The mirrored action (..., m)."""
        return self.action(action)


def mirror(
    env: Any,
    *,
    root: str = "",
    actions: Sequence[str] | None = None,
    observe: Observe | None = None,
    keys: Sequence[str] | None = None,
    declared: Mapping[str, str] | None = None,
    states: Iterable[tuple[np.ndarray, np.ndarray]] = (),
    allow_constant: bool = False,
    steps: int = 50,
    seed: int = 0,
    tolerance: float = 1e-9,
) -> EnvMirror:
    """Find the mirror image of an environment at its robot's xz plane, and let the simulator check it.

    Joints and links follow from the model's geometry (``find_mirror``). Actuators follow their joints. What a mirror
    does to each number of an observation is found by observing states and their mirror images; the environment's state
    is put back. Loose bodies are taken as their own mirror images, about their own xz planes.

    Args:
        env: with ``unwrapped.model`` and ``unwrapped.data`` of MuJoCo.
        root: name of the body whose xz plane it is; by default a robot's with a free joint, else the world.
        actions: names of joints, where an action is targets of theirs; by default an action is the model's controls.
        observe: (model, data) -> observation; by default the environment's ``_get_obs``.
        keys: of an observation that is a mapping, those that are mirrored; by default all. Pictures are refused.
        declared: link -> partner, where the names do not say it.
        states: (qpos, qvel) at which observations are compared, too: with contacts, where taxels are observed.
        allow_constant: let numbers stay that have one value in all states; else they are refused, as they tell nothing.
        steps: of the simulator over which it is checked, without contacts, with the drives on.
        seed: of states and actions of the check. tolerance: largest residue.

    Raises:
        ConfigError: the robot is not symmetric, a joint or actuator has another sign, or a number of the observation
            is no other number of the mirrored one, or an action is neither controls nor joint targets.
    """
    model, data = env.unwrapped.model, env.unwrapped.data
    at = find_root(model, root)
    try:
        robot = find_mirror(robot_of_model(model, at), declared)
    except CalibrationError as error:
        raise ConfigError(f"mirror: {error}") from None
    state = state_mirror(model, robot, at, declared or {})
    residue = check_mirror(model, state, steps=steps, seed=seed, tolerance=tolerance)
    action = state.ctrl if actions is None else _of_joints(robot, actions)
    _check_width(env, action)
    seen = observer_of(env, observe, keys)
    free = sample_states(model, state, 40, seed)
    table, parts = observation_table(seen, model, data, state, free, list(states), allow_constant)
    own = None
    if observe is None:

        def vector(observation: Any) -> np.ndarray:
            return flat({k: observation[k] for k in keys} if keys else observation)

        own = check_environment(env, state, action, table, parts, vector, seed)
    return EnvMirror(state, robot, action, table, parts, residue, own)


def _check_width(env: Any, action: IndexTable) -> None:
    shape = getattr(getattr(env, "action_space", None), "shape", (len(action.index),))
    if shape != (len(action.index),):
        raise ConfigError(
            f"mirror: actions: an action has the shape {shape}, and the model {len(action.index)} controls, so that it "
            f"is no vector of them; name its joints, if it is targets of joints"
        )


def check_mirror(
    model: Any, state: StateMirror, *, steps: int = 50, seed: int = 0, tolerance: float = 1e-9, contacts: bool = False
) -> float:
    """Largest residue of a mirror in the simulator: joints first, then each actuator, then all together.

    Args:
        model: of MuJoCo; a copy is used. state: the maps. steps, seed, tolerance: as of ``mirror``.
        contacts: whether bodies touch one another; a solver's residue then grows.

    Raises:
        ConfigError: it is above the tolerance; the joint, or the actuator, is named.
    """
    own = copy.deepcopy(model)
    check_joints(own, state, seed, tolerance)
    check_actuators(own, state, seed, tolerance)
    return check_steps(own, state, steps, seed, tolerance, contacts)


def state_mirror(model: Any, robot: RobotMirror, root: int, declared: Mapping[str, str]) -> StateMirror:
    """Maps of qpos, qvel and controls by the mirror of the joints.

    Raises:
        ConfigError: the robot's base is turned against the world, or an actuator has no partner.
    """
    height = _plane(model, root)
    qpos, qvel = IndexTable.identity(model.nq), IndexTable.identity(model.nv)
    names = {joint_name(model, j): j for j in range(model.njnt)}
    links = {}
    for name, j in names.items():
        q, v = int(model.jnt_qposadr[j]), int(model.jnt_dofadr[j])
        if int(model.jnt_type[j]) == FREE:
            body = int(model.jnt_bodyid[j])
            free = [n for n, k in names.items() if int(model.jnt_type[k]) == FREE]
            other = names[declared.get(name, other_side(name, free))]
            p, u = int(model.jnt_qposadr[other]), int(model.jnt_dofadr[other])
            _set(qpos, p, q, np.array([1.0, -1, 1]), np.array([0.0, 2 * height, 0]))
            _set(qpos, p + 3, q + 3, QUATERNION, np.zeros(4))
            _set(qvel, u, v, np.array([1.0, -1, 1, -1, 1, -1]), np.zeros(6))
            links[body] = int(model.jnt_bodyid[other])
        elif name in robot.joints:
            partner, sign, offset = robot.joints[name]
            p, u = (int(a[names[partner]]) for a in (model.jnt_qposadr, model.jnt_dofadr))
            _set(qpos, p, q, np.array([sign]), np.array([offset]))
            _set(qvel, u, v, np.array([sign]), np.zeros(1))
    bodies = {body_name(model, b): b for b in range(model.nbody)}
    maps = {bodies[n]: (bodies[p], M.numpy()) for n, (p, M) in robot.links.items() if n in bodies and p in bodies}
    return StateMirror(qpos, qvel, _controls(model, robot, names), height, maps)


def _plane(model: Any, root: int) -> float:
    """Where the mirror plane is, y in the world (metres): 0 of a robot that moves freely."""
    body, R = root, np.eye(3)
    place = np.zeros(3)
    while body and not model.body_jntnum[body]:
        turn = np.zeros(9)
        mujoco().mju_quat2Mat(turn, model.body_quat[body])
        R, place = turn.reshape(3, 3) @ R, model.body_pos[body] + turn.reshape(3, 3) @ place
        body = int(model.body_parentid[body])
    if abs(abs(R[1, 1]) - 1) > 1e-12:
        raise ConfigError(
            f"mirror: root: the xz plane of {body_name(model, root)!r} is not one of y = const in the world"
        )
    return 0.0 if body else float(place[1])


def _set(table: IndexTable, target: int, source: int, sign: np.ndarray, offset: np.ndarray) -> None:
    span = slice(target, target + len(sign))
    table.index[span], table.sign[span], table.offset[span] = source + np.arange(len(sign)), sign, offset


def _controls(model: Any, robot: RobotMirror, names: Mapping[str, int]) -> IndexTable:
    """Map of the controls: each drives its joint's partner."""
    table = IndexTable.identity(model.nu)
    by_joint = {
        int(model.actuator_trnid[a, 0]): a
        for a in range(model.nu) if int(model.actuator_trntype[a]) == JOINT_TRANSMISSION
    }  # fmt: skip
    of = {j: n for n, j in names.items()}
    every = [actuator_name(model, a) for a in range(model.nu)]
    for a in range(model.nu):
        j = int(model.actuator_trnid[a, 0])
        if int(model.actuator_trntype[a]) != JOINT_TRANSMISSION:  # of tendons and sites: by names, sign as it is
            table.index[every.index(other_side(every[a], every))] = a
            continue
        if of[j] not in robot.joints:
            continue
        partner, sign, offset = robot.joints[of[j]]
        other = by_joint.get(names[partner])
        if other is None:
            raise ConfigError(f"mirror: actuator {every[a]!r}: the joint {partner!r}, its partner's, has no actuator")
        follows = float(model.actuator_biasprm[a, 1]) != 0.0  # a servo, whose control is a position
        ratio = float(model.actuator_gear[a, 0] * model.actuator_gear[other, 0])
        _set(table, other, a, np.array([sign * np.sign(ratio)]), np.array([offset if follows else 0.0]))
    return table


def _of_joints(robot: RobotMirror, names: Sequence[str]) -> IndexTable:
    """Map of vectors of joint targets."""
    table = IndexTable.identity(len(names))
    for name in names:
        if name not in robot.joints or robot.joints[name][0] not in names:
            raise ConfigError(f"mirror: actions: {name!r} is no joint of the robot, or its partner is not among them")
        partner, sign, offset = robot.joints[name]
        _set(table, list(names).index(partner), list(names).index(name), np.array([sign]), np.array([offset]))
    return table


__all__ = ["EnvMirror", "check_mirror", "mirror", "state_mirror"]
