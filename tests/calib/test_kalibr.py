"""Camera chains of Kalibr, against OpenCV and plain matrices."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from calib import CalibrationError, load_rig
from calib.se3 import rotation_about, se3
from calib.yaml_text import load_yaml


def chain(**more: object) -> dict:
    """Two cameras as Kalibr writes them; the first with its pose to an inertial unit."""
    T_cam_imu = torch.linalg.inv(se3(rotation_about("x", 0.3) @ rotation_about("z", -1.2), [0.05, 0.02, -0.01]))
    T_c1_c0 = se3(rotation_about("y", 0.02), [-0.11, 0.001, 0.002])
    return {
        "cam0": {"T_cam_imu": T_cam_imu.tolist(), "camera_model": "pinhole", "distortion_model": "radtan",
                 "distortion_coeffs": [-0.28, 0.07, 0.0002, 0.00002], "intrinsics": [458.6, 457.3, 367.2, 248.4],
                 "resolution": [752, 480], "rostopic": "/left/image_raw", **more},
        "cam1": {"T_cn_cnm1": T_c1_c0.tolist(), "camera_model": "pinhole", "distortion_model": "equidistant",
                 "distortion_coeffs": [0.01, -0.004, 0.001, -0.0002], "intrinsics": [200.0, 201.0, 320.0, 240.0],
                 "resolution": [640, 480], "rostopic": "/right/image_raw"},
    }  # fmt: skip


def written(tmp_path: Path, data: dict) -> Path:
    path = tmp_path / "camchain.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_poses_and_lenses(tmp_path: Path) -> None:
    data = chain()
    rig = load_rig(written(tmp_path, data))
    assert set(rig.sensors) == {"left", "right"} and rig.camera("left").size == (480, 752)
    point = torch.tensor([[0.3, -0.2, 1.7]], dtype=torch.float64)  # in the inertial unit's frame
    in_left = np.array(data["cam0"]["T_cam_imu"]) @ [*point[0].tolist(), 1]
    in_right = np.array(data["cam1"]["T_cn_cnm1"]) @ in_left
    for name, key, place in (("left", "cam0", in_left), ("right", "cam1", in_right)):
        T = rig.T(name, "imu")
        ours = (T[:3, :3] @ point[0] + T[:3, 3]).numpy()
        assert np.abs(ours - place[:3]).max() < 1e-12
        fu, fv, pu, pv = data[key]["intrinsics"]
        K, D = np.array([[fu, 0, pu], [0, fv, pv], [0, 0, 1]]), np.array(data[key]["distortion_coeffs"])
        look = np.array([[[place[0] / 6, place[1] / 6, abs(place[2]) + 1]]])  # before the lens
        project = cv2.projectPoints if key == "cam0" else cv2.fisheye.projectPoints
        args = (look, np.zeros(3), np.zeros(3), K, D)
        wanted = project(*args)[0].reshape(2)
        pixel, _ = rig.camera(name).project(torch.from_numpy(look[0]))
        assert np.abs(pixel[0].numpy() - wanted).max() < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_model": "omni"}, "omni-radtan is not supported"),
        ({"intrinsics": [1.0, 2.0]}, "intrinsics"),
        ({"T_cam_imu": [[1, 0], [0, 1]]}, "T_cam_imu"),
        ({"T_cam_imu": (2 * np.eye(4)).tolist()}, "T_cam_imu"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(CalibrationError, match=f"camchain.yaml: cam0.*{message}|camchain.yaml: cam0.{message}"):
        load_rig(written(tmp_path, chain(**change)))


def test_a_time_shift_is_reported(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="timeshift_cam_imu"):
        load_rig(written(tmp_path, chain(timeshift_cam_imu=0.004)))


def test_it_is_a_rig_file_of_a_log(tmp_path: Path) -> None:
    """A recording whose cameras have no CameraInfo gets its lenses from the chain."""
    from places import ARM

    import fusion_aug as fa

    pytest.importorskip("mcap")
    data = {"cam0": {**chain()["cam0"], "rostopic": "/front/image/compressed", "resolution": [160, 120]}}
    sample = fa.open_log("mcap", ARM / "mcap", rig=str(written(tmp_path, data)))[0]
    assert sample.rig.camera("front").model.lens == "brown_conrady" and sample["front"].frame == "front"


def test_files_of_openvins(tmp_path: Path) -> None:
    """Their first line is OpenCV's, and poses are those of the camera in the unit."""
    data = chain(cam_overlaps=[1])
    T = np.array(data["cam0"].pop("T_cam_imu"))
    data["cam0"]["T_imu_cam"] = np.linalg.inv(T).tolist()
    data["cam1"]["T_imu_cam"] = np.linalg.inv(np.array(data["cam1"].pop("T_cn_cnm1")) @ T).tolist()
    path = tmp_path / "kalibr_imucam_chain.yaml"
    path.write_text("%YAML:1.0 # need to specify the file type at the top!\n\n" + yaml.safe_dump(data))
    with pytest.warns(UserWarning, match="cam0.cam_overlaps: which cameras see the same is not used"):
        found = load_rig(path)
    plain = load_rig(written(tmp_path, chain()))
    for name in ("left", "right"):
        assert float((found.T("imu", name) - plain.T("imu", name)).abs().max()) < 1e-12


def test_both_directions_have_to_agree(tmp_path: Path) -> None:
    data = chain()
    data["cam0"]["T_imu_cam"] = np.linalg.inv(data["cam0"]["T_cam_imu"]).tolist()
    assert "left" in load_rig(written(tmp_path, data)).sensors
    data["cam0"]["T_imu_cam"] = data["cam0"]["T_cam_imu"]
    with pytest.raises(CalibrationError, match=r"cam0.T_imu_cam: is not the inverse of T_cam_imu"):
        load_rig(written(tmp_path, data))


def test_an_inertial_unit_and_its_noise(tmp_path: Path) -> None:
    unit = {
        "gyroscope_noise_density": 1.6e-4,
        "accelerometer_random_walk": 3e-3,
        "rostopic": "/imu0",
        "update_rate": 200.0,
    }
    with pytest.warns(UserWarning, match=r"imu0.update_rate: is not known and not used"):
        rig = load_rig(written(tmp_path, {**chain(), "imu0": unit}))
    sensor = rig.sensors["imu0"]
    assert (sensor.frame, sensor.gyro_noise, sensor.accel_bias_walk) == ("imu", 1.6e-4, 3e-3)  # type: ignore[attr-defined]
    del unit["update_rate"]
    with pytest.raises(CalibrationError, match=r"imu0.*gyro_noise: expected a number"):
        load_rig(written(tmp_path, {"imu0": {**unit, "gyroscope_noise_density": -1}}))


@pytest.mark.parametrize("model", ["omni", "eucm", "ds"])
def test_other_lenses_are_refused_by_name(tmp_path: Path, model: str) -> None:
    with pytest.raises(CalibrationError, match=rf"cam0.camera_model: {model}-none is not supported.*pinhole-equi"):
        load_rig(written(tmp_path, chain(camera_model=model, distortion_model="none")))


def test_a_matrix_of_opencv(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("K", np.arange(6, dtype=np.float64).reshape(2, 3))
    file.release()
    assert load_yaml(path.read_text())["K"] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(yaml.YAMLError, match="2x3 has 1 numbers"):
        load_yaml("%YAML:1.0\nK: !!opencv-matrix {rows: 2, cols: 3, dt: d, data: [1]}\n")


def test_a_chain_has_to_agree_with_the_poses(tmp_path: Path) -> None:
    data = chain()
    first, second = np.array(data["cam0"]["T_cam_imu"]), np.array(data["cam1"]["T_cn_cnm1"])
    data["cam1"]["T_cam_imu"] = (second @ first).tolist()
    assert "right" in load_rig(written(tmp_path, data)).sensors
    data["cam1"]["T_cam_imu"] = (np.linalg.inv(second) @ first).tolist()
    with pytest.raises(CalibrationError, match=r"cam1.T_cn_cnm1: is not what the poses"):
        load_rig(written(tmp_path, data))


def test_what_is_no_camera_is_told(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"target: is neither a camera nor imu0"):
        assert len(load_rig(written(tmp_path, {**chain(), "target": {"type": "aprilgrid"}})).sensors) == 2
