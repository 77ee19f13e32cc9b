"""The pose of a hand in a vector beside joints: both stay those of one robot, by forward kinematics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import pytest
from places import ARM
from scipy.spatial.transform import Rotation

import fusion_aug as fa


def arm_set(root: Path) -> tuple[Any, Path]:
    """The arm's joints and the pose of its hand in one vector, by the rig of its own sample set."""
    arm = fa.open_log("lerobot", ARM / "lerobot", rig=str(ARM / "lerobot_rig.yaml"), exclude=["*images*", "*tactile*"])
    sample = arm[0]
    times = sample["state"].capture_times
    T = sample.rig.T_at_times("base", "hand", times).numpy()
    q = Rotation.from_matrix(T[:, :3, :3]).as_quat()
    joints = sample["state"]["position"].numpy()
    names = [*sample["state"].names, "x", "y", "z", "qx", "qy", "qz", "qw"]
    made.lerobot(root, {"observation.state": (names, [np.concatenate([joints, T[:, :3, 3], q], 1)])})
    parts = {"observation.state": {"joint_position": [0, 8], "position": [8, 11], "quaternion_xyzw": [11, 15],
                                   "tool": "hand"}}  # fmt: skip
    return fa.open_log("lerobot", root, parts=parts, urdf=str(ARM / "arm.urdf")), root


@pytest.mark.parametrize("transform", [
    fa.MirrorRobot(axis="y"), fa.KinematicNoise(joint_deg=2.0, link=0.01, link_deg=1.0),
], ids=["mirror", "errors of kinematics"])  # fmt: skip
def test_a_described_robot_agrees_with_the_pose_of_its_hand(tmp_path: Path, transform: fa.Transform) -> None:
    """The pose in the vector stays the forward kinematics of the joints beside it."""
    log, _ = arm_set(tmp_path / "log")
    before, after = log[0], transform(log[0], seed=3)
    for sample in (before, after):
        state = sample["state"]
        T = sample.rig.T_at_times(state.frame, "hand", state.capture_times).numpy()
        assert np.abs(state["position"].numpy() - T[:, :3, 3]).max() < 2e-6
        found = Rotation.from_quat(state["quaternion_xyzw"].numpy())
        assert (found * Rotation.from_matrix(T[:, :3, :3]).inv()).magnitude().max() < 2e-6
    assert np.abs(after["state"]["position"].numpy() - before["state"]["position"].numpy()).max() > 1e-3
