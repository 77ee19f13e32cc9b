"""CameraInfo: K, D, R and P move with the pixels and with nothing else. OpenCV is the oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from ros_pictures import T0, K, Message, bag, changed, image, info, picture, tf

import fusion_aug as fa
from calib import CalibrationError, KannalaBrandt, UnknownLens, rig_from_dict, rig_to_dict
from calib.rectification import Rectification
from fusion_aug.check.calibration import compare_rectification
from fusion_aug.errors import FusionAugError
from fusion_aug.logs.mcap.writer import McapWriter

pytest.importorskip("mcap")
SIZE = (24, 32)
LENS = [-0.2, 0.05, 0.003, -0.002, 0.01]
F, BASELINE = 40.0, 0.2
P_LEFT = np.array([[F, 0, 15.0, 0], [0, F, 11, 0], [0, 0, 1, 0]])
P_RIGHT = P_LEFT - np.outer([1, 0, 0], [0, 0, 0, F * BASELINE])
R_RIGHT = cv2.Rodrigues(np.array([0.01, -0.02, 0.015]))[0]
POINTS = np.random.default_rng(0).uniform([-0.6, -0.5, 1.5], [0.6, 0.5, 4.0], (50, 3))
MIRROR = fa.MirrorScene(axis="y", p=1.0)
FLIP = np.diag([-1.0, 1, 1])


def camera(name: str, topic: str = "image_raw", frames: int = 3, frame: str = "", **of_info: Any) -> list[Message]:
    out: list[Message] = []
    for k in range(frames):
        time, frame = T0 + k * 100_000_000, frame or f"{name}_optical"
        out.append((f"/{name}/{topic}", time, image(picture(*SIZE, seed=k), "rgb8", time, frame)))
        out.append((f"/{name}/camera_info", time, info(time=time, frame=frame, **of_info)))
    return out


def stereo(folder: Path, topic: str) -> Any:
    """The log of a pair whose right camera is turned by ``R_RIGHT`` against the rectified one."""
    messages = camera("left", topic, d=LENS, p=P_LEFT) + camera("right", topic, d=LENS, p=P_RIGHT, r=R_RIGHT)
    messages += [("/tf_static", T0, tf("base_link", "left_optical")),
                 ("/tf_static", T0, tf("base_link", "right_optical", y=-BASELINE))]  # fmt: skip
    return fa.open_log("mcap", bag(folder, messages))


def figures(message: Any) -> tuple[np.ndarray, ...]:
    return message.k.reshape(3, 3), message.d, message.r.reshape(3, 3), message.p.reshape(3, 4)


def seen(P: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels (n, 2) of points (n, 3) in the frame of the pair's first rectified camera."""
    found = np.column_stack([points, np.ones(len(points))]) @ P.T
    return found[:, :2] / found[:, 2:]


def raw_pixels(points: np.ndarray, K: np.ndarray, d: np.ndarray) -> np.ndarray:
    """OpenCV's pixels (n, 2) of points in the camera's frame."""
    return cv2.projectPoints(points[:, None], np.zeros(3), np.zeros(3), K, d)[0][:, 0]


@pytest.mark.parametrize("topic", ["image_raw", "image_rect_color"])
@pytest.mark.parametrize("change", [fa.SpeedWarp(speed=1.25), fa.Brightness(factor=0.8)], ids=["warp", "light"])
def test_time_and_light_leave_calibrations_alone(tmp_path: Path, topic: str, change: fa.Transform) -> None:
    out = changed(stereo(tmp_path / "log", topic), tmp_path / "out", change)
    for name, P, R in (("left", P_LEFT, np.eye(3)), ("right", P_RIGHT, R_RIGHT)):
        assert len(out[f"/{name}/camera_info"]) == 3
        for message in out[f"/{name}/camera_info"]:
            found = figures(message)
            for a, b in zip(found, (np.array(K), LENS, R, P), strict=True):
                assert np.array_equal(a, b)
            assert (message.distortion_model, message.height, message.width) == ("plumb_bob", *SIZE)


@pytest.mark.parametrize("topic", ["image_raw", "image_rect_color"])
def test_a_mirrored_stereo_pair(tmp_path: Path, topic: str) -> None:
    """What OpenCV projects by the new figures is the flipped pixel of what it projected by the old ones."""
    log = stereo(tmp_path / "log", topic)
    before, after = changed(log, tmp_path / "same"), changed(log, tmp_path / "out", MIRROR)
    pixels = {}
    for name in ("left", "right"):
        old, new = (figures(m[f"/{name}/camera_info"][0]) for m in (before, after))
        raw, mirrored = raw_pixels(POINTS, *old[:2]), raw_pixels(POINTS @ FLIP, *new[:2])
        assert np.allclose(mirrored, [31, 0] + raw * [-1, 1], atol=1e-9)
        rectified, mirrored = seen(old[3], POINTS), seen(new[3], POINTS @ FLIP)
        assert np.allclose(mirrored, [31, 0] + rectified * [-1, 1], atol=1e-9)
        assert np.allclose(new[2] @ FLIP, FLIP @ old[2], atol=1e-12)
        pixels[name] = mirrored
        shown = after[f"/{name}/{topic}"][0]
        assert np.array_equal(np.asarray(shown.data).reshape(*SIZE, 3), picture(*SIZE)[:, ::-1])
    # the pair still measures: its rows agree, and the points are found again from pixels alone
    assert np.allclose(pixels["left"][:, 1], pixels["right"][:, 1], atol=1e-9)
    Ps = [figures(after[f"/{n}/camera_info"][0])[3] for n in ("left", "right")]
    found = cv2.triangulatePoints(*Ps, pixels["left"].T, pixels["right"].T)
    assert np.allclose((found[:3] / found[3]).T, POINTS @ FLIP, atol=1e-6)


def test_a_pair_that_swaps_names_keeps_its_first_camera(tmp_path: Path) -> None:
    """The mirrored right camera is the new left one: without a baseline, as all readers of a pair expect it."""
    log = stereo(tmp_path / "log", "image_raw")
    source = log[0]
    data = rig_to_dict(source.rig, exact=True)
    for name, other in (("left", "right"), ("right", "left")):
        data["sensors"][name]["mirror_of"] = other
    rig = rig_from_dict(data)
    assert rig.camera("right").rectification.P[0, 3] == -F * BASELINE  # went through the plain description
    source = source.with_meta(0, rig=rig, true_rig=rig)
    mirrored = MIRROR(source, seed=1).rig
    for name, P in (("left", P_LEFT), ("right", P_RIGHT)):
        found = mirrored.camera(name).rectification.P.numpy()
        assert np.allclose(found[:, 3], P[:, 3]) and found[0, 2] == 31 - P[0, 2]
    R = mirrored.camera("left").rectification.R.numpy()
    assert np.allclose(R, FLIP @ R_RIGHT @ FLIP)


@pytest.mark.parametrize("topic", ["image_raw", "image_rect"])
def test_maps_of_pixels_change_K_and_P_alike(tmp_path: Path, topic: str) -> None:
    """Also behind a lens, since its coefficients are those of rays."""
    log = stereo(tmp_path / "log", topic)
    step = fa.ResizeCrop(size=(16, 20), scale=0.75, scope="sample")
    before, after = changed(log, tmp_path / "same"), changed(log, tmp_path / "out", step)
    A = fa.Compose([step])(log[0], seed=1).rig.camera("right").A.numpy()
    for name in ("left", "right"):
        old, new = (figures(m[f"/{name}/camera_info"][0]) for m in (before, after))
        expected = np.column_stack([raw_pixels(POINTS, *old[:2]), np.ones(len(POINTS))]) @ A.T
        assert np.allclose(raw_pixels(POINTS, *new[:2]), expected[:, :2], atol=1e-9)
        assert np.allclose(new[3], A @ old[3]) and np.array_equal(new[2], old[2]) and np.array_equal(new[1], old[1])
        assert new[3][0, 3] == pytest.approx(0.75 * old[3][0, 3])
        message = after[f"/{name}/camera_info"][0]
        assert (message.height, message.width) == (16, 20)


def test_a_flipped_rectified_picture(tmp_path: Path) -> None:
    log = stereo(tmp_path / "log", "image_rect")
    out = changed(log, tmp_path / "out", fa.FlipImage(p=1.0))
    P = figures(out["/right/camera_info"][0])[3]
    assert np.allclose(seen(P, POINTS), [31, 0] + seen(P_RIGHT, POINTS) * [-1, 1])
    again = fa.open_log("mcap", tmp_path / "out")[0].rig.camera("right")
    assert np.allclose(
        again.project(torch.from_numpy(POINTS))[0].numpy(), POINTS[:, :2] / POINTS[:, 2:] @ P[:2, :2] + P[:2, 2]
    )


def test_one_camera_of_a_pair_is_not_moved_alone(tmp_path: Path) -> None:
    log = stereo(tmp_path / "log", "image_raw")
    writer = McapWriter(log, tmp_path / "out")
    for sensors in (["left"], ["right"]):
        pipeline = fa.Compose([fa.Viewpoint(sensors=sensors, y_deg=2.0), fa.Brightness(factor=0.9)])
        found = writer.can_express(pipeline, log[0])
        assert [p.effect for p in found] == ["stereo pair"] and sensors[0] in found[0].field
    assert not writer.can_express(fa.Miscalibrate(sensors=["left"], y_deg=0.2), log[0])
    assert not writer.can_express(fa.Compose([fa.Resize(size=(12, 16))]), log[0])
    turned = writer.can_express(fa.Compose([fa.FlipImage(p=0.5)]), log[0])
    assert [p.effect for p in turned] == ["distortion"] * 2 and "FlipImage of camera left" in turned[0].field


def test_an_ideal_fisheye_stays_one(tmp_path: Path) -> None:
    for model, d in (("equidistant", [0.0] * 4), ("fisheye", [])):
        log = fa.open_log("mcap", bag(tmp_path / model, camera("cam", model=model, d=d)))
        sensor = log[0].rig.camera("cam")
        assert isinstance(sensor.model, KannalaBrandt)
        out = changed(log, tmp_path / f"{model}_out", MIRROR)["/cam/camera_info"][0]
        expected = cv2.fisheye.projectPoints(POINTS[:, None], np.zeros(3), np.zeros(3), np.array(K), np.zeros(4))[0][
            :, 0
        ]
        assert np.allclose(sensor.project(torch.from_numpy(POINTS))[0].numpy(), expected, atol=1e-9)
        assert out.distortion_model == model and not out.d.any() and len(out.d) in (len(d), 4)
        again = fa.open_log("mcap", tmp_path / f"{model}_out")[0].rig.camera("cam")
        mirrored = again.project(torch.from_numpy(POINTS @ FLIP))[0].numpy()
        assert np.allclose(mirrored, [31, 0] + expected * [-1, 1], atol=1e-9)


def test_fourteen_coefficients_without_tilt(tmp_path: Path) -> None:
    d = [0.1, -0.05, 0.001, 0.002, 0.01, 0.05, 0.02, 0.003, 0.001, 0.002, -0.001, 0.0005, 0, 0]
    log = fa.open_log("mcap", bag(tmp_path / "log", camera("cam", model="rational_polynomial", d=d)))
    found = log[0].rig.camera("cam").project(torch.from_numpy(POINTS))[0].numpy()
    assert np.allclose(found, raw_pixels(POINTS, np.array(K), np.array(d)), atol=1e-9)
    out = changed(log, tmp_path / "out", MIRROR)["/cam/camera_info"][0]
    mirrored = raw_pixels(POINTS @ FLIP, out.k.reshape(3, 3), out.d)
    assert np.allclose(mirrored, [31, 0] + found * [-1, 1], atol=1e-9)
    assert (out.distortion_model, len(out.d)) == ("rational_polynomial", 14)


@pytest.mark.parametrize(
    "of_info",
    [{"model": "omni", "d": [0.1, 0.2]}, {"model": "rational_polynomial", "d": [0.1] * 14}],
    ids=["omni", "tilt"],
)
def test_a_lens_that_is_not_understood(tmp_path: Path, of_info: dict[str, Any]) -> None:
    """It is copied with its pictures, and refused by its name where it had to change or is looked through."""
    log = fa.open_log("mcap", bag(tmp_path / "log", camera("cam", **of_info)))
    assert isinstance(log[0].rig.camera("cam").model, UnknownLens)
    out = changed(log, tmp_path / "light", fa.Brightness(factor=0.8))["/cam/camera_info"]
    assert len(out) == 3 and np.array_equal(out[0].d, of_info["d"])
    with pytest.raises(FusionAugError, match=of_info["model"]):
        changed(log, tmp_path / "out", MIRROR)
    with pytest.raises(CalibrationError, match=of_info["model"]):
        log[0].rig.camera("cam").project(torch.from_numpy(POINTS))


@pytest.mark.parametrize("fill", [0.0, 1.0], ids=["zeros", "no size"])
def test_cameras_whose_driver_has_no_calibration(tmp_path: Path, fill: float) -> None:
    nothing = np.zeros((3, 3)) if not fill else np.array(K)
    size = (0, 0) if fill else SIZE
    log = fa.open_log("mcap", bag(tmp_path / "log", camera("cam", k=nothing, size=size)))
    sensor = log[0].rig.camera("cam")
    assert sensor.size == SIZE and isinstance(sensor.model, UnknownLens) == (not fill)
    out = changed(log, tmp_path / "out", fa.Resize(size=(12, 16)))["/cam/camera_info"][0]
    assert (out.height, out.width) == (12, 16) and out.k.any() == bool(fill)


def test_binning_and_a_region_of_interest(tmp_path: Path) -> None:
    """Pixel u of the picture is the mean of two of the sensor, from column 8 and row 4 on."""
    messages = camera("cam", size=(56, 80), d=LENS, k=[[80.0, 0, 39.5], [0, 84, 27.5], [0, 0, 1]], binning=2,
                      roi=(8, 4, 48, 64))  # fmt: skip
    log = fa.open_log("mcap", bag(tmp_path / "log", messages))
    sensor = log[0].rig.camera("cam")
    whole = raw_pixels(POINTS, np.array([[80.0, 0, 39.5], [0, 84, 27.5], [0, 0, 1]]), np.array(LENS))
    expected = (whole - [8, 4] + 0.5) / 2 - 0.5
    assert sensor.size == SIZE
    assert np.allclose(sensor.project(torch.from_numpy(POINTS))[0].numpy(), expected, atol=1e-9)
    out = changed(log, tmp_path / "out", MIRROR)["/cam/camera_info"][0]
    mirrored = raw_pixels(POINTS @ FLIP, out.k.reshape(3, 3), out.d)
    assert np.allclose(mirrored, [31, 0] + expected * [-1, 1], atol=1e-9)
    assert (out.height, out.width, out.binning_x, out.roi.width) == (*SIZE, 0, 0)
    same = changed(log, tmp_path / "same")["/cam/camera_info"][0]
    assert (same.binning_x, same.roi.width) == (2, 64)


def test_pictures_of_another_size_are_refused_where_they_are_used(tmp_path: Path) -> None:
    log = fa.open_log("mcap", bag(tmp_path / "log", camera("cam", size=(48, 64))))
    assert len(changed(log, tmp_path / "same")["/cam/image_raw"]) == 3
    assert log[0]["cam"].image(0).shape == (*SIZE, 3)
    with pytest.raises(FusionAugError, match=r"camera_info.*64x48.*32x24"):
        fa.FlipImage()(log[0])


def test_raw_and_rectified_pictures_of_one_camera_info(tmp_path: Path) -> None:
    """Both are changed alike, or the output cannot say it."""
    messages = camera("cam", d=LENS, p=P_LEFT, frame="cam")
    messages += [m for m in camera("cam", "image_rect", d=LENS, p=P_LEFT, frame="cam") if "rect" in m[0]]
    log = fa.open_log("mcap", bag(tmp_path / "log", messages))
    rig = log[0].rig
    assert {rig.camera("cam").model.lens, rig.camera("cam/image_rect").model.lens} == {"brown_conrady", "pinhole"}
    out = changed(log, tmp_path / "out", MIRROR)["/cam/camera_info"][0]
    assert np.allclose(raw_pixels(POINTS @ FLIP, out.k.reshape(3, 3), out.d),
                       [31, 0] + raw_pixels(POINTS, np.array(K), np.array(LENS)) * [-1, 1])  # fmt: skip
    assert np.allclose(seen(out.p.reshape(3, 4), POINTS @ FLIP), [31, 0] + seen(P_LEFT, POINTS) * [-1, 1])
    apart = fa.ResizeCrop(size=(16, 20), scale=[0.6, 1.0], scope="sensor")
    with pytest.raises(FusionAugError, match=r"2 topics of pictures, whose pixels were mapped differently"):
        changed(log, tmp_path / "apart", apart)


@pytest.mark.parametrize("fault", ["baseline", "turn"])
def test_a_wrong_rectification_is_found(tmp_path: Path, fault: str) -> None:
    """``check`` looks at R and P, too: a baseline of 5 mm more, or a turn of 0.2 degrees."""
    sample = stereo(tmp_path / "log", "image_raw")[0]
    right = sample.rig.camera("right")
    known = right.rectification
    P, R = known.P.clone(), known.R
    if fault == "baseline":
        P[0, 3] -= F * 0.005
    else:
        R = torch.from_numpy(cv2.Rodrigues(np.array([0, np.deg2rad(0.2), 0]))[0]) @ R
    wrong = replace(right, rectification=Rectification(R=R, P=P))
    found = sample.with_meta(0, rig=sample.rig.with_sensor("right", wrong))
    assert [r.status for r in compare_rectification(sample, sample, "right")] == ["PASS"]
    assert [r.status for r in compare_rectification(sample, found, "right")] == ["FAIL"]
