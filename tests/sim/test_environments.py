"""Environments of others run as they come, with everything drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv

import fusion_aug as fa
from fusion_aug.sim.world_fields import FIELDS

STEPS = 12
NEAR = {
    "times": [0.9, 1.1],
    "m": [-0.002, 0.002],
    "degrees": [-1.0, 1.0],
    "pixels": [-1.0, 1.0],
    "N": [-0.1, 0.1],
    "Nm": [-0.01, 0.01],
    "Nm or N": [-0.01, 0.01],
}
SKIN = "robot0:TS_"  # of the hand's 92 touch sensors


def world(model: Any, *without: str) -> fa.sim.MujocoWorld:
    """Every field that a model has anything for."""
    has = {"world": 1, "body": 2, "geom": 1, "joint": model.njnt, "actuator": model.nu, "light": model.nlight,
           "camera": model.ncam, "material": model.nmat, "texture": model.ntex}  # fmt: skip
    return fa.sim.MujocoWorld(**{n: NEAR[s.unit] for n, s in FIELDS.items() if has[s.of] and n not in without})


def rig(model: Any, skin: bool) -> dict[str, Any]:
    kinds = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    joints = [model.joint(i).name for i in range(model.njnt) if int(model.jnt_type[i]) in kinds and model.joint(i).name]
    told: dict[str, Any] = {"streams": {"joints": {"kind": "joints", "joints": joints}}}
    if skin:
        names = [model.sensor(i).name for i in range(model.nsensor)]
        told["streams"]["skin"] = {"kind": "taxels", "sensors": [n for n in names if SKIN in n]}
        told["parts"] = {"observation": {"skin.force": [61, 153]}}
    return told


def made(name: str, *without: str) -> Callable[[], fa.sim.Randomized]:
    def make() -> fa.sim.Randomized:
        env = gym.make(name)
        model = env.unwrapped.model
        late = {"joints": {"latency": [0.0, 0.03], "jitter": 0.001}}
        return fa.sim.Randomized(
            env, fa.preset("sim_robot"), rig=rig(model, "Touch" in name), world=world(model, *without), sensors=late,
            action_delay=[0.0, 0.03],
        )  # fmt: skip

    return make


def run(make: Callable[[], fa.sim.Randomized]) -> None:
    """Walk twice, alone and in a vector, and compare; whatever is observed is in its space."""
    env, vector = make(), SyncVectorEnv([make, make])
    observation, _ = env.reset(seed=4)
    several, _ = vector.reset(seed=3)
    env.action_space.seed(0)
    seen = []
    for _ in range(STEPS):
        action = env.action_space.sample()
        observation, *_ = env.step(action)
        several, *_ = vector.step(np.stack([action, action]))
        assert env.observation_space.contains(observation)
        for key, value in leaves(observation):
            other = several
            for part in key:
                other = other[part]
            assert np.isfinite(value).all() and value.tobytes() == other[1].tobytes(), key
        seen.append(dict(leaves(observation)))
    assert any(not np.array_equal(seen[0][k], seen[-1][k]) for k in seen[0])
    env.close()
    vector.close()


def leaves(observation: Any, key: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], np.ndarray]]:
    if isinstance(observation, dict):
        return [leaf for k, v in observation.items() for leaf in leaves(v, (*key, k))]
    return [(key, np.asarray(observation))]


def test_of_gymnasium() -> None:
    run(made("Ant-v5"))


@pytest.mark.skipif(mujoco.mj_version() >= 4_000_000, reason="gymnasium-robotics 1.4.2 needs MuJoCo before 4")
@pytest.mark.parametrize("name", ["FetchPickAndPlace-v4", "HandManipulateBlock_ContinuousTouchSensors-v1"])
def test_of_gymnasium_robotics(name: str) -> None:
    robotics = pytest.importorskip("gymnasium_robotics")
    gym.register_envs(robotics)
    run(made(name, "size", "camera_pos", "camera_deg", "focal", "principal"))  # bodies of meshes, and no pictures
