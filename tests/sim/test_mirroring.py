"""The mirror image of simulated robots, by the simulator itself."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import fusion_aug as fa
from fusion_aug.sim.index_tables import IndexTable, augmentation
from fusion_aug.sim.mirror_checks import residues, sample_states
from fusion_aug.sim.mirroring import EnvMirror, check_mirror, mirror
from fusion_aug.synth.arm.parcel_world import ParcelWorld
from fusion_aug.synth.arm.parcels import draw_parcel
from fusion_aug.synth.arm.scene import JOINTS, load_arm, mujoco
from fusion_aug.synth.arm.script import Steering, script
from fusion_aug.synth.arm.world import pressed, taxel_ids

SIDES = ("left", "right")


def observe(model: Any, data: Any) -> dict[str, np.ndarray]:
    """What the arm with a parcel observes."""
    q = [int(model.joint(j).qposadr[0]) for j in JOINTS]
    sensors = {
        k: np.array(data.sensor(s).data) for k, s in (("force", "ft_force"), ("torque", "ft_torque"), ("gyro", "gyro"))
    }
    touch = {f"taxel_{s}": pressed(mujoco(), model, data, taxel_ids(model, s)) for s in SIDES}
    return {"position": data.qpos[q], **sensors, **touch, "parcel": np.array(data.body("parcel").xpos)}


def env_of(model: Any, data: Any, **more: Any) -> Any:
    return SimpleNamespace(unwrapped=SimpleNamespace(model=model, data=data, **more))


@pytest.fixture(scope="module")
def world() -> ParcelWorld:
    """A parcel that is held in the air."""
    parcel = draw_parcel(0, 0)
    world, steering = ParcelWorld(parcel), Steering()
    for _ in range(150):
        read = world.observe()
        world.step(steering(read["position"], script(read, parcel.told)))
        if world.outcome().lifted > 0.02:
            break
    return world


@pytest.fixture(scope="module")
def arm(world: ParcelWorld) -> EnvMirror:
    return mirror(
        env_of(world.model, world.data), observe=observe, keys=("position", "force", "torque", "gyro", "parcel")
    )


def test_the_arm_without_contact(world: ParcelWorld, arm: EnvMirror) -> None:
    """Drives on, over 50 steps."""
    assert arm.residue <= 1e-9
    found = residues(world.model, arm.state, 50, 3)
    assert len(found) == 50 and max(found)[0] <= 1e-9
    assert arm.action.index.tolist() == [0, 1, 2, 3, 4, 5, 7, 6]
    assert arm.action.sign.tolist() == [-1, 1, 1, -1, 1, -1, 1, 1]


def test_a_held_parcel(world: ParcelWorld, arm: EnvMirror) -> None:
    """Rounding grows where many contacts slip: a residue that is told, not hidden."""
    assert world.outcome().lifted > 0.02 and world.data.ncon > 8
    start = (np.array(world.data.qpos), np.array(world.data.qvel))
    found = [off for off, _ in residues(world.model, arm.state, 200, 0, contacts=True, start=start)]
    assert 0 < max(found[:50]) <= 1e-9
    assert max(found) > 1e3 * max(found[:50])


def test_observations_of_mirrored_states(world: ParcelWorld, arm: EnvMirror) -> None:
    """The oracle: the parts' own geometry, written down by hand."""
    model, data = world.model, mujoco().MjData(world.model)
    qpos, qvel = sample_states(model, arm.state, 1, 11)[0]
    seen = []
    for q, v in ((qpos, qvel), (arm.state.qpos(qpos), arm.state.qvel(qvel))):
        data.qpos[:], data.qvel[:] = q, v
        mujoco().mj_forward(model, data)
        seen.append({k: observe(model, data)[k] for k in arm.parts})
    told = arm.observe(seen[0])
    assert list(told) == list(seen[1])
    for key, value in seen[1].items():
        assert np.allclose(told[key], value, rtol=0, atol=1e-8), key
    assert np.allclose(told["force"], seen[0]["force"] * [1, -1, 1], rtol=0, atol=1e-9)  # a polar vector
    assert np.allclose(told["torque"], seen[0]["torque"] * [-1, 1, -1], rtol=0, atol=1e-9)  # an axial one
    assert np.allclose(told["parcel"], seen[0]["parcel"] * [1, -1, 1], rtol=0, atol=1e-9)
    assert arm.observation.is_involution() and arm.action.is_involution()


@pytest.mark.parametrize("joint", range(6))
def test_a_wrong_sign_is_refused_by_name(world: ParcelWorld, arm: EnvMirror, joint: int) -> None:
    """Of a joint's position, of its actuator and of its speed."""
    name = JOINTS[joint]
    for field, place, word in (
        ("qpos", int(world.model.joint(name).qposadr[0]), f"joint '{name}'"),
        ("ctrl", joint, f"actuator 'm{joint + 1}'.*joint '{name}'"),
        ("qvel", int(world.model.joint(name).dofadr[0]), "joint 'j"),
    ):
        table = getattr(arm.state, field)
        wrong = replace(table, sign=np.where(np.arange(len(table.sign)) == place, -table.sign, table.sign))
        with pytest.raises(fa.ConfigError, match=word):
            check_mirror(world.model, replace(arm.state, **{field: wrong}))


def test_masses_of_one_side_are_found(world: ParcelWorld) -> None:
    """Geometry alone does not tell them; the simulator does."""
    import copy

    heavy = copy.deepcopy(world.model)
    heavy.body_mass[heavy.body("finger_left").id] *= 1.01
    with pytest.raises(fa.ConfigError, match=r"mirror: joint .*masses"):
        mirror(env_of(heavy, mujoco().MjData(heavy)), observe=observe)


def test_numbers_that_tell_nothing_or_have_no_image(world: ParcelWorld, arm: EnvMirror) -> None:
    env = env_of(world.model, world.data)
    with pytest.raises(fa.ConfigError, match="number 0 of 'taxel_left' is 0 in all states"):
        mirror(env, observe=observe)
    with pytest.raises(fa.ConfigError, match="number 0 of the mirrored observation is no number"):
        mirror(env, observe=lambda model, data: np.array([data.qpos[:3].sum() + data.qpos[0] ** 2 * data.qpos[1]]))
    with pytest.raises(fa.ConfigError, match="'picture' has the shape"):
        mirror(env, observe=lambda model, data: {"picture": np.zeros((4, 4, 3))})
    with pytest.raises(fa.ConfigError, match="no _get_obs"):
        mirror(env)
    with pytest.raises(fa.DataError, match="no body 'wheel'"):
        mirror(env, root="wheel", observe=observe)
    with pytest.raises(fa.ConfigError, match="actions: 'wheel'"):
        mirror(env, actions=("wheel",), observe=observe, keys=("position",))
    with pytest.raises(fa.ConfigError, match="keys: the observation has no 'wheel'"):
        mirror(env, observe=observe, keys=("wheel",))


def test_a_loose_body_that_is_no_mirror_image_of_itself() -> None:
    """The parcel of the full scene has its ribs on one side."""
    model, data = load_arm()
    with pytest.raises(fa.ConfigError, match="joint 'parcel'"):
        mirror(env_of(model, data), observe=observe)


def test_joint_targets_as_actions(world: ParcelWorld, arm: EnvMirror) -> None:
    """And the environment's state is put back."""
    before = np.array(world.data.qpos), np.array(world.data.qvel), world.data.time
    found = mirror(env_of(world.model, world.data), actions=JOINTS, observe=observe, keys=("position",))
    targets = np.arange(8.0) + 1
    assert found.act(targets).tolist() == [-1, 2, 3, -4, 5, -6, 8, 7]
    assert np.array_equal(found.act(targets), arm.state.ctrl(targets))
    assert np.array_equal(before[0], world.data.qpos) and np.array_equal(before[1], world.data.qvel)
    assert before[2] == world.data.time


def test_environments_of_gymnasium() -> None:
    """A free robot with four legs, a planar one, and one whose knees differ in the model."""
    gymnasium = pytest.importorskip("gymnasium")
    for name, swapped in (("Ant-v5", True), ("HalfCheetah-v5", False)):
        env = gymnasium.make(name)
        env.reset(seed=0)
        found = mirror(env, allow_constant=True)
        assert found.residue <= 1e-9 and found.env_residue is not None and found.env_residue <= 1e-9
        assert (found.action.index.tolist() != list(range(len(found.action.index)))) == swapped
        table = found.observation
        assert table.is_involution()
        env.close()
    env = gymnasium.make("Humanoid-v5")
    with pytest.raises(fa.ConfigError, match="joint 'left_knee'"):
        mirror(env, allow_constant=True)
    env.close()


def test_an_environment_that_is_no_mirror_image_of_itself() -> None:
    """Its model is; what it does with actions is not, or an action is not what drives the model."""
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("Ant-v5")
    step = env.unwrapped.step
    env.unwrapped.step = lambda action: step(np.where(np.arange(8) == 2, -action, action))
    with pytest.raises(fa.ConfigError, match=r"mirror: number .* steps of the environment"):
        mirror(env, allow_constant=True)
    env.unwrapped.step, env.action_space = step, gymnasium.spaces.Box(-1.0, 1.0, (4,))
    with pytest.raises(fa.ConfigError, match=r"actions: an action has the shape \(4,\), and the model 8 controls"):
        mirror(env, allow_constant=True)
    env.close()


@pytest.mark.quick
def test_index_tables() -> None:
    table = IndexTable(np.array([1, 0, 2]), np.array([-1.0, -1, 1]), np.array([0.5, 0.5, 0]))
    value = np.array([[1.0, 2, 3]], np.float32)
    assert table(value).tolist() == [[-1.5, -0.5, 3]] and table(value).dtype == np.float32
    assert table(torch.from_numpy(value)).tolist() == [[-1.5, -0.5, 3]]
    assert table.is_involution() and not replace(table, offset=np.array([0.5, 0, 0])).is_involution()
    index, sign, offset = table.tensors()
    assert (index.dtype, sign.dtype, offset.dtype) == (torch.int64, torch.float32, torch.float32)
    assert table.part(0, 2).index.tolist() == [1, 0]
    for first, stop in ((0, 1), (1, 3)):
        with pytest.raises(fa.DataError, match="come from others"):
            table.part(first, stop)
    with pytest.raises(fa.DataError, match="vectors of 3"):
        table(np.zeros(4))


@pytest.mark.quick
def test_a_batch_grows_by_its_mirror_image() -> None:
    table, actions = IndexTable(np.array([1, 0]), np.array([1.0, -1]), np.zeros(2)), IndexTable.identity(1)
    obs, acts = torch.tensor([[1.0, 2]]), torch.tensor([[5.0]])
    grown = augmentation(table, actions)(obs=obs, actions=acts, env=None)
    assert grown[0].tolist() == [[1, 2], [2, -1]] and grown[1].tolist() == [[5], [5]]
    assert augmentation(table, actions)(obs=None, actions=acts)[0] is None
    groups = augmentation({"policy": table}, actions)(obs={"policy": obs}, actions=None)
    assert groups[0]["policy"].tolist() == [[1, 2], [2, -1]] and groups[1] is None
    with pytest.raises(fa.DataError, match="no table for the group 'critic'"):
        augmentation({"policy": table}, actions)(obs={"critic": obs})
