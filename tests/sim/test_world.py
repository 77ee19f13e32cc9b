"""Draws of a simulated world: what is drawn, what it makes stale, and a model that is compiled anew as the oracle."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import mujoco
import numpy as np
import pytest
from sim_robot import xml

import fusion_aug as fa
from fusion_aug.core.random import Keys
from fusion_aug.sim.world import BoundWorld, MujocoWorld, value_of
from fusion_aug.sim.world_fields import FIELDS

WORKED_OUT = (
    "body_mass", "body_inertia", "body_ipos", "body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0",
    "actuator_acc0", "actuator_length0", "geom_size", "geom_rbound", "geom_aabb", "bvh_aabb", "cam_pos0", "cam_poscom0",
    "cam_mat0", "light_pos0", "light_poscom0", "light_dir0",
)  # fmt: skip

ZERO = {"cam_fovy", "jnt_stiffness", "actuator_forcerange", "light_ambient"}  # of the model here, or not used by it


def load(text: str = "") -> Any:
    return mujoco.MjModel.from_xml_string(text or xml())


def everything() -> MujocoWorld:
    """Every field of the table, drawn away from its nominal value."""
    away = {
        "times": [0.8, 0.95],
        "m": [0.002, 0.01],
        "degrees": [0.5, 2.0],
        "pixels": [1.0, 3.0],
        "N": [0.1, 0.2],
        "Nm": [0.1, 0.2],
        "Nm or N": [0.1, 0.2],
    }
    return MujocoWorld(**{name: away[spec.unit] for name, spec in FIELDS.items()})


def state(model: Any) -> dict[str, np.ndarray]:
    """Every array of a model, by name."""
    names = [n for n in dir(model) if isinstance(getattr(model, n, None), np.ndarray)]
    extra = ["opt.gravity", "vis.headlight.ambient", "vis.headlight.diffuse", "stat.extent", "stat.meaninertia"]
    return {n: np.array(value_of(model, n)) for n in (*names, *extra)}


@pytest.mark.quick
def test_the_table_is_the_class() -> None:
    assert [f.name for f in fields(MujocoWorld)] == list(FIELDS)
    for name in FIELDS:
        assert name in (MujocoWorld.__doc__ or ""), name


def compare_with_compiled(model: Any, text: str) -> None:
    fresh = load(text)
    for name in WORKED_OUT:
        np.testing.assert_allclose(value_of(model, name), value_of(fresh, name), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_masses_are_those_of_a_compiled_model(seed: int) -> None:
    world = BoundWorld(MujocoWorld(mass={"link*": [0.5, 2.0], "hand": [0.5, 2.0]}), model := load())
    for episode in range(2):
        draws = world.draw(Keys(seed), f"episode_{episode}")
        world.apply(draws)
        compare_with_compiled(model, xml(masses={n: v[0] for n, v in draws["mass"].items()}))


@pytest.mark.parametrize("seed", range(3))
def test_sizes_are_those_of_a_compiled_model(seed: int) -> None:
    world = BoundWorld(MujocoWorld(size={"link*": [0.8, 1.25], "hand": [0.8, 1.25]}), model := load())
    for episode in range(2):
        draws = world.draw(Keys(seed), f"episode_{episode}")
        world.apply(draws)
        compare_with_compiled(model, xml(scales={n: v[0] for n, v in draws["size"].items()}))


def test_sizes_and_masses_together() -> None:
    spread = {"link1": [0.7, 1.4], "hand": [0.7, 1.4]}
    world = BoundWorld(MujocoWorld(size=spread, mass=spread, gravity=[0.9, 1.1]), model := load())
    draws = world.draw(Keys(4), "episode")
    world.apply(draws)
    masses, scales = ({n: v[0] for n, v in draws[f].items()} for f in ("mass", "size"))
    compare_with_compiled(model, xml(masses=masses, scales=scales))
    assert model.opt.gravity[2] == pytest.approx(-9.81 * draws["gravity"]["world"][0])


def test_a_moved_centre_of_mass() -> None:
    """The boxes of the geometry follow the axes of inertia: contacts are those of a model where they are not used."""
    world = BoundWorld(MujocoWorld(com={"link1": [0.01, 0.03]}), model := load())
    world.apply(draws := world.draw(Keys(0), "episode"))
    before = load()
    shift = np.array(draws["com"]["link1"])
    body = model.body("link1").id
    np.testing.assert_allclose(model.body_ipos[body], before.body_ipos[body] + shift)
    first, count = int(model.body_bvhadr[body]), int(model.body_bvhnum[body])
    R = np.zeros(9)
    mujoco.mju_quat2Mat(R, np.array(model.body_iquat[body]))
    for k in range(first, first + count):  # centres, in the body's own axes
        then = before.body_ipos[body] + R.reshape(3, 3) @ before.bvh_aabb[k, :3]
        now = model.body_ipos[body] + R.reshape(3, 3) @ model.bvh_aabb[k, :3]
        np.testing.assert_allclose(now, then, atol=1e-12)
    data, still = mujoco.MjData(model), mujoco.MjData(before)
    for m, d in ((model, data), (before, still)):
        mujoco.mj_forward(m, d)
    share = before.body_mass[body] / before.body_mass.sum()
    moved = share * still.xmat[body].reshape(3, 3) @ shift
    np.testing.assert_allclose(data.subtree_com[0], still.subtree_com[0] + moved, atol=1e-9)


def test_nothing_accumulates_and_every_field_acts() -> None:
    """After any number of draws a model that gets nominal numbers is the one that was loaded."""
    model, loaded = load(), load()
    world = BoundWorld(everything(), model)
    for episode in range(4):
        world.apply(world.draw(Keys(1), f"episode_{episode}"))
    drawn = state(model)
    world.apply(world.draw(Keys(1), "episode_0"))
    again = BoundWorld(everything(), other := load())
    again.apply(again.draw(Keys(1), "episode_0"))
    for name, value in state(other).items():
        assert state(model)[name].tobytes() == value.tobytes(), name
    before = state(loaded)
    changed = {n for n, v in drawn.items() if not np.array_equal(v, before[n])}
    for spec in FIELDS.values():
        assert spec.on == "data" or set(spec.arrays) - ZERO <= changed, (spec.name, spec.arrays)
    nominal = {
        n: {t: [FIELDS[n].nominal] * len(v) for t, v in things.items()}
        for n, things in world.draw(Keys(1), "e").items()
    }
    world.apply(nominal)
    for name, value in state(model).items():
        if name not in ("cam_intrinsic", "cam_sensorsize"):  # a sensor of a size has taken the place of an angle
            np.testing.assert_allclose(value, before[name], rtol=1e-6, atol=1e-9, err_msg=name)


def test_what_was_set_by_hand_stays() -> None:
    """Statistics that a file gives, and welds that an environment moved, are not worked out anew."""
    weld = '<equality><weld body1="hand" body2="finger0" active="false"/></equality></mujoco>'
    model = load(xml().replace("</mujoco>", '<statistic extent="7.5" meaninertia="0.3"/>' + weld))
    model.eq_data[0, :3] = [0.1, 0.2, 0.3]
    kept = np.array(model.eq_data)
    world = BoundWorld(MujocoWorld(mass=[0.5, 2.0]), model)
    world.apply(world.draw(Keys(0), "episode"))
    assert model.stat.extent == 7.5 and model.stat.meaninertia == 0.3
    assert np.array_equal(model.eq_data, kept)


def test_inertia_stays_that_of_a_body() -> None:
    """The largest principal moment is at most the sum of the other two, whatever is drawn."""
    model = load()
    world = BoundWorld(MujocoWorld(mass=[0.1, 10.0], inertia=[0.1, 10.0], size={"link*": [0.5, 2.0]}), model)
    for episode in range(20):
        world.apply(world.draw(Keys(0), f"episode_{episode}"))
        moments = np.sort(model.body_inertia[1:], axis=1)
        assert (moments > 0).all() and (moments[:, 2] <= moments[:, :2].sum(1) * (1 + 1e-9)).all()


@pytest.mark.quick
@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"mass": {"elbow": 1.0}}, r"MujocoWorld.mass: the model has no body 'elbow' \(it has link1"),
        ({"colour": {"mark*": 1.0}}, "no geom 'mark"),
        ({"mass": [-1.0, 1.0]}, "MujocoWorld.mass"),
        ({"friction": [2.0, 1.0]}, "MujocoWorld.friction"),
    ],
)
def test_wrong_worlds_are_refused(given: dict[str, Any], word: str) -> None:
    with pytest.raises(fa.ConfigError, match=word):
        BoundWorld(MujocoWorld(**given), load())


def test_a_field_that_the_model_lacks() -> None:
    bare = load('<mujoco><worldbody><body name="b"><joint/><geom size="1"/></body></worldbody></mujoco>')
    with pytest.raises(fa.ConfigError, match=r"MujocoWorld\.gain: the model has no actuator"):
        BoundWorld(MujocoWorld(gain=[0.9, 1.1]), bare)
    mesh = (
        '<mujoco><asset><mesh name="m" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/></asset><worldbody><body name="b">'
        '<geom type="mesh" mesh="m"/></body></worldbody></mujoco>'
    )
    world = BoundWorld(MujocoWorld(size=[0.9, 1.1]), load(mesh))
    with pytest.raises(fa.ConfigError, match="size: body 'b' has a mesh"):
        world.apply(world.draw(Keys(0), "episode"))


def test_forces_act_during_the_episode() -> None:
    """Static: at rest the joint carries the drawn force times its lever, and the drawn effort."""
    from sim_robot import SmallRobot

    given = MujocoWorld(force={"hand": [2.0, 3.0]}, joint_effort={"j1": [0.4, 0.5]})
    env = fa.sim.Randomized(SmallRobot(), world=given)
    for _ in range(2):
        env.reset(seed=None)
        data, drawn = env.unwrapped.data, env.draws.world
        hand, j1 = data.body("hand"), env.unwrapped.model.joint("j1")
        np.testing.assert_allclose(data.xfrc_applied[hand.id, :3], drawn["force"]["hand"])
        assert data.qfrc_applied[j1.dofadr[0]] == pytest.approx(drawn["joint_effort"]["j1"][0])
        before = data.qacc.copy()
        data.xfrc_applied[:], data.qfrc_applied[:] = 0.0, 0.0
        mujoco.mj_forward(env.unwrapped.model, data)
        assert not np.allclose(before, data.qacc)
