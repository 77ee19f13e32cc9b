"""The real Panda log of the shared data, with the contents of its rig files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

FINGERS = {
    "gripper0_right_finger_joint1": "panda_finger_joint1",
    "gripper0_right_finger_joint2": "-panda_finger_joint2",
}
HALF = 0.5**0.5
PARTS = {
    "observation.state": {"position": [0, 9]},
    "observation.imu_window": {"accel": [0, 3], "gyro": [3, 6], "window": [0.002, 0.002]},
    "action": {"delta_position": [0, 3, 0.05], "delta_rotation": [3, 6, 0.5], "command": [6, 7]},
}


def rig_file(real_data: Path, target: Path, kind: str) -> Path:
    """``rig.json``'s base pose and joint map as a rig file for a format."""
    folder = real_data / "panda_lift"
    content = json.loads((folder / "rig.json").read_text())
    arm = content["joint_map"]
    rig: dict[str, Any] = {
        "urdf": str(folder / content["urdf"]),
        "joint_map": arm | FINGERS,
        "frames": {
            "world": {"parent": None, "axis_convention": "world"},
            content["urdf_base_link"]: {"parent": "world", "translation": content["T_world_base"]["translation"],
                                     "rotation": content["T_world_base"]["quaternion_wxyz"]},
            "ft_sensor": {"parent": "panda_hand", "rotation": [HALF, 0, 0, -HALF]},
        },
    }  # fmt: skip
    if kind != "mcap":
        rig["frames"]["wrist"] = {
            "parent": "panda_hand", "axis_convention": "camera", "translation": [0.05, 0, 0],
            "rotation": [HALF, 0, 0, HALF],
        }  # fmt: skip
        model = {"model": "pinhole", "K": [[125.10963579, 0, 127.5], [0, 125.10963579, 95.5], [0, 0, 1]],
                 "size": [192, 256]}  # fmt: skip
        name = "wrist" if kind == "lerobot" else "robot0_eye_in_hand"
        rig["sensors"] = {name: {"kind": "camera", "frame": "wrist", "camera": model}}
    if kind == "lerobot":
        rig["joint_map"] = {f"q{i}": j for i, j in enumerate([*arm.values(), *FINGERS.values()])}
        rig["parts"] = PARTS
        rig["sensors"]["imu_window"] = {"kind": "imu", "frame": "panda_hand"}
        rig["sensors"]["wrench"] = {"kind": "wrench", "frame": "ft_sensor"}
    if kind == "robomimic":
        rig["joint_map"] = arm
        rig["parts"] = {"actions": PARTS["action"]}
    path = target / f"{kind}_rig.yaml"
    path.write_text(yaml.safe_dump(rig))
    return path


ROOTS = {"mcap": "panda_lift_mcap", "lerobot": "lerobot_v3", "robomimic": "."}
