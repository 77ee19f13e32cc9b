"""Two arms whose names say no side, as robosuite has them: partners by joints and tools; forces without torques."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import policy_logs as made
import pytest
import yaml
from scipy.spatial.transform import Rotation
from written import run

import fusion_aug as fa
from fusion_aug.cli import main
from fusion_aug.errors import ConfigError, Obstacle

FRAMES = 20
SIDES = ("left", "right")
D = np.array([1.0, -1.0, 1.0])
SIGNS = np.array([-1.0, 1.0])  # of joints about z and y in a mirror of y
MIRROR = "+pipeline.transforms.m={_target_: fusion_aug.MirrorRobot, p: 1.0}"
WARP = "+pipeline.transforms.w={_target_: fusion_aug.SpeedWarp, speed: 2.0}"
MASS = 2.0


def arm(side: str, y: float) -> str:
    parents, ends = ("torso", f"{side}_upper"), (f"{side}_upper", f"{side}_hand")
    joints = "".join(
        f'<joint name="{side}_j{k}" type="revolute"><parent link="{a}"/><child link="{b}"/><origin xyz="0.2 {y} 0.1"/>'
        f'<axis xyz="{axis}"/><limit lower="-3" upper="3" effort="9" velocity="9"/></joint>'
        for k, (a, b, axis) in enumerate(zip(parents, ends, ("0 0 1", "0 1 0"), strict=True))
    )
    inertia = '<inertia ixx="0" iyy="0" izz="0" ixy="0" ixz="0" iyz="0"/>'
    body = f'<inertial><origin xyz="0 0 0"/><mass value="{MASS}"/>{inertia}</inertial>'
    return f'<link name="{side}_upper"/><link name="{side}_hand">{body}</link>{joints}'


def rig_file(folder: Path, parts: dict[str, Any]) -> Path:
    (folder / "two.urdf").write_text(
        f'<robot name="two"><link name="torso"/>{arm("left", 0.1)}{arm("right", -0.1)}</robot>'
    )
    sensors = {"robot0_ee_force": {"kind": "wrench", "frame": "left_hand"}}
    (folder / "rig.yaml").write_text(yaml.safe_dump({"urdf": "two.urdf", "parts": parts, "sensors": sensors}))
    return folder / "rig.yaml"


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A file of two robots, with the force at the first one's hand; its rig file tells joints and tools."""
    (tmp_path / "log").mkdir()
    rng, t = np.random.default_rng(2), np.arange(FRAMES)[:, None] / 20
    parts: dict[str, Any] = {"obs/robot0_ee_force": {"force": [0, 3]}}
    with h5py.File(tmp_path / "log/demos.hdf5", "w") as file:
        demo = file.create_group("data/demo_0")
        demo.attrs["num_samples"] = FRAMES
        demo["actions"] = np.zeros((FRAMES, 1))
        demo["obs/robot0_ee_force"] = np.sin(t + rng.uniform(0, 6, 3))
        for k, side in enumerate(SIDES):
            place, turn = made.hand(FRAMES, k)
            demo[f"obs/robot{k}_eef_pos"], demo[f"obs/robot{k}_eef_quat"] = place, turn.as_quat()
            demo[f"obs/robot{k}_joint_pos"] = 0.3 * np.sin(3 * t + rng.uniform(0, 6, 2))
            demo[f"obs/robot{k}_gripper_qpos"] = rng.uniform(0, 0.04, (FRAMES, 2))
            parts |= {
                f"obs/robot{k}_eef_pos": {"position": [0, 3], "tool": f"{side}_hand"},
                f"obs/robot{k}_eef_quat": {"quaternion_xyzw": [0, 4], "tool": f"{side}_hand"},
                f"obs/robot{k}_joint_pos": {"position": [0, 2], "joints": [f"{side}_j0", f"{side}_j1"]},
            }
    rig = rig_file(tmp_path, {**parts, "actions": {"other": [0, 1]}})
    return ["log=robomimic", f"log.root={tmp_path / 'log'}", f"log.rig={rig}", "pipeline=identity"]


def test_a_mirror_exchanges_the_robots(words: list[str], tmp_path: Path) -> None:
    out = run(tmp_path / "out", *words, MIRROR)
    with h5py.File(tmp_path / "log/demos.hdf5") as old, h5py.File(out / "demos.hdf5") as new:
        before, after = old["data/demo_0/obs"], new["data/demo_0/obs"]
        for mine, other in ((0, 1), (1, 0)):
            assert np.array_equal(after[f"robot{mine}_eef_pos"], before[f"robot{other}_eef_pos"] * D)
            R = Rotation.from_quat(before[f"robot{other}_eef_quat"]).as_matrix() * D[:, None] * D
            assert np.allclose(Rotation.from_quat(after[f"robot{mine}_eef_quat"]).as_matrix(), R, atol=1e-12)
            assert np.array_equal(after[f"robot{mine}_joint_pos"], before[f"robot{other}_joint_pos"] * SIGNS)
            assert np.array_equal(after[f"robot{mine}_gripper_qpos"], before[f"robot{other}_gripper_qpos"])
        assert np.array_equal(after["robot0_ee_force"], before["robot0_ee_force"] * D)
    assert main(["check", str(out)]) == 0
    again = fa.open_log("robomimic", out)[0]  # without the description: the sidecar's frames
    assert again.metas[0].ref.frame == "reference" and again["robot0_eef_pos"].frame == "torso"
    assert again["robot0_ee_force"].frame == "right_hand"


def test_a_force_without_its_torque_follows_the_load(words: list[str], tmp_path: Path) -> None:
    """Twice as fast, the mass of the hand takes four times the acceleration, by differences of its way."""
    source = fa.open_log("robomimic", words[1].split("=")[1], rig=words[2].split("=")[1])[0]
    out = run(tmp_path / "out", *words, WARP)
    with h5py.File(tmp_path / "log/demos.hdf5") as old, h5py.File(out / "demos.hdf5") as new:
        force = old["data/demo_0/obs/robot0_ee_force"][:][::2]
        found = new["data/demo_0/obs/robot0_ee_force"][:]
    step = 1_000_000  # ns
    times = source["robot0_ee_force"].capture_times[::2]
    for k in range(2, len(times) - 2):
        at = [source.metas[0].rig.T("torso", "left_hand", int(times[k]) + d * step)[:3] for d in (-1, 0, 1)]
        place = [T[:, 3].numpy() for T in at]
        acceleration = (place[0] - 2 * place[1] + place[2]) / (step * 1e-9) ** 2
        expected = 3 * MASS * at[1][:, :3].numpy().T @ acceleration
        assert np.abs(found[k] - force[k] - expected).max() < 1e-3
    assert main(["check", str(out)]) == 0


def test_a_contact_needs_both(words: list[str], tmp_path: Path) -> None:
    push = "+pipeline.transforms.p={_target_: fusion_aug.PushDisturbance}"
    with pytest.raises(Obstacle, match=r"robot0_ee_force.*tells no torque.*give both in one vector"):
        run(tmp_path / "out", *words, push)


def test_hands_in_different_forms_are_not_exchanged(tmp_path: Path) -> None:
    (place, turn), (other, turned) = made.hand(FRAMES, 1), made.hand(FRAMES, 2)
    state = np.concatenate([place, turn.as_rotvec(), other, turned.as_quat()], 1)
    root = made.lerobot(tmp_path / "log", {"observation.state": (None, [state])})
    parts = "{left: {position: [0, 3], axis_angle: [3, 6]}, right: {position: [6, 9], quaternion_xyzw: [9, 13]}}"
    words = ["log=lerobot", f"log.root={root}", "pipeline=identity", f"log.parts={{observation.state: {parts}}}"]
    mirror = "+pipeline.transforms.m={_target_: fusion_aug.MirrorScene, axis: y, p: 1.0}"
    with pytest.raises((ConfigError, Obstacle), match=r"'state:right', which tells other parts .quaternion_xyzw; here"):
        run(tmp_path / "out", *words, mirror)
    assert not (tmp_path / "out").exists()
