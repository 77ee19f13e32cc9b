"""Pictures of messages in every encoding: read, and written after light and geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ros_pictures import T0, Message, bag, changed, compressed, image, info, picture

import fusion_aug as fa
from fusion_aug.errors import FusionAugError
from fusion_aug.streams import Opaque

pytest.importorskip("mcap")
RGB = picture()
DEEP = RGB.astype(np.uint16) * 200
ALPHA = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (24, 1))
GREY = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
DARKER = fa.Brightness(factor=0.5)
MIRROR = fa.MirrorScene(axis="y", p=1.0)


def nv(rgb: np.ndarray, order: str) -> np.ndarray:
    """Planes of light and of pairs of colour, from OpenCV's separate ones."""
    planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    light, u, v = np.split(planes, [24 * 32, 24 * 32 * 5 // 4])
    return np.concatenate([light, np.stack([u, v] if order == "nv12" else [v, u], 1).ravel()]).reshape(36, 32)


STORED: dict[str, tuple[np.ndarray, np.ndarray, int]] = {  # encoding -> numbers, RGB, levels that it may be off
    "rgb8": (RGB, RGB, 0), "bgr8": (RGB[..., ::-1], RGB, 0), "8UC3": (RGB[..., ::-1], RGB, 0),
    "rgb16": (DEEP, DEEP, 0), "bgr16": (DEEP[..., ::-1], DEEP, 0),
    "mono8": (GREY, np.dstack([GREY] * 3), 0), "8UC1": (GREY, np.dstack([GREY] * 3), 0),
    "mono16": (DEEP[..., 0], np.dstack([DEEP[..., 0]] * 3), 0),
    "yuv422": (cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_UYVY), RGB, 25),
    "yuv422_yuy2": (cv2.cvtColor(RGB, cv2.COLOR_RGB2YUV_YUY2), RGB, 25),
    "nv12": (nv(RGB, "nv12"), RGB, 45), "nv21": (nv(RGB, "nv21"), RGB, 45),
}  # fmt: skip


def message_of(encoding: str) -> Any:
    numbers = STORED[encoding][0]
    return image(numbers, encoding, height=24, step=numbers[0].nbytes)


def log_of(folder: Path, message: Any, topic: str = "/cam/image_raw") -> Any:
    messages: list[Message] = [(topic, T0, message), ("/cam/camera_info", T0, info())]
    return fa.open_log("mcap", bag(folder, messages))


def seen(folder: Path, message: Any) -> np.ndarray:
    """A message as it is read."""
    return log_of(folder, message)[0]["cam"].image(0).numpy()


@pytest.mark.parametrize("encoding", STORED)
def test_every_encoding_is_read_and_written(tmp_path: Path, encoding: str) -> None:
    """A mirror flips what is seen, a change of light scales it, and the message keeps its encoding."""
    log, (numbers, rgb, most) = log_of(tmp_path / "log", message_of(encoding)), STORED[encoding]
    found = log[0]["cam"].image(0).numpy()
    assert found.dtype == rgb.dtype and np.abs(found.astype(int) - rgb).max() <= most
    same = changed(log, tmp_path / "same")["/cam/image_raw"][0]
    assert np.array_equal(same.data, message_of(encoding).data)
    out = changed(log, tmp_path / "out", MIRROR)["/cam/image_raw"][0]
    assert (out.encoding, out.height, out.width, len(out.data)) == (encoding, 24, 32, numbers.nbytes)
    flipped = seen(tmp_path / "again", out)
    assert np.abs(flipped.astype(int) - found[:, ::-1]).max() <= (2 if most else 0)


def test_big_endian_numbers_and_padded_rows(tmp_path: Path) -> None:
    wide = np.pad(DEEP.astype(">u2").reshape(24, 96), ((0, 0), (0, 8)), constant_values=9)
    message = image(wide, "rgb16", width=32, is_bigendian=1)
    assert np.array_equal(seen(tmp_path / "log", message), DEEP)
    out = changed(log_of(tmp_path / "again", message), tmp_path / "out", MIRROR)["/cam/image_raw"][0]
    assert (out.step, out.is_bigendian) == (192, 0)
    assert np.array_equal(np.asarray(out.data).view("<u2").reshape(24, 32, 3), DEEP[:, ::-1])


@pytest.mark.parametrize("encoding", ["rgba8", "bgra8", "png"])
@pytest.mark.parametrize(
    "change", [DARKER, MIRROR, fa.ResizeCrop(size=(12, 16), scale=0.5)], ids=["light", "mirror", "half"]
)
def test_the_fourth_channel_follows_the_pixels(tmp_path: Path, encoding: str, change: fa.Transform) -> None:
    order = [0, 1, 2, 3] if encoding == "rgba8" else [2, 1, 0, 3]
    stored = np.dstack([RGB, ALPHA])[..., order]
    message = image(stored, encoding)
    topic = "/cam/image_raw"
    if encoding == "png":
        message = compressed(cv2.imencode(".png", stored)[1].tobytes(), "rgba8; png compressed bgra8")
        topic = "/cam/image_raw/compressed"
    log = log_of(tmp_path / "log", message, topic)
    out = changed(log, tmp_path / "out", change)[topic][0]
    if encoding == "png":
        assert out.format == message.format
        found = cv2.imdecode(np.asarray(out.data), cv2.IMREAD_UNCHANGED)
    else:
        found = np.asarray(out.data).reshape(out.height, out.width, 4)
    half = ALPHA.reshape(12, 2, 16, 2).mean((1, 3))
    expected = {"Brightness": ALPHA, "MirrorScene": ALPHA[:, ::-1], "ResizeCrop": half}[type(change).__name__]
    assert np.abs(found[..., 3] - expected.astype(float)).max() <= (6 if type(change) is fa.ResizeCrop else 0)
    if change is MIRROR:
        assert np.array_equal(found[..., :3], stored[:, ::-1, :3])


def test_a_change_of_time_copies_what_is_clear(tmp_path: Path) -> None:
    """The fourth channel is beside its picture, and no file is written for it."""
    log = log_of(tmp_path / "log", image(np.dstack([RGB, ALPHA]), "rgba8"))
    assert np.array_equal(log[0]["cam/opacity"].image(0).numpy(), ALPHA)
    changed(log, tmp_path / "out", DARKER)
    assert not list((tmp_path / "out").rglob("fusion_aug"))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_bayer_mosaic(tmp_path: Path, pattern: str, bits: int) -> None:
    """Colours are filled in between; measured pixels come back exactly after a change that keeps them."""
    rgb = RGB if bits == 8 else DEEP
    mosaic = np.empty((24, 32), rgb.dtype)
    for k, colour in enumerate(pattern):
        mosaic[k // 2 :: 2, k % 2 :: 2] = rgb[k // 2 :: 2, k % 2 :: 2, "rgb".index(colour)]
    log = log_of(tmp_path / "log", image(mosaic, f"bayer_{pattern}{bits}"))
    found = log[0]["cam"].image(0).numpy()
    assert np.abs(found.astype(int) - rgb).mean() < 0.02 * np.iinfo(rgb.dtype).max
    for k, colour in enumerate(pattern):
        own = found[k // 2 :: 2, k % 2 :: 2, "rgb".index(colour)]
        assert np.array_equal(own, mosaic[k // 2 :: 2, k % 2 :: 2])
    out = changed(log, tmp_path / "out", fa.FlipImage(p=1.0), fa.FlipImage(p=1.0))["/cam/image_raw"][0]
    assert np.array_equal(np.asarray(out.data).view(rgb.dtype).reshape(24, 32), mosaic)
    if bits == 8:
        dark = changed(log, tmp_path / "dark", DARKER)["/cam/image_raw"][0]
        expected = DARKER(log[0], seed=1)["cam"].image(0).numpy()
        for k, colour in enumerate(pattern):
            own = np.asarray(dark.data).reshape(24, 32)[k // 2 :: 2, k % 2 :: 2]
            assert np.array_equal(own, expected[k // 2 :: 2, k % 2 :: 2, "rgb".index(colour)])


CODED = {
    "rgb8; jpeg compressed bgr8": (".jpg", RGB[..., ::-1], RGB, 3),
    "bgr8; png compressed bgr8": (".png", RGB[..., ::-1], RGB, 3),
    "rgb8; png compressed rgb8": (".png", RGB, RGB, 3),  # as its subscribers read it: blue and red the other way
    "png": (".png", DEEP[..., ::-1], DEEP, 3),
    "mono8; jpeg compressed ": (".jpg", GREY, np.dstack([GREY] * 3), 1),
    "jpeg": (".jpg", GREY, np.dstack([GREY] * 3), 1),
    "mono16; png compressed ": (".png", DEEP[..., 0], np.dstack([DEEP[..., 0]] * 3), 1),
}


@pytest.mark.parametrize("text", CODED)
def test_coded_pictures_stay_what_their_format_says(tmp_path: Path, text: str) -> None:
    ending, stored, rgb, channels = CODED[text]
    topic, data = "/cam/image_raw/compressed", cv2.imencode(ending, stored)[1].tobytes()
    log = log_of(tmp_path / "log", compressed(data, text), topic)
    found = log[0]["cam"].image(0).numpy()
    assert np.abs(found.astype(int) - rgb).mean() <= (0 if ending == ".png" else 4)
    out = changed(log, tmp_path / "out", MIRROR)[topic][0]
    again = cv2.imdecode(np.asarray(out.data), cv2.IMREAD_UNCHANGED)
    assert out.format == text and bytes(out.data[:4]) == data[:4]
    assert (again.ndim == 2) == (channels == 1) and again.dtype == stored.dtype
    assert np.abs(again.astype(int) - cv2.imdecode(np.frombuffer(data, np.uint8), -1)[:, ::-1]).mean() < 4


@pytest.mark.parametrize(
    ("topic", "message", "word"),
    [
        ("/cam/image_raw", image(np.zeros((24, 32), "<i4"), "32SC1"), "32SC1"),
        ("/cam/confidence", image(np.zeros((24, 32), "<f4"), "32FC1"), "32FC1"),
        ("/cam/image_raw/compressed", compressed(b"RIFF....WEBPVP8 ", "webp"), "WebP"),
        ("/cam/depth/compressedDepth", compressed(bytes(12) + b"abcd", "16UC1; compressedDepth rvl"), "RVL"),
    ],
)
def test_what_is_not_read_is_copied_or_refused_by_its_name(tmp_path: Path, topic: str, message: Any, word: str) -> None:
    log = log_of(tmp_path / "log", message, topic)
    stream = next(s for s in log[0].streams.values() if isinstance(s, Opaque))
    assert word in stream.reason and "log.exclude" in stream.remedy_here
    out = changed(log, tmp_path / "out")[topic]
    assert len(out) == 1 and np.array_equal(out[0].data, message.data)
    with pytest.raises(FusionAugError, match=word):
        MIRROR(log[0], seed=1)


def test_damaged_pictures_stop_only_what_needs_them(tmp_path: Path) -> None:
    short = image(RGB, "rgb8", data=np.zeros(100, np.uint8))
    log = log_of(tmp_path / "log", short)
    assert len(changed(log, tmp_path / "same")["/cam/image_raw"]) == 1
    with pytest.raises(FusionAugError, match=r"topic /cam/image_raw: .*: data: 100 bytes are too few for 32x24"):
        log[0]["cam"].image(0)


@pytest.mark.parametrize("cut", [4, 24, 25, 60])
def test_damaged_files_are_told_by_their_topic(tmp_path: Path, cut: int) -> None:
    """Also where only the head is left: it is copied, and refused where it would be used."""
    data, topic = cv2.imencode(".png", RGB)[1].tobytes()[:cut], "/cam/image_raw/compressed"
    log = log_of(tmp_path / "log", compressed(data, "png"), topic)
    assert bytes(changed(log, tmp_path / "same")[topic][0].data) == data
    with pytest.raises(FusionAugError, match=topic):
        MIRROR(log[0], seed=1)["cam"].image(0)


def test_opacity_in_folders(tmp_path: Path) -> None:
    log = log_of(tmp_path / "log", image(np.dstack([RGB, ALPHA]), "rgba8"))
    opacity = fa.write_log(MIRROR(log[0], seed=1), tmp_path / "folder")[0]["cam/opacity"]
    assert isinstance(opacity, fa.Opacity) and np.array_equal(opacity.image(0).numpy(), ALPHA[:, ::-1])
