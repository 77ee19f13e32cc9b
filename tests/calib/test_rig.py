"""Rigs, rig files and the readers of calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from samples import T0, make_rig

from calib import CalibrationError, load_rig, rig_from_dict, rig_to_dict, save_rig, validate
from calib.kitti import kitti_rig, read_kitti_calib, write_kitti_calib
from calib.se3 import invert, se3

pytestmark = pytest.mark.quick

TIMES = [T0, T0 + 50_000_000, T0 + 100_000_000]


def test_time_dependent_extrinsics() -> None:
    """The way from one sensor to another at different times leads through the world."""
    rig = make_rig((48, 64), TIMES)
    direct = rig.T("CAM_FRONT", "lidar")
    assert torch.allclose(rig.T("CAM_FRONT", "lidar", TIMES[0]), direct)
    apart = rig.T("CAM_FRONT", "lidar", TIMES[0], TIMES[1])
    by_hand = invert(rig.T("world", "CAM_FRONT", TIMES[1])) @ rig.T("world", "lidar", TIMES[0])
    assert torch.allclose(apart, by_hand, atol=1e-12)
    assert float((apart - direct).abs().max()) > 0.2, "the vehicle moved meanwhile"
    with pytest.raises(CalibrationError, match="time is needed"):
        rig.T("world", "lidar")
    with pytest.raises(CalibrationError, match=r"'ego'.*outside"):
        rig.T("world", "lidar", T0 - 1)
    with pytest.raises(CalibrationError, match="not in the rig"):
        rig.T("ego", "nowhere")


def test_rig_file_round_trip(tmp_path: Path) -> None:
    rig = make_rig((48, 64), TIMES)
    save_rig(rig, tmp_path / "rig.yaml")
    back = load_rig(tmp_path / "rig.yaml")
    assert list(back.frames) == list(rig.frames) and list(back.sensors) == list(rig.sensors)
    for name in rig.frames:
        assert torch.allclose(back.T("ego", name, TIMES[1]), rig.T("ego", name, TIMES[1]), atol=1e-9)
    exact = rig_from_dict(rig_to_dict(rig, exact=True))
    for name, sensor in rig.sensors.items():
        assert exact.sensors[name].mirror_of == sensor.mirror_of
        assert torch.equal(exact.T("ego", sensor.frame, TIMES[0]), rig.T("ego", sensor.frame, TIMES[0]))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda d: d["frames"]["lidar"].update(parent="attic"), "frames.lidar.parent"),
        (lambda d: d["frames"]["lidar"].update(rotation=[[1, 0, 0], [0, 1, 0], [0, 0.1, 1]]), "frames.lidar"),
        (lambda d: d["frames"]["lidar"].update(translation=[0, float("nan"), 0]), "frames.lidar"),
        (lambda d: d["frames"]["lidar"].update(translation=["x", 0, 0]), "frames.lidar.translation"),
        (lambda d: d["frames"]["lidar"].update(translation=[1, 2]), "frames.lidar.translation"),
        (lambda d: d["frames"]["lidar"].update(hand="third"), "frames.lidar.hand"),
        (lambda d: d["frames"]["lidar"].update(colour="red"), "frames.lidar.colour"),
        (lambda d: d["frames"]["ego"].update(times=[3, 2, 1]), "frames.ego"),
        (lambda d: d["frames"].pop("radar"), "sensors.radar.frame"),
        (lambda d: d["frames"]["world"].update(parent="lidar", translation=[0, 0, 0]), "cycle"),
        (lambda d: d["sensors"]["CAM_FRONT"]["camera"].update(K=[[-5, 0, 1], [0, 5, 1], [0, 0, 1]]), "CAM_FRONT.K"),
        (lambda d: d["sensors"]["CAM_FRONT"]["camera"].update(model="magic"), "CAM_FRONT.camera.model"),
        (lambda d: d["sensors"]["CAM_FRONT"]["camera"].pop("size"), "CAM_FRONT.camera"),
        (lambda d: d["sensors"]["CAM_FRONT"].pop("camera"), "CAM_FRONT.camera"),
        (lambda d: d["sensors"]["CAM_FRONT"].update(A=[[1, 0, 0], [0, 0, 0], [0, 0, 1]]), "CAM_FRONT.A"),
        (lambda d: d["sensors"]["CAM_LEFT"].update(mirror_of="CAM_FRONT"), "CAM_LEFT.mirror_of"),
        (lambda d: d["sensors"]["lidar"].update(kind="nose"), "sensors.lidar.kind"),
        (lambda d: d["sensors"]["lidar"].update(wavelenght=1e-6), "sensors.lidar.wavelenght"),
    ],
)
def test_wrong_rig_files_name_file_and_field(tmp_path: Path, change, field: str) -> None:
    data = rig_to_dict(make_rig((48, 64), TIMES), exact=True)
    change(data)
    path = tmp_path / "rig.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(CalibrationError) as caught:
        load_rig(path)
    assert str(path) in str(caught.value) and field in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)


def test_rig_files_are_hostile(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    for text in ("!!python/object/apply:os.system ['true']", "[1, 2", "just words", "frames: 3"):
        path.write_text(text)
        with pytest.raises(CalibrationError, match=str(path)):
            load_rig(path)
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_rig(tmp_path / "absent.yaml")


def test_swapping_names_twice_is_nothing() -> None:
    rig = make_rig((48, 64), TIMES)
    names = rig.mirror_names()
    assert names == {"CAM_LEFT": "CAM_RIGHT", "CAM_RIGHT": "CAM_LEFT"}
    swapped = validate(rig.renamed(names))
    assert swapped.sensors["CAM_LEFT"].model is rig.sensors["CAM_RIGHT"].model
    assert torch.equal(swapped.T("ego", "CAM_LEFT"), rig.T("ego", "CAM_RIGHT"))
    assert list(swapped.renamed(names).sensors) == list(rig.sensors)


def test_kitti_calibration(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "kitti/training/calib/000008.txt"
    m = read_kitti_calib(path)
    rig = kitti_rig(m, (375, 1242), str(path))
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.uniform([5, -10, -2], [40, 10, 2], (100, 3)))
    for i in range(4):
        # the benchmark's own formula: P_i R0 Tr X
        full = torch.eye(4, dtype=torch.float64)
        full[:3, :3] = m["R0_rect"]
        velo = se3(m["Tr_velo_to_cam"][:, :3], m["Tr_velo_to_cam"][:, 3])
        p = torch.cat([X, torch.ones(100, 1, dtype=torch.float64)], 1) @ (m[f"P{i}"] @ full @ velo).T
        camera = rig.camera(f"image_{i}")
        T = invert(rig.T("velodyne", f"image_{i}"))
        found = camera.project(X @ T[:3, :3].T + T[:3, 3])[0]
        # the file's rotations are printed with few digits and are made orthonormal: hundredths of a pixel
        assert float((found - p[:, :2] / p[:, 2:]).abs().max()) < 0.01
    write_kitti_calib(m, tmp_path / "again.txt")
    assert all(torch.equal(v, m[k]) for k, v in read_kitti_calib(tmp_path / "again.txt").items())


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("Tr_velo_to_cam:", "Tr_velo_to_eye:", "row Tr_velo_to_cam is missing"),
        ("R0_rect: 9.999239000000e-01", "R0_rect: nan", "R0_rect: holds NaN"),
        ("R0_rect: 9.999239", "R0_rect: 4.999239", "R0_rect: is not a rotation"),
        ("P2: 7.215377000000e+02", "P2: word", "P2: not a row of numbers"),
        ("P3: 7.215377000000e+02", "P3:", "P3: expected 12 numbers"),
    ],
)
def test_wrong_kitti_calibration(real_data: Path, tmp_path: Path, old: str, new: str, field: str) -> None:
    text = (real_data / "kitti/training/calib/000008.txt").read_text()
    assert old in text
    path = tmp_path / "calib.txt"
    path.write_text(text.replace(old, new))
    with pytest.raises(CalibrationError) as caught:
        kitti_rig(read_kitti_calib(path), (375, 1242), str(path))
    assert str(path) in str(caught.value) and field in str(caught.value), str(caught.value)
