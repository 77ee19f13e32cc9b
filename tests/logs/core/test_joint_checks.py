"""Joint readings against the limits and the mimics of a description."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from places import ARM

import fusion_aug as fa
from calib import robot_from_urdf
from fusion_aug.logs.core.joint_checks import check_joints

ROBOT = """
<robot name="grip">
  <link name="base"/><link name="arm"/><link name="left"/><link name="right"/><link name="wheel"/><link name="unset"/>
  <joint name="swing" type="revolute"><parent link="base"/><child link="arm"/>
    <limit lower="-0.5" upper="2.0" effort="1" velocity="1"/></joint>
  <joint name="open_left" type="prismatic"><parent link="arm"/><child link="left"/>
    <limit lower="-0.04" upper="0.04" effort="1" velocity="1"/></joint>
  <joint name="open_right" type="prismatic"><parent link="arm"/><child link="right"/>
    <limit lower="-0.04" upper="0.04" effort="1" velocity="1"/><mimic joint="open_left" multiplier="-1"/></joint>
  <joint name="roll" type="continuous"><parent link="base"/><child link="wheel"/></joint>
  <joint name="free" type="revolute"><parent link="base"/><child link="unset"/>
    <limit effort="1" velocity="1"/></joint>
</robot>
"""
TIMES = torch.arange(5, dtype=torch.int64) * 10_000_000


def check(joint_map: dict[str, str] | None = None, **readings: list[float]) -> None:
    """Check readings, five of every joint, by names of the log."""
    robot = robot_from_urdf(ROBOT, "grip.urdf", joint_map)
    values = {n: (TIMES, torch.tensor(v, dtype=torch.float64)) for n, v in readings.items()}
    check_joints(robot, values, "log")


@pytest.mark.quick
def test_readings_within_the_limits_or_a_little_beyond() -> None:
    check(swing=[-0.5, 0, 1, 2.0, 1], open_left=[0.04, 0.02, 0, 0, 0], roll=[0, 9, 20, 40, 99], free=[1, -2, 3, 0, 0])
    check(swing=[-0.59, 0, 1, 2.09, 1], open_left=[0.0449, 0.02, 0, 0, 0])  # 0.1 rad and 5 mm


@pytest.mark.parametrize(
    ("readings", "value"), [([0.0, 0.3, 2.2, 1.0, 0.0], "2.2 rad at 20000000 ns"), ([0.0, 57.3, 0, 0, 0], "57.3 rad")]
)
def test_a_reading_outside_the_limits(readings: list[float], value: str) -> None:
    with pytest.raises(fa.DataError) as caught:
        check(swing=readings)
    message = str(caught.value)
    assert f"joint 'swing' is read as {value}" in message and "-0.5 to 2 rad" in message
    assert "log.joint_map" in message and "\n" not in message


def test_a_forgotten_sign() -> None:
    """By the limits: of a joint that the log measures the other way around."""
    read = [-0.2, -0.8, -1.5, -1.9, -1.0]
    check({"q": "-swing"}, q=read)
    with pytest.raises(fa.DataError, match=r"joint 'q' is read as -1.9 rad"):
        check({"q": "swing"}, q=read)
    with pytest.raises(fa.DataError, match=r"joint 'q' is read as 1.9 rad .* puts it at -1.9 rad"):
        check({"q": "-swing"}, q=[-v for v in read])


def test_a_forgotten_sign_of_a_finger_that_mimics() -> None:
    """Its limits are even about zero, so only the mimic tells."""
    left, right = [0.0, 0.01, 0.03, 0.03, 0.02], [0.0, -0.01, -0.03, -0.03, -0.02]
    check(open_left=left, open_right=right)
    check({"l": "open_left", "r": "open_right"}, l=left, r=right)
    check({"l": "open_left", "r": "-open_right"}, l=left, r=left)
    check({"l": "-open_left", "r": "-open_right"}, l=right, r=left)
    for names, values in (
        ({"l": "open_left", "r": "open_right"}, {"l": left, "r": left}),
        ({"l": "open_left", "r": "-open_right"}, {"l": left, "r": right}),
        ({"l": "-open_left", "r": "open_right"}, {"l": left, "r": right}),
    ):
        with pytest.raises(fa.DataError, match=r"joint 'r' is read as -?0.03 m .*follow 'l' to -?0.03 m.*joint_map"):
            check(names, **values)


def test_a_finger_that_does_not_follow() -> None:
    """Named in ``joint_map`` it may move on its own; else the description is wrong of it."""
    left, right = [0.0, 0.01, 0.03, 0.03, 0.02], [0.0, 0.0, -0.01, -0.02, 0.01]
    check({"l": "open_left", "r": "open_right"}, l=left, r=right)
    with pytest.raises(fa.DataError, match="a joint that moves on its own is named there too"):
        check(open_left=left, open_right=right)


def test_followers_are_compared_at_their_own_times() -> None:
    """A gripper that closes fast, and a follower that is read half a step later."""
    robot = robot_from_urdf(ROBOT)
    left = 0.04 * torch.sin(torch.arange(5) * 0.4).double()
    right = -0.04 * torch.sin((torch.arange(5) + 0.5) * 0.4).double()
    check_joints(robot, {"open_left": (TIMES, left), "open_right": (TIMES[:4] + 5_000_000, right[:4])}, "log")


def test_limits_that_are_not_given() -> None:
    robot = robot_from_urdf(ROBOT)
    joints = {e.name: e for _, e in robot.edges.values() if hasattr(e, "lower")}
    assert math.isinf(joints["free"].lower) and math.isinf(joints["roll"].upper)  # type: ignore[union-attr]
    for written in ('lower="0" upper="0"', "", 'lower="0"'):
        loose = ROBOT.replace('lower="-0.5" upper="2.0"', written)
        check_joints(robot_from_urdf(loose), {"swing": (TIMES, torch.arange(5).double())}, "log")


@pytest.mark.parametrize("format", ["mcap", "lerobot"])
def test_a_log_with_a_sign_that_is_wrong(tmp_path: Path, format: str) -> None:
    """The sample logs pass; with a joint turned around they are refused when they are read."""
    rig = ARM / f"{format}_rig.yaml"
    assert len(fa.open_log(format, ARM / format, rig=str(rig))[0].streams)
    joints = {"j1": "j1", "j2": "j2", "slide_left": "-slide_left", "slide_right": "slide_right"}
    with pytest.raises(fa.DataError, match=r"joint 'slide_left' is read as 0.04 m .* outside the limits 0 to 0.045 m"):
        _ = fa.open_log(format, ARM / format, rig=str(rig), joint_map=joints)[0]
