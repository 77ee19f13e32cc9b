"""The arm world: kinematics, dynamics and sensors agree with one another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from calib.symmetry import check_mirror, find_mirror

pytest.importorskip("mujoco")

from fusion_aug.synth.arm.scene import JOINTS, robot_of
from fusion_aug.synth.arm.world import ArmRecording, simulate

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def arm() -> ArmRecording:
    return simulate()


def test_our_kinematics_give_mujocos_poses(arm: ArmRecording) -> None:
    robot = robot_of(arm.model)
    poses = robot.forward(torch.from_numpy(arm.values["position"]), JOINTS)
    for link, T in poses.items():
        simulated = arm.bodies[link]
        assert np.abs(T[:, :3, 3].numpy() - simulated[:, :3]).max() < 1e-9, link
        R = Rotation.from_quat(simulated[:, [4, 5, 6, 3]]).as_matrix()
        assert np.abs(T[:, :3, :3].numpy() - R).max() < 1e-9, link


def test_the_arm_is_its_own_mirror_image(arm: ArmRecording) -> None:
    robot = robot_of(arm.model)
    mirror = find_mirror(robot)
    assert check_mirror(robot, mirror) < 1e-12
    assert [mirror.joints[f"j{k}"][1] for k in range(1, 7)] == [-1.0, 1.0, 1.0, -1.0, 1.0, -1.0]
    assert mirror.joints["slide_left"][0] == "slide_right"


def test_velocity_and_accelerometer_agree_with_the_motion(arm: ArmRecording) -> None:
    v, q, t = arm.values["velocity"], arm.values["position"], arm.values["t"]
    h = t[1] - t[0]
    # a semi-implicit step: the velocity is that of the step to come
    assert np.abs((q[1:] - q[:-1]) / h - v[1:]).max() < 1e-9
    hand = arm.bodies["hand"]
    R = Rotation.from_quat(hand[:, [4, 5, 6, 3]]).as_matrix()
    place = hand[:, :3] + R @ np.array([0.02, 0.0, 0.03])
    second = (place[2:] - 2 * place[1:-1] + place[:-2]) / h**2 + [0, 0, 9.81]
    accel = np.einsum("nji,nj->ni", R[1:-1], second)
    assert np.sqrt(np.mean((accel - arm.values["accel"][1:-1]) ** 2)) < 5e-3


def test_the_wrist_carries_the_hand_before_it_grips(arm: ArmRecording) -> None:
    """At rest the wrench is what holds the weight of what hangs on it."""
    model = arm.model
    weight = 9.81 * sum(float(model.body(b).mass[0]) for b in ("hand", "finger_left", "finger_right"))
    assert np.linalg.norm(arm.values["force"][50]) == pytest.approx(weight, rel=0.01)


def test_the_box_is_gripped_and_lifted(arm: ArmRecording) -> None:
    t = arm.values["t"]
    grip = arm.values["taxel_left"].sum(1)
    assert grip[t < 1.5].max() == 0 and 3.0 < grip[(t > 2.2) & (t < 2.5)].mean() < 15.0
    height = arm.bodies["parcel"][:, 2]
    assert height[t > 2.65].max() - height[0] > 0.06


def test_the_same_every_time(arm: ArmRecording) -> None:
    again = simulate(0.4)
    assert np.array_equal(again.values["accel"], arm.values["accel"][: len(again.values["t"])])
