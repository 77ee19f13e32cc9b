"""Sensors of a rig file that nothing of a log is of are told, whatever the format, with the nearest names first."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import policy_logs
import pytest
import small_logs
import yaml
from places import DATA

import fusion_aug as fa
from calib import CalibrationError
from fusion_aug.cli import main

pytest.importorskip("h5py")
pytest.importorskip("pyarrow")


def lerobot(root: Path) -> Path:
    return policy_logs.lerobot(root, {"observation.wrench": (["a", "b"], [np.zeros((4, 2))])})


def aloha(root: Path) -> Path:
    return Path(shutil.copytree(DATA / "aloha" / "mobile", root))


# format -> how a log is made, what log.exclude calls one of its streams, and that stream
MADE = {
    "lerobot": (lerobot, "observation.wrench", "wrench"),
    "robomimic": (policy_logs.robomimic, "obs/robot0_eef_pos", "robot0_eef_pos"),
    "aloha": (aloha, "observations/images/cam_high", "cam_high"),
    "rlds": (small_logs.rlds, "observation/state", "state"),
}


def rig_file(path: Path, name: str, **more: object) -> str:
    sensor = {"kind": "imu", "frame": "mount", **more}
    path.write_text(yaml.safe_dump({"frames": {"base": {}, "mount": {"parent": "base"}}, "sensors": {name: sensor}}))
    return str(path)


@pytest.mark.parametrize("kind", MADE)
def test_a_sensor_that_no_stream_is_of_is_told(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, dataset, name = MADE[kind]
    root, rig = make(tmp_path / "log"), rig_file(tmp_path / "rig.yaml", f"{name}x")
    words = [f"log={kind}", f"log.root={root}", f"log.rig={rig}"]
    assert main(["inspect", *words]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"rig.yaml: sensors.{name}x: nothing is read of it, since no stream has this name (there are {name}," in told
    rig_file(tmp_path / "rig.yaml", name)
    left_out = f"log.exclude=[{dataset}]" if kind != "lerobot" else ""
    assert main(["inspect", *words, *([left_out] if left_out else [])]) == 0
    assert "nothing is read of it" not in capsys.readouterr().out


def test_a_run_tells_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, rig = policy_logs.robomimic(tmp_path / "log"), rig_file(tmp_path / "rig.yaml", "robot0_eef_poz")
    words = ["run", "log=robomimic", f"log.root={root}", f"log.rig={rig}", f"out={tmp_path / 'out'}"]
    assert main([*words, "pipeline=identity"]) == 0
    assert "sensors.robot0_eef_poz: nothing is read of it" in " ".join(capsys.readouterr().out.split())


def test_a_camera_without_a_lens_that_the_log_does_not_have(tmp_path: Path) -> None:
    rig = rig_file(tmp_path / "rig.yaml", "cam_hihg", kind="camera")
    with pytest.raises(CalibrationError, match=r"cam_hihg.camera: is missing, and the log has no camera 'cam_hihg' \("
                       r"there are cam_high.*correct the name, or give camera: \{model"):  # fmt: skip
        fa.open_log("aloha", aloha(tmp_path / "log"), rig=rig)[0]


@pytest.mark.parametrize(
    ("rotation", "told"),
    [([0, 0, 0, 0], "is all zeros"), ([2, 0, 0, 0], "has length 2, not 1"), ([np.nan, 0, 0, 0], "has length nan")],
    ids=str,
)
def test_quaternions_that_are_none(tmp_path: Path, rotation: list[float], told: str) -> None:
    pads = rig_file(tmp_path / "pads.yaml", "pad", kind="taxels", poses=[[0, 0, 0, 1, 0, 0, 0], [0, 0, 0, *rotation]])
    root = aloha(tmp_path / "log")
    with pytest.raises(CalibrationError, match=rf"pads.yaml: sensors.pad.poses: quaternion 1 \(w x y z\) {told}"):
        fa.open_log("aloha", root, rig=pads)[0]
    frames = {"base": {}, "mount": {"parent": "base", "rotation": rotation}}
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump({"frames": frames}))
    with pytest.raises(CalibrationError, match=rf"rig.yaml: frames.mount: rotation: the quaternion \(w x y z\) {told}"):
        fa.open_log("aloha", root, rig=str(tmp_path / "rig.yaml"))[0]
