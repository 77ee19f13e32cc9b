"""Efforts of joints in a vector of their own follow the masses as those beside their positions do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import policy_logs as made
import yaml
from written import run

JOINTS = ["j0", "j1"]
WARP = "+pipeline.transforms.w={_target_: fusion_aug.SpeedWarp, speed: 2.0}"
INERTIA = '<inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/>'


def robot() -> str:
    links = "".join(
        f'<link name="l{k}"><inertial><origin xyz="0.1 0 0"/><mass value="2"/>{INERTIA}</inertial></link>'
        for k in (0, 1)
    )
    joints = "".join(
        f'<joint name="j{k}" type="revolute"><parent link="{parent}"/><child link="l{k}"/><origin xyz="0.3 0 0"/>'
        f'<axis xyz="0 0 1"/><limit lower="-3" upper="3" effort="9" velocity="9"/></joint>'
        for k, parent in enumerate(("base", "l0"))
    )
    return f'<robot name="r"><link name="base"/>{links}{joints}</robot>'


def warped(folder: Path, features: dict[str, np.ndarray], parts: dict[str, Any]) -> Path:
    root = made.lerobot(folder / "log", {n: (None, [v]) for n, v in features.items()})
    (folder / "r.urdf").write_text(robot())
    (folder / "rig.yaml").write_text(yaml.safe_dump({"urdf": "r.urdf", "parts": parts}))
    return run(
        folder / "out", "log=lerobot", f"log.root={root}", f"log.rig={folder / 'rig.yaml'}", "pipeline=identity", WARP
    )


def test_efforts_follow_the_masses_in_either_layout(tmp_path: Path) -> None:
    t = np.arange(40)[:, None] / made.FPS
    q, tau = np.sin(2 * t + np.array([0, 1])), np.cos(t + np.array([2, 3]))
    beside = {"position": [0, 2], "effort": [2, 4], "joints": JOINTS}
    one = warped(tmp_path / "one", {"observation.state": np.concatenate([q, tau], 1)}, {"observation.state": beside})
    own = {"observation.state": {"position": [0, 2], "joints": JOINTS},
           "observation.torque": {"effort": [0, 2], "joints": JOINTS}}  # fmt: skip
    two = warped(tmp_path / "two", {"observation.state": q, "observation.torque": tau}, own)
    expected, found = made.rows(one, "observation.state")[:, 2:], made.rows(two, "observation.torque")
    assert np.array_equal(found, expected)
    assert np.abs(found - tau[::2]).max() > 0.1, "four times the acceleration"
