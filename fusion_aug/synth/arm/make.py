"""The arm's sample log: one recording as MCAP and as LeRobotDataset v3.0, the robot's description and ground truth.

OUT/arm.urdf                 links, joints, inertias
OUT/mcap/arm.mcap            the recording, with metadata.yaml
OUT/mcap_rig.yaml            what MCAP has no place for: gels and taxels (log.rig)
OUT/lerobot/                 the same as a dataset
OUT/lerobot_rig.yaml         what that has no place for: all frames and sensors, and what the vectors mean
OUT/truth.npz                poses of all bodies and cameras, masks of the hand, from the simulator
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from calib import Rig, rig_to_dict
from calib.urdf_writing import robot_to_urdf
from fusion_aug.errors import MissingPackage
from fusion_aug.logs.core.npz import write_npz
from fusion_aug.logs.core.whole import whole_folder
from fusion_aug.synth.arm.gels import GELS, gel_background
from fusion_aug.synth.arm.recording import ArmLog, record
from fusion_aug.synth.arm.scene import mujoco
from fusion_aug.synth.arm.to_lerobot import PARTS, write_lerobot
from fusion_aug.synth.arm.to_mcap import write_mcap

PACKAGES = {"ros": ("mcap", "rosbags", "zstandard"), "lerobot": ("av", "pyarrow")}  # extra -> what of it is imported


def make_arm(out: Path | str, progress: Callable[[int, int], None] = lambda done, of: None) -> Path:
    """Write the log; it is there whole or not at all.

    Args:
        out: folder, made if missing.
        progress: called with the number of finished pictures and of all.

    Raises:
        MissingPackage: one of the packages that simulate and write it is not installed; nothing is written.
        DataError: there is something in the folder.
    """
    out = Path(out)
    check_packages()
    with whole_folder(out) as folder:
        _write(record(progress), folder)
    return out


def check_packages() -> None:
    """Raise unless everything can be imported that the arm world and the formats of its log need.

    Raises:
        MissingPackage: one is not installed.
    """
    mujoco()
    for need, names in PACKAGES.items():
        missing = [name for name in names if find_spec(name) is None]
        if missing:
            raise MissingPackage(f"the log of the arm world needs {', '.join(missing)}: pip install '.[{need}]'")


def _write(log: ArmLog, out: Path) -> None:
    (out / "arm.urdf").write_text(robot_to_urdf(log.robot), encoding="utf-8")
    for name in GELS:
        picture = cv2.cvtColor(gel_background(1 if name.endswith("left") else -1).numpy(), cv2.COLOR_RGB2BGR)
        (out / f"{name}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    write_mcap(log, out / "mcap")
    write_lerobot(log, out / "lerobot")
    touch = {n: s for n, s in log.rig.sensors.items() if s.kind in ("tactile", "taxels")}
    write_rig(Rig({}, touch), out / "mcap_rig.yaml", {})
    write_rig(log.rig, out / "lerobot_rig.yaml", {"parts": PARTS})
    write_npz(ground_truth(log), out / "truth.npz")


def write_rig(rig: Rig, path: Path, more: dict[str, Any]) -> None:
    """A rig file that names the robot's description and the backgrounds of the gels beside it."""
    content = rig_to_dict(rig)
    for name, sensor in content["sensors"].items():
        if "background" in sensor:
            sensor["background"] = f"{name}.png"
        if "poses" in sensor:  # one to a line: x y z and the quaternion w x y z
            sensor["poses"] = [_pose_numbers(rig.sensors[name].poses[k]) for k in range(len(sensor["poses"]))]  # type: ignore[attr-defined]
    text = yaml.safe_dump({"urdf": "arm.urdf", **more, **content}, sort_keys=False, default_flow_style=None, width=120)
    path.write_text(text, encoding="utf-8")


def _pose_numbers(T: Any) -> list[float]:
    from calib.se3 import quaternion_from_rotation

    return [*T[:3, 3].tolist(), *quaternion_from_rotation(T[:3, :3]).tolist()]


def ground_truth(log: ArmLog) -> dict[str, np.ndarray]:
    """Return the ground truth of the simulator at the stamps of the cameras."""
    steps = log.sample_steps("cameras")
    names = sorted(log.arm.bodies)
    out = {
        "times": log.stamps(steps),
        "bodies": np.array(names),
        # x y z and quaternion w x y z in the world
        "body_poses": np.stack([log.arm.bodies[n][steps] for n in names], 1),
    }
    for name, views in log.views.items():
        out[f"{name}/T_world_camera"] = np.stack([v.T_world_camera for v in views])
        out[f"{name}/hand"] = np.packbits(np.stack([v.hand for v in views]), axis=-1)
    return out


__all__ = ["make_arm"]
