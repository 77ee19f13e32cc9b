"""Mirrors of robots whose joints count from other zeros on both sides, and of fingers that follow one another."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from calib import Robot, robot_from_urdf
from calib.symmetry import find_mirror

S = np.diag([1.0, -1.0, 1.0, 1.0])


def described(joints: list[tuple[str, str, str, str, str, str, str]]) -> str:
    """URDF text of (child, parent, kind, xyz, rpy, axis, mimic), with joints called as their children and ``_j``."""
    links = ["base", *(j[0] for j in joints)]
    text = "".join(f'<link name="{n}"/>' for n in links)
    for child, parent, kind, xyz, rpy, axis, mimic in joints:
        text += (
            f'<joint name="{child}_j" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
            f'<origin xyz="{xyz}" rpy="{rpy}"/><axis xyz="{axis}"/>'
            f'<limit lower="-9" upper="9" effort="1" velocity="1"/>{mimic}</joint>'
        )
    return f'<robot name="made">{text}</robot>'


def off(robot: Robot) -> float:
    """How far ``S T_c(q)`` is from ``T_partner(q') M`` at random readings."""
    mirror = find_mirror(robot)
    values = torch.rand(8, len(robot.joints), dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before, after = robot.forward(values), robot.forward(mirror.readings(values, robot.joints))
    return max(float(np.abs(S @ before[n].numpy() - after[p].numpy() @ M.numpy()).max())
               for n, (p, M) in mirror.links.items())  # fmt: skip


@pytest.mark.parametrize("zero", [0.3, -1.234, math.pi / 6, 3.0, 0.01])
@pytest.mark.parametrize("straight", [False, True], ids=["beside the axis", "on the axis"])
def test_zeros_that_are_no_quarter_turns_are_found(zero: float, straight: bool) -> None:
    joints = []
    for side, sign, turn in (("l", 1, 0.0), ("r", -1, zero)):
        c, s, x, y = math.cos(turn), math.sin(turn), 0.0 if straight else 0.3, 0.0 if straight else 0.05 * sign
        place = f"{c * x - s * y} {s * x + c * y} 0.1"
        joints += [
            (f"{side}_a", "base", "revolute", f"0 {0.2 * sign} 0.4", "0 0 0", "0 0 1", ""),
            (f"{side}_b", f"{side}_a", "revolute", place, f"0 0 {turn}", "0 1 0", ""),
            (f"{side}_c", f"{side}_b", "prismatic", f"0.2 {0.1 * sign} 0", "0 0 0", "1 0 0", ""),
        ]
    robot = robot_from_urdf(described(joints))
    assert off(robot) < 1e-9
    partner, sign, offset = find_mirror(robot).joints["l_a_j"]
    left = (offset + zero) / math.pi  # an axis on the joint's has no sense: half a turn more is as good
    assert partner == "r_a_j" and sign == -1 and abs(left - round(left)) < 1e-9


def test_a_finger_that_follows_the_other_one_is_read_too() -> None:
    """Both fingers of a hand are in the log; a mirror exchanges them, and one is the leader of the other."""
    follow = '<mimic joint="left_j" multiplier="2" offset="0.01"/>'
    robot = robot_from_urdf(described([
        ("arm", "base", "revolute", "0 0 0.3", "0 0 0", "0 0 1", ""),
        ("left", "arm", "prismatic", "0.1 0 0", "0 0 0", "0 1 0", ""),
        ("right", "arm", "prismatic", "0.1 0 0", "0 0 0", "0 -1 0", follow.replace("2", "1").replace("0.01", "0")),
        ("lid", "arm", "revolute", "0.2 0 0", "0 0 0", "0 1 0", follow),
    ]))  # fmt: skip
    values = torch.tensor([[0.5, 0.02, 0.02, 0.05]], dtype=torch.float64)
    after = find_mirror(robot).readings(values, ("arm_j", "left_j", "right_j", "lid_j"))
    assert torch.allclose(after, torch.tensor([[-0.5, 0.02, 0.02, 0.05]], dtype=torch.float64))
