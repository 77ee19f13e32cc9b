"""What is in the way of a robot's own transforms is told at once, as of all others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot_bag import run
from ros_bags import header, make, write_bag

pytest.importorskip("rosbags")
T0 = 1_700_000_000_000_000_000
URDF = """<robot name="arm"><link name="base_link"/><link name="upper"/>
<joint name="j1" type="revolute"><parent link="base_link"/><child link="upper"/><origin xyz="0 0 0.1"/>
<axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="1" velocity="1"/></joint></robot>"""
MIRROR = {"_target_": "fusion_aug.MirrorRobot", "axis": "y"}


def test_all_topics_in_the_way_of_a_mirrored_robot_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = []
    for k in range(4):
        at = T0 + k * 20_000_000
        state = make("sensor_msgs/JointState", header=header(at), name=["j1"], position=np.array([0.1 * k]))
        sent += [("/joint_states", at, state)]
        sent += [(f"/{n}", at, make("std_msgs/String", data="left")) for n in ("orders", "notes")]
    write_bag(tmp_path / "bag", sent)
    (tmp_path / "arm.urdf").write_text(URDF)
    words = [f"log.urdf={tmp_path / 'arm.urdf'}"]
    assert run(tmp_path / "bag", tmp_path / "out", [MIRROR], *words, log="mcap") == 2
    told = capsys.readouterr().err
    assert "2 topics that cannot be changed" in told and "/orders" in told and "/notes" in told
    assert (
        run(tmp_path / "bag", tmp_path / "out", [MIRROR], *words, "log.no_geometry=[/orders,/notes]", log="mcap") == 0
    )
