"""Topics of videos: copied, decoded like FFmpeg does, refused where pictures had to change."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ros_pictures import T0, bag, changed, header, info, make, picture, register, tf

import fusion_aug as fa
from fusion_aug.errors import FusionAugError
from fusion_aug.logs.mcap.video import VideoPackets

av = pytest.importorskip("av")
FOXGLOVE = "foxglove_msgs/msg/CompressedVideo"
FFMPEG = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
DEFINITIONS = {
    FOXGLOVE: "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    FFMPEG: "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
    "bool is_bigendian\nuint8[] data\n",
}
SIZE, COUNT, STEP = (48, 64), 12, 33_000_000


def coded(encoder: str, options: dict[str, str]) -> tuple[list[bytes], list[bool], list[np.ndarray]]:
    """Packets of moving pictures, which of them are key pictures, and what a decoder of its own makes of them."""
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
    context.time_base, context.gop_size, context.max_b_frames = Fraction(1, 30), 5, 0
    context.options = options
    packets = []
    for k in range(COUNT):
        frame = av.VideoFrame.from_ndarray(np.roll(picture(*SIZE), 3 * k, 1), format="rgb24")
        frame.pts = k
        packets += context.encode(frame)
    packets += context.encode(None)
    data, keys = [bytes(p) for p in packets], [bool(p.is_keyframe) for p in packets]
    decoder = av.CodecContext.create(context.name.replace("libx264", "h264").replace("libx265", "hevc"), "r")
    frames = [f for d in [*map(av.Packet, data), None] for f in decoder.decode(d)]
    return data, keys, [f.to_ndarray(format="rgb24") for f in frames]


def log_of(folder: Path, kind: str, encoder: str, options: dict[str, str]) -> tuple[Any, list[np.ndarray]]:
    register(DEFINITIONS[kind], kind)
    data, keys, frames = coded(encoder, options)
    messages: list[Any] = [("/tf_static", T0, tf("base_link", "cam")), ("/cam/camera_info", T0, info(SIZE))]
    for k, (packet, is_key) in enumerate(zip(data, keys, strict=True)):
        time, numbers = T0 + k * STEP, np.frombuffer(packet, np.uint8)
        if kind == FOXGLOVE:
            name = {"libx264": "h264", "libx265": "h265"}[encoder]
            message = make("foxglove_msgs/CompressedVideo", timestamp=header(time, "").stamp, frame_id="cam",
                           data=numbers, format=name)  # fmt: skip
        else:
            message = make("ffmpeg_image_transport_msgs/FFMPEGPacket", header=header(time, "cam"), width=64, height=48,
                           encoding=encoder, pts=k, flags=int(is_key), is_bigendian=False, data=numbers)  # fmt: skip
        messages.append(("/cam/video", time, message))
    return fa.open_log("mcap", bag(folder, messages)), frames


X264 = {"preset": "ultrafast", "tune": "zerolatency"}
CASES = {
    "foxglove-h264": (FOXGLOVE, "libx264", X264),
    "ffmpeg-h264": (FFMPEG, "libx264", X264),
    "foxglove-h265": (FOXGLOVE, "libx265", {"preset": "ultrafast", "x265-params": "keyint=5:bframes=0:log-level=none"}),
}


@pytest.mark.parametrize("made", CASES)
def test_pictures_are_decoded_in_any_order(tmp_path: Path, made: str) -> None:
    log, frames = log_of(tmp_path / "log", *CASES[made])
    stream = log[0]["cam/video"]
    assert isinstance(stream, VideoPackets) and len(stream) == COUNT == len(frames) and stream.frame == "cam"
    for k in (0, 1, 2, 8, 7, 11, 3, 4):
        assert np.array_equal(stream.image(k).numpy(), frames[k])
    assert np.array_equal(stream.take_items(torch.tensor([5])).image(0).numpy(), frames[5])


def test_they_are_copied_or_refused(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path / "log", *CASES["ffmpeg-h264"])
    source = changed(log, tmp_path / "same")["/cam/video"]
    turned = changed(log, tmp_path / "turned", fa.RotateScene(yaw_deg=10.0))["/cam/video"]
    warped = changed(log, tmp_path / "warped", fa.SpeedWarp(speed=2.0))["/cam/video"]
    assert all(np.array_equal(a.data, b.data) for a, b in zip(source, turned, strict=True))
    assert all(np.array_equal(a.data, b.data) for a, b in zip(source, warped, strict=True))
    stamps = [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec - T0 for m in warped]
    assert stamps[-1] == pytest.approx((COUNT - 1) * STEP / 2, abs=2)
    for transform in (fa.MirrorScene(axis="y", p=1.0), fa.Brightness(factor=0.5), fa.Resize(size=(24, 32))):
        with pytest.raises(FusionAugError, match=r"/cam/video.*those before.*CompressedImage"):
            transform(log[0], seed=1)


def test_damage_is_told_by_its_place(tmp_path: Path) -> None:
    log, _ = log_of(tmp_path / "log", *CASES["ffmpeg-h264"])
    path = next((tmp_path / "log").glob("*.mcap"))
    stream = log[0]["cam/video"]
    late = type(stream.items[0])(stream.items[0].packets[1:4], 2)
    with pytest.raises(FusionAugError, match=f"{path.name}: topic /cam/video: no key picture comes before packet 2"):
        replace(stream.take_items(torch.tensor([0])), items=(late,)).image(0)
