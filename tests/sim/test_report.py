"""Reported calibration against marks that shine in the scene and are found in the pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sim_robot import MARKS, SmallRobot, actions, mark_places

import fusion_aug as fa
from fusion_aug.sim.randomized import Randomized
from fusion_aug.sim.world import MujocoWorld

SIZE = (240, 320)
NEAR = 9  # pixels about a mark that are its own


def project(params: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (MARKS, 2) of the marks by a reported calibration, and their depths."""
    places = np.concatenate([mark_places(), np.ones((MARKS, 1))], axis=1)
    X = params["intrinsic_cv"].astype(float) @ params["extrinsic_cv"].astype(float) @ places.T
    return (X[:2] / X[2]).T, X[2]


def errors(picture: np.ndarray, params: dict[str, np.ndarray]) -> list[float]:
    """Pixels between each mark that stands alone, found by its centre of light, and where it should be."""
    light, (pixels, depth), out = picture.astype(float).sum(-1), project(params), []
    inside = (pixels > NEAR + 2).all(1) & (pixels < np.array(SIZE[::-1]) - NEAR - 3).all(1) & (depth > 0.05)
    for n in np.flatnonzero(inside):
        apart = np.linalg.norm(pixels - pixels[n], axis=1)[np.arange(MARKS) != n].min()
        u, v = np.rint(pixels[n]).astype(int)
        window = light[v - NEAR : v + NEAR + 1, u - NEAR : u + NEAR + 1]
        if apart < 2.8 * NEAR or window.sum() < 1000:
            continue
        y, x = np.mgrid[v - NEAR : v + NEAR + 1, u - NEAR : u + NEAR + 1]
        found = np.array([(window * x).sum(), (window * y).sum()]) / window.sum()
        out.append(float(np.linalg.norm(found - pixels[n])))
    return out


def make(**given: Any) -> Randomized:
    world = MujocoWorld(camera_pos=[-0.03, 0.03], camera_deg=[-4, 4], focal=[0.85, 1.2], principal=[-15, 15])
    return Randomized(
        SmallRobot(rate=100.0, marks=True), world=world, cameras=dict.fromkeys(("front", "wrist"), SIZE), **given
    )


def measured(env: Randomized, episodes: int, steps: int = 3) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"front": [], "wrist": []}
    for episode in range(episodes):
        env.reset(seed=5 if episode == 0 else None)
        for action in actions(steps, seed=episode):
            observation = env.step(action)[0]
        for name, errs in found.items():
            errs += errors(observation["sensor_data"][name]["rgb"], observation["sensor_param"][name])
    return found


def test_reported_calibration_is_that_of_the_picture() -> None:
    """Pose, focal length and principal point are drawn; the wrist's pictures come up to 20 ms late while it moves."""
    env = make(sensors={"wrist": {"latency": [0.005, 0.02]}})
    found = measured(env, 20)
    env.close()
    for name, least in (("front", 60), ("wrist", 10)):
        assert len(found[name]) >= least, (name, len(found[name]))
        assert np.median(found[name]) <= 0.1 and max(found[name]) <= 0.25, name


def test_a_calibration_of_now_would_not_be_that_of_a_late_picture() -> None:
    """The oracle tells: with the pose of the moment of arrival, marks are pixels off."""
    env = make(sensors={"wrist": {"latency": 0.05}})
    off: list[float] = []
    for episode in range(6):
        env.reset(seed=5 if episode == 0 else None)
        for action in actions(9, seed=episode):
            observation = env.step(action)[0]
        channel = env._pictures[1]
        now = channel._reported.params(channel._reported.pose(env.unwrapped.data))
        off += errors(observation["sensor_data"]["wrist"]["rgb"], now)
    env.close()
    assert np.median(off) > 0.5


def test_errors_of_the_calibration_are_reported_on_demand() -> None:
    """Miscalibrated mountings and encoders shift the reported pose, and "true" is without."""
    pipeline = fa.Compose([fa.Miscalibrate(sensors=["front"], x_deg=1.0)])
    told, true = (make(pipeline=pipeline, report=r) for r in ("reported", "true"))
    a, b = (e.reset(seed=0)[0]["sensor_param"] for e in (told, true))
    R = a["front"]["extrinsic_cv"][:, :3] @ b["front"]["extrinsic_cv"][:, :3].T
    assert np.degrees(np.arccos((np.trace(R) - 1) / 2)) == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(a["wrist"]["extrinsic_cv"], b["wrist"]["extrinsic_cv"], atol=1e-6)
    told.close(), true.close()


def test_joints_that_read_wrong_move_the_reported_wrist() -> None:
    """By the forward kinematics at the readings with their offsets, of the moment of the picture."""
    import mujoco
    from sim_robot import RIG

    env = Randomized(
        SmallRobot(), fa.Compose([fa.KinematicNoise(joint_deg=[1.0, 2.0], joint=0.0, hand_eye=0.0, hand_eye_deg=0.0)]),
        rig=RIG, cameras={"wrist": [24, 32]},
    )  # fmt: skip
    robot, states = env.unwrapped, [np.array(0)]
    env.reset(seed=1)
    for action in actions(5):
        states.append(robot.data.qpos.copy())
        observation = env.step(action)[0]
    offsets = next(r for r in env.draws.sensors if r["path"] == "KinematicNoise")["params"][""]["joints"]
    model, data = robot.model, mujoco.MjData(robot.model)
    at_picture = (
        env.unwrapped.data.qpos - env.unwrapped.data.qvel * model.opt.timestep
    )  # the state before the last step
    data.qpos[:] = at_picture
    for name, offset in offsets.items():
        data.qpos[model.joint(name).qposadr[0]] += offset
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    camera = model.camera("wrist").id
    told = observation["sensor_param"]["wrist"]["cam2world_gl"]
    np.testing.assert_allclose(told[:3, 3], data.cam_xpos[camera], atol=1e-6)
    np.testing.assert_allclose(told[:3, :3], data.cam_xmat[camera].reshape(3, 3), atol=1e-6)
    assert any(abs(o) > 0.01 for o in offsets.values())
    env.close()
