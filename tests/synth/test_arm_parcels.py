"""Parcels that the arm moves in closed loop: a world that is its own mirror image, and a task that needs touch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fusion_aug as fa

pytest.importorskip("mujoco")
pytest.importorskip("pyarrow")

from fusion_aug.synth.arm.demonstrations import make_demonstrations
from fusion_aug.synth.arm.motion import pads_at, posture
from fusion_aug.synth.arm.parcel_world import LIFTED, TICKS, Faults, Outcome, ParcelWorld
from fusion_aug.synth.arm.parcels import GOAL, Parcel, draw_parcel
from fusion_aug.synth.arm.scene import JOINTS, load_arm, mujoco
from fusion_aug.synth.arm.script import Steering, hand_at, script

SIGNS = np.array([-1.0, 1, 1, -1, 1, -1])
PARCEL = Parcel(x=0.38, y=0.08, yaw=0.2, half=0.021, mass=0.3, friction=0.6, told=(0.385, 0.083, 0.2))


def mirrored(joints: np.ndarray) -> np.ndarray:
    """Readings or commands (..., 8) of the arm in the mirror."""
    return np.concatenate([joints[..., :6] * SIGNS, joints[..., [7, 6]]], -1)


def play(parcel: Parcel, faults: Faults | None = None, force: float | None = None) -> Outcome:
    """The script, or one that grips every parcel with the same force (N)."""
    world, steering = ParcelWorld(parcel, faults), Steering()
    for _ in range(TICKS):
        if world.over():
            break
        read = world.observe()
        world.step(steering(read["position"], script(read, parcel.told, force)))
    return world.outcome()


@pytest.mark.quick
def test_the_arm_and_its_drives_are_their_own_mirror_image() -> None:
    """50 steps with all drives on, each finger told otherwise, and no contact of the arm."""
    rng = np.random.default_rng(0)
    start = np.concatenate([posture(0.33, 0.05, 0.3, pitch=1.0, roll=0.2), [0.02, 0.03]])
    speed = rng.normal(0, 0.3, 8) * np.array([1.0] * 6 + [0.05] * 2)
    drives = np.concatenate([rng.uniform(-3, 3, (50, 6)), rng.uniform(0.01, 0.04, (50, 2))], 1)

    def states(q: np.ndarray, v: np.ndarray, commands: np.ndarray) -> np.ndarray:
        model, data = load_arm()
        q_at, v_at = ([int(getattr(model.joint(j), f"{w}adr")[0]) for j in JOINTS] for w in ("qpos", "dof"))
        data.qpos[q_at], data.qvel[v_at] = q, v
        out = []
        for command in commands:
            data.ctrl[:] = command
            mujoco().mj_step(model, data)
            out.append([data.qpos[q_at].copy(), data.qvel[v_at].copy()])
        return np.array(out)

    one, other = states(start, speed, drives), states(mirrored(start), mirrored(speed), mirrored(drives))
    assert np.abs(mirrored(one) - other).max() <= 1e-9
    assert np.abs(one[-1, 0] - start).max() > 0.1  # they moved


@pytest.mark.quick
def test_the_world_of_a_mirrored_parcel_is_mirrored() -> None:
    """Readings of 50 ticks in which the hand moves about the parcel."""
    here, there = ParcelWorld(PARCEL), ParcelWorld(PARCEL.mirrored())
    steering = Steering()
    for _ in range(50):
        read = here.observe()
        command = steering(read["position"], script(read, PARCEL.told))
        command[6:] = [0.04, 0.03]
        here.step(command)
        there.step(mirrored(command))
    a, b = here.observe(), there.observe()
    assert np.abs(mirrored(a["position"]) - b["position"]).max() <= 1e-9
    assert np.abs(a["wrench"] * [1, -1, 1, -1, 1, -1] - b["wrench"]).max() <= 1e-6


@pytest.mark.quick
def test_places_of_the_pads_undo_postures() -> None:
    rng = np.random.default_rng(1)
    for x, y, z, yaw in rng.uniform([0.25, -0.15, 0.03, -0.4], [0.4, 0.15, 0.2, 0.4], (20, 4)):
        joints = posture(x, y, z, roll=float(np.arctan2(y, x) - yaw))
        assert np.allclose(pads_at(joints), [x, y, z, yaw], atol=1e-12)


def test_the_script_moves_light_and_heavy_parcels() -> None:
    for mass, friction in ((0.12, 0.9), (0.48, 0.4)):
        outcome = play(replace(PARCEL, mass=mass, friction=friction))
        assert outcome.success, (mass, friction, outcome)


def test_no_grip_suits_all_parcels() -> None:
    """What holds a heavy smooth one crushes a light one, and what spares that lets the other slip."""
    heavy, light = replace(PARCEL, mass=0.48, friction=0.35), replace(PARCEL, mass=0.1, friction=0.9)
    assert play(light, force=2.0).success and not play(light, force=9.0).success
    assert play(heavy, force=9.0).success and not play(heavy, force=2.0).success


@pytest.mark.quick
def test_the_script_is_its_own_mirror_image_and_remembers_nothing() -> None:
    """At 300 readings of all kinds: the mirrored speeds, and the same again."""
    rng = np.random.default_rng(3)
    flip, (x, y, yaw) = np.array([1, -1, 1, -1, 1.0]), PARCEL.told
    for _ in range(300):
        joints = posture(*rng.uniform([0.3, -0.15, 0.04], [0.42, 0.15, 0.2]), roll=float(rng.uniform(-0.4, 0.4)))
        left, right = rng.exponential(0.1, (2, 16)) * rng.integers(0, 2, (2, 1))
        read = {"position": np.concatenate([joints, rng.uniform(0.01, 0.044, 2)]), "taxel_left": left,
                "taxel_right": right, "wrench": -rng.uniform(4, 10, 6)}  # fmt: skip
        other = {**read, "position": mirrored(read["position"]), "taxel_left": right, "taxel_right": left}
        speed = script(read, (x, y, yaw))
        assert np.allclose(script(other, (x, -y, -yaw)), speed * flip, atol=1e-9)
        assert np.array_equal(script(read, (x, y, yaw)), speed)


@pytest.mark.quick
def test_the_hand_goes_as_fast_as_it_is_told() -> None:
    """Half a second of free motion: the hand follows within 2 mm, and with old readings a step behind."""
    world, steering, speed = ParcelWorld(PARCEL), Steering(), np.array([0.05, 0.02, 0.04, 0.2, -0.01])
    begin = hand_at(world.observe()["position"])
    for _ in range(25):
        world.step(steering(world.observe()["position"], speed))
    went = hand_at(world.observe()["position"]) - begin
    assert np.allclose(went[:3], speed[:3] * (0.5 - 0.05), atol=0.002) and abs(went[4] + 0.005) < 1e-6


def test_an_episode_is_over_when_the_hand_has_left_or_the_parcel_is_lost() -> None:
    done, steering = ParcelWorld(PARCEL), Steering()
    ticks = 0
    while not done.over():
        read = done.observe()
        done.step(steering(read["position"], script(read, PARCEL.told)))
        ticks += 1
        assert ticks < TICKS
    assert done.outcome().success and hand_at(done.observe()["position"])[2] > LIFTED
    crushed, steering = ParcelWorld(replace(PARCEL, mass=0.1)), Steering()
    while not crushed.over():
        read = crushed.observe()
        crushed.step(steering(read["position"], script(read, PARCEL.told, force=9.0)))
    assert crushed.outcome().peak > 1.0 and not crushed.outcome().stands


def test_faults_are_in_the_readings_alone() -> None:
    bias, alive = np.full(6, 0.02), np.arange(32).reshape(2, 16) % 4 > 0
    world = ParcelWorld(PARCEL, Faults(latency=0.04, bias=bias, alive=alive))
    clean = ParcelWorld(PARCEL)
    steering, seen = Steering(), []
    for _ in range(130):
        read = clean.observe()
        command = steering(read["position"], script(read, PARCEL.told))
        seen.append(read)
        clean.step(command)
        world.step(command + np.concatenate([bias, [0, 0]]))  # the same motion, as these encoders tell it
    seen.append(clean.observe())
    late = world.observe()
    assert np.allclose(late["position"], seen[-3]["position"] + np.concatenate([bias, [0, 0]]), atol=1e-6)
    assert seen[-3]["taxel_left"].sum() > 0.3
    assert np.allclose(late["taxel_left"], np.where(alive[0], seen[-3]["taxel_left"], 0), atol=1e-3)


@pytest.mark.quick
def test_parcels_are_drawn_by_their_number() -> None:
    assert draw_parcel(0, 3) == draw_parcel(0, 3) != draw_parcel(0, 4)
    drawn = [draw_parcel(0, k) for k in range(200)]
    assert {np.sign(p.y) for p in drawn} == {-1.0, 1.0} and all(
        p.goal == (GOAL[0], -np.sign(p.y) * 0.10) for p in drawn
    )
    errors = [np.hypot(p.told[0] - p.x, p.told[1] - p.y) for p in drawn]
    assert 0.006 < np.mean(errors) < 0.0075 and max(errors) <= 0.01


def test_the_demonstrations_are_a_log(tmp_path: Path) -> None:
    root = make_demonstrations(tmp_path / "log", 2, seed=1)
    log = fa.open_log("lerobot", root / "lerobot", rig=root / "rig.yaml")
    assert len(log) == 2
    sample = log[1]
    assert 150 < len(sample["state"]) < TICKS and isinstance(sample["taxel_left"], fa.Taxels)
    out = fa.MirrorRobot()(sample)
    assert np.allclose(out["action"]["joint_position"], mirrored(sample["action"]["joint_position"].numpy()), atol=1e-7)
    assert np.array_equal(out["taxel_right"]["force"].sum(1), sample["taxel_left"]["force"].sum(1))
    assert np.allclose(out["place"]["position"][0], sample["place"]["position"][0].numpy() * [1, -1, 1], atol=1e-7)
    off = fa.KinematicNoise(joint_deg=1.0)(sample)
    moved = (off["state"]["position"] - sample["state"]["position"]).double().numpy()
    assert np.allclose(moved[:, :6], np.radians(1.0), atol=1e-6) and np.allclose(moved[:, 6:], 0)
    assert np.array_equal(off["place"]["position"], sample["place"]["position"])
