"""Simulation of the arm's task and of all its sensors, every value at its own stamp."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_aug.synth.arm.motion import DURATION, target_at
from fusion_aug.synth.arm.scene import JOINTS, TAXELS, load_arm, mujoco

STIFFNESS, DAMPING = 900.0, 60.0  # 1/s^2 and 1/s of the computed-torque control


@dataclass(frozen=True, eq=False)
class ArmRecording:
    """What happened, at the steps of the simulation.

    Attributes:
        model: of MuJoCo.
        values: name -> (n, ...): t seconds; position, velocity, effort of the joints in the order of ``JOINTS``;
            target of the six rotary ones, commanded opening of the fingers; force, torque (of the arm on the hand, at
            the wrist, in its axes); gyro, accel of the inertial unit on the hand; taxel_left, taxel_right (n, 16) N;
            qpos of everything, to render from.
        bodies: name -> (n, 7) position and quaternion w x y z in the world: the ground truth.
    """

    model: Any
    values: dict[str, np.ndarray]
    bodies: dict[str, np.ndarray]


def simulate(duration: float = DURATION) -> ArmRecording:
    """Run the task with computed torques. The same bytes every time on one machine.

    All figures of a row belong to the state at its stamp: positions are read before the step, forces and accelerations
    after MuJoCo has worked them out for that state and before it integrates.
    """
    module = mujoco()
    model, data = load_arm()
    q_at = [int(model.joint(j).qposadr[0]) for j in JOINTS]
    v_at = [int(model.joint(j).dofadr[0]) for j in JOINTS]
    arm = v_at[:6]
    data.qpos[q_at[:6]], data.qpos[q_at[6:]] = target_at(0.0)[0], target_at(0.0)[3]
    module.mj_forward(model, data)
    mass = np.zeros((model.nv, model.nv))
    rows: dict[str, list[Any]] = defaultdict(list)
    bodies: dict[str, list[np.ndarray]] = defaultdict(list)
    names = [model.body(i).name for i in range(1, model.nbody)]
    touch = {side: taxel_ids(model, side) for side in ("left", "right")}
    for step in range(round(duration / model.opt.timestep) + 1):
        t = step * model.opt.timestep
        module.mj_step1(model, data)
        q, v = data.qpos[q_at].copy(), data.qvel[v_at].copy()
        goal, rate, change, opening = target_at(t)
        full_mass(module, model, data, mass)
        push = change + STIFFNESS * (goal - q[:6]) + DAMPING * (rate - v[:6])
        data.ctrl[:6] = mass[np.ix_(arm, arm)] @ push + data.qfrc_bias[arm] - data.qfrc_passive[arm]
        data.ctrl[6:] = opening
        rows["t"].append(t)
        rows["qpos"].append(data.qpos.copy())
        for i, name in enumerate(names, 1):
            bodies[name].append(np.concatenate([data.xpos[i], data.xquat[i]]))
        module.mj_step2(model, data)  # sensors and contacts of the state at t, then on to the next
        rows["position"].append(q)
        rows["velocity"].append(v)
        rows["target"].append(goal)
        rows["opening"].append(opening)
        rows["effort"].append(data.qfrc_actuator[v_at].copy())
        for name, sensor in (("force", "ft_force"), ("torque", "ft_torque"), ("accel", "acc"), ("gyro", "gyro")):
            rows[name].append(data.sensor(sensor).data.copy())
        for side, ids in touch.items():
            rows[f"taxel_{side}"].append(pressed(module, model, data, ids))
    return ArmRecording(model, {k: np.array(r) for k, r in rows.items()}, {k: np.array(r) for k, r in bodies.items()})


def full_mass(module: Any, model: Any, data: Any, out: np.ndarray) -> None:
    """Joint-space inertia; the order of the arguments changed in MuJoCo 3.10."""
    try:
        module.mj_fullM(model, data, out)
    except TypeError:
        module.mj_fullM(model, out, data.qM)


def taxel_ids(model: Any, side: str) -> dict[int, int]:
    """Geometry of MuJoCo -> number of the taxel, row by row along the finger."""
    return {
        int(model.geom(f"taxel_{side}_{i}{j}").id): TAXELS * i + j for i in range(TAXELS) for j in range(TAXELS)
    }  # fmt: skip


def pressed(module: Any, model: Any, data: Any, ids: dict[int, int]) -> np.ndarray:
    """Normal force (16,) N on every taxel of a pad, from the contacts."""
    out, wrench = np.zeros(TAXELS * TAXELS), np.zeros(6)
    for k in range(data.ncon):
        contact = data.contact[k]
        number = ids.get(int(contact.geom1), ids.get(int(contact.geom2)))
        if number is not None:
            module.mj_contactForce(model, data, k, wrench)
            out[number] += wrench[0]
    return out
