"""An arm whose first joint stands on a base that moves: what of a motion of the scene a recording holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from robot_bag import MIRROR, YAW, run
from ros_bags import header, make, tf, write_bag

import fusion_aug as fa

pytest.importorskip("rosbags")
T0 = 1_700_000_000_000_000_000
MOUNT = '<joint name="m" type="fixed"><parent link="base_link"/><child link="mount"/><origin xyz="0.2 0 0.4"/></joint>'
JOINT = """<joint name="j1" type="revolute"><parent link="{parent}"/><child link="upper"/><origin xyz="{xyz}"/>
<axis xyz="0 1 0"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint>"""
SHIFT = {"_target_": "fusion_aug.TranslateScene", "x": 0.3}


def arm(folder: Path, fixed: bool) -> list[str]:
    """A recording of an arm on a base that drives; the words that open it. ``fixed``: whether it has a mount."""
    between = '<link name="mount"/>' + MOUNT + JOINT.format(parent="mount", xyz="0 0 0.1")
    direct = JOINT.format(parent="base_link", xyz="0.2 0 0.5")
    robot = f'<robot name="arm"><link name="base_link"/><link name="upper"/>{between if fixed else direct}</robot>'
    sent = []
    for k in range(6):
        at = T0 + k * 20_000_000
        state = make("sensor_msgs/JointState", header=header(at), name=["j1"], position=np.array([0.1 * k]))
        sent += [("/joint_states", at, state), ("/tf", at, tf(at, "odom", "base_link", 0.01 * k, 0.0, 0.0))]
    write_bag(folder / "bag", sent)
    (folder / "arm.urdf").write_text(robot)
    return [f"log.urdf={folder / 'arm.urdf'}"]


@pytest.mark.parametrize(("step", "name"), [(YAW, "RotateScene"), (SHIFT, "TranslateScene")])
def test_a_joint_on_the_base_itself_stops_a_motion(
    tmp_path: Path, step: dict[str, object], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = arm(tmp_path, fixed=False)
    assert run(tmp_path / "bag", tmp_path / "out", [step], *words, log="mcap") == 2
    told = capsys.readouterr().err
    assert f"{name}: joint 'j1' stands on 'base_link'" in told and "put a fixed joint between" in told
    assert not (tmp_path / "out").exists()


def test_a_mirror_keeps_the_description(tmp_path: Path) -> None:
    words = arm(tmp_path, fixed=False)
    assert run(tmp_path / "bag", tmp_path / "out", [MIRROR], *words, log="mcap") == 0


def test_the_remedy_holds(tmp_path: Path) -> None:
    words = arm(tmp_path, fixed=True)
    assert run(tmp_path / "bag", tmp_path / "out", [YAW], *words, log="mcap") == 0
    urdf = str(tmp_path / "arm.urdf")
    before, after = (fa.open_log("mcap", tmp_path / n, urdf=urdf)[0].rig for n in ("bag", "out"))
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    turn = torch.tensor([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    time = T0 + 60_000_000
    told = turn @ before.T("base_link", "upper", time)
    assert torch.allclose(after.T("base_link", "upper", time), told, atol=1e-9)
