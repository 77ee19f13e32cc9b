"""Depth of messages: what was not measured and what is too far, in every coding, and whose depth it is."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ros_pictures import T0, Message, bag, changed, compressed, image, info, picture, tf

import fusion_aug as fa
from fusion_aug.errors import FusionAugError

pytest.importorskip("mcap")
RGB = picture()
DARKER = fa.Brightness(factor=0.5)
MIRROR = fa.MirrorScene(axis="y", p=1.0)
DEPTH = np.linspace(0.5, 6.0, 24 * 32, dtype=np.float32).reshape(24, 32)
DEPTH[::3], DEPTH[1::3] = np.nan, np.inf
MILLIMETRES = np.where(np.isfinite(DEPTH), DEPTH, 0) * 1000


def depth_log(folder: Path, message: Any, topic: str = "/cam/depth/image_raw", **options: Any) -> Any:
    messages: list[Message] = [
        ("/cam/image_raw", T0, image(RGB, "rgb8")), ("/cam/camera_info", T0, info()), (topic, T0, message),
        ("/tf_static", T0, tf("base_link", "cam")),
    ]  # fmt: skip
    return fa.open_log("mcap", bag(folder, messages), **options)


GEOMETRY = {
    "mirror": MIRROR, "half": fa.ResizeCrop(size=(12, 16), scale=0.5, scope="sample"),
    "rotated": fa.Viewpoint(y_deg=3.0), "moved": fa.Viewpoint(x=0.02), "fog": fa.Fog(mor=50), "light": DARKER,
}  # fmt: skip


@pytest.mark.parametrize("change", GEOMETRY)
def test_no_measurement_and_beyond_the_range_stay_apart(tmp_path: Path, change: str) -> None:
    """REP 118: NaN and +inf. No transform makes a number of them, nor of what was not seen."""
    message = image(DEPTH, "32FC1")
    log = depth_log(tmp_path / "log", message)
    step = GEOMETRY[change]
    made = step(log[0], seed=1)["cam/depth"].image(0).numpy()
    kinds = [np.isnan(made), np.isposinf(made), np.isfinite(made) & (made > 0)]
    assert sum(k.sum() for k in kinds) == made.size  # also where nothing is seen: no 0 metres
    assert all(k.mean() > 0.15 for k in kinds) and made[kinds[2]].max() < 7
    assert np.isfinite(step(log[0], seed=1)["cam"].image(0).numpy()).all()
    out = changed(log, tmp_path / "out", step)["/cam/depth/image_raw"][0]
    written = np.asarray(out.data).view("<f4").reshape(out.height, out.width)
    assert np.array_equal(written, made, equal_nan=True)
    if change == "mirror":
        assert np.array_equal(made, DEPTH[:, ::-1], equal_nan=True)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_millimetres_with_zero_as_no_measurement(tmp_path: Path, encoding: str) -> None:
    levels = MILLIMETRES.astype("<u2")
    log = depth_log(tmp_path / "log", image(levels, encoding))
    assert isinstance(log[0]["cam/depth"], fa.Depth)
    assert np.array_equal(log[0]["cam/depth"].image(0).numpy(), levels.astype(np.float32) / np.float32(1000))
    out = changed(log, tmp_path / "out", MIRROR)["/cam/depth/image_raw"][0]
    assert np.array_equal(np.asarray(out.data).view("<u2").reshape(24, 32), levels[:, ::-1])


def test_sixteen_bits_of_other_topics_are_levels(tmp_path: Path) -> None:
    levels = MILLIMETRES.astype("<u2")
    for encoding in ("16UC1", "mono16"):
        log = depth_log(tmp_path / encoding, image(levels, encoding), "/thermal/image_raw")
        assert isinstance(log[0]["thermal"], fa.Camera)
        assert np.array_equal(log[0]["thermal"].image(0).numpy()[..., 0], levels)
    told = depth_log(tmp_path / "told", image(levels, "16UC1"), "/tof/z16", depth_of={"/tof/z16": "/cam/image_raw"})
    assert isinstance(told[0]["tof/z16"], fa.Depth) and told[0]["tof/z16"].camera == "cam"
    out = changed(told, tmp_path / "out", MIRROR)["/tof/z16"][0]
    assert np.array_equal(np.asarray(out.data).view("<u2").reshape(24, 32), levels[:, ::-1])


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("cam", "expected {depth topic"), ({"/nothing": "/cam/image_raw"}, "no topic of pictures '/nothing'"),
        ({"/cam/depth/image_raw": "/cam/camera_info"}, "no topic of pictures"),
        ({"/cam/image_raw": "/cam/image_raw"}, "no depth"),
    ],
)  # fmt: skip
def test_what_depth_of_cannot_mean(tmp_path: Path, value: Any, word: str) -> None:
    with pytest.raises(FusionAugError, match=word):
        depth_log(tmp_path / "log", image(DEPTH, "32FC1"), depth_of=value)[0]


def test_compressed_depth(tmp_path: Path) -> None:
    """Millimetres as they are, and inverse depth a / z + b in 16 bits, with the parameters of the header."""
    topic = "/cam/depth/image_raw/compressedDepth"
    levels = MILLIMETRES.astype(np.uint16)
    data = bytes(12) + cv2.imencode(".png", levels)[1].tobytes()
    log = depth_log(tmp_path / "mm", compressed(data, "16UC1; compressedDepth png"), topic)
    out = changed(log, tmp_path / "mm_out", MIRROR)[topic][0]
    assert np.array_equal(cv2.imdecode(np.asarray(out.data)[12:], -1), levels[:, ::-1])
    a, b = 100 * 101.0, 1 - 100 * 101.0 / 10
    inverse = np.where(np.isfinite(DEPTH), (a / DEPTH + b).round(), 0).astype(np.uint16)
    data = struct.pack("<iff", 1, a, b) + cv2.imencode(".png", inverse)[1].tobytes()
    log = depth_log(tmp_path / "inverse", compressed(data, "32FC1; compressedDepth png"), topic)
    found = log[0]["cam/depth"].image(0).numpy()
    known = np.isfinite(DEPTH)
    assert np.abs(found[known] - DEPTH[known]).max() < 0.01 and np.isnan(found[~known]).all()
    out = changed(log, tmp_path / "inverse_out", MIRROR)[topic][0]
    assert bytes(out.data[:12]) == data[:12] and out.format.startswith("32FC1; compressedDepth")
    assert np.array_equal(cv2.imdecode(np.asarray(out.data)[12:], -1), inverse[:, ::-1])


@pytest.mark.parametrize(
    ("colour", "depth", "camera"),
    [
        ("/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw", "camera/color"),
        ("/zed/zed_node/rgb/image_rect_color", "/zed/zed_node/depth/depth_registered", "zed/zed_node/rgb"),
        ("/d435/color/image_rect/compressed", "/d435/depth_registered/image_rect", "d435/color"),
    ],
)
def test_whose_depth_it_is_by_frame_and_size(tmp_path: Path, colour: str, depth: str, camera: str) -> None:
    """Names of RealSense and ZED; a second camera of another frame is beside them."""
    shown = compressed(cv2.imencode(".png", RGB)[1].tobytes(), "png") if "compressed" in colour else image(RGB, "rgb8")
    messages: list[Message] = [
        (colour, T0, shown), (depth, T0 + 5_000_000, image(np.full((24, 32), 20.0, "<f4"), "32FC1", T0 + 5_000_000)),
        ("/other/image_raw", T0, image(RGB, "rgb8", frame="other")),
        ("/other/camera_info", T0, info(frame="other")), ("/tf_static", T0, tf("base_link", "cam")),
        *((f"{t.rsplit('/', 1)[0].removesuffix('/image_rect')}/camera_info", T0, info()) for t in (colour, depth)),
    ]  # fmt: skip
    sample = fa.open_log("mcap", bag(tmp_path / "log", messages))[0]
    found = next(s for s in sample.of_type(fa.Depth).values())
    assert found.camera == camera
    sample = sample.with_streams({n: s for n, s in sample.streams.items() if n != "other"})
    fogged = fa.Fog(mor=20)(sample, seed=1)[camera].image(0).numpy()
    assert fogged.std() < 0.3 * RGB.std()
    moved = fa.Viewpoint(sensors=[camera], x=0.05)(sample, seed=1)
    assert np.nanmedian(next(iter(moved.of_type(fa.Depth).values())).image(0).numpy()) == pytest.approx(20, abs=0.01)


def test_depth_of_another_camera_is_its_own(tmp_path: Path) -> None:
    """Depth that is not aligned belongs to no picture: another frame, size or lens."""
    wide = info(k=[[30.0, 0, 15.5], [0, 30, 11.5], [0, 0, 1]])
    own: list[Message] = [("/cam/color/image_raw", T0, image(RGB, "rgb8")), ("/cam/color/camera_info", T0, info())]
    for k, (message, of_it) in enumerate([
        (image(DEPTH, "32FC1", frame="depth"), info(frame="depth")), (image(DEPTH, "32FC1"), wide),
        (image(DEPTH[:12], "32FC1"), info((12, 32))),
    ]):  # fmt: skip
        log = bag(
            tmp_path / str(k), [*own, ("/cam/depth/image_raw", T0, message), ("/cam/depth/camera_info", T0, of_it)]
        )
        sample = fa.open_log("mcap", log)[0]
        assert sample["cam/depth"].camera == "cam/depth"
        with pytest.raises(FusionAugError, match="needs depth"):
            fa.Fog(mor=20)(sample, seed=1)["cam/color"].image(0)


def test_depth_in_folders(tmp_path: Path) -> None:
    log = depth_log(tmp_path / "log", image(DEPTH, "32FC1"))
    depth = fa.write_log(log[0], tmp_path / "depth")[0]["cam/depth"]
    assert np.array_equal(depth.image(0).numpy(), DEPTH, equal_nan=True) and depth.unknown == "nan"
