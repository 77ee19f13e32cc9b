"""ROS 2 messages to streams: one reader per type. Their writers are in ``writing``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import BrownConrady, CameraModel, CameraSensor, KannalaBrandt, UnknownLens
from calib.se3 import rotation_from_quaternion, se3
from calib.sensors import pinhole_sensor
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import MAX_PIXELS, decoded_picture
from fusion_aug.logs.mcap.file import decode
from fusion_aug.streams import (
    BodyPose,
    Camera,
    Depth,
    ImageStream,
    Imu,
    JointState,
    Stream,
    Wrench,
)  # fmt: skip
from fusion_aug.streams.families import Fault, Photometric, PointOp
from fusion_aug.streams.source import decoder

COLOR = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
DEPTH = {"16UC1": np.uint16, "32FC1": np.float32}
LENSES: dict[str, Any] = {"plumb_bob": BrownConrady, "rational_polynomial": BrownConrady, "equidistant": KannalaBrandt,
          "fisheye": KannalaBrandt}  # fmt: skip
FIELDS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # of PointCloud2
NAN = float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class RawMessages(Stream):
    """Messages of an unknown type. They are copied; a transform that would have to change them is refused."""

    invariant_to = (Photometric, PointOp, Fault)
    remedy = "leave the topic out with log.exclude"


@dataclass(frozen=True)
class ReceivedMessage:
    """One decoded message with its times.

    Attributes:
        message: as rosbags returns it; None for pictures and clouds, which are decoded later.
        source: its place in the file. frame: its frame_id. time: header stamp, else log time, ns. log_time: ns.
        place: among the topic's messages of the window, in the order of log times.
    """

    message: Any
    source: Any
    frame: str
    time: Any
    log_time: int
    position_in_topic: int = 0


Reader = Callable[[list[ReceivedMessage], dict[str, Any], str], Stream]
READERS: dict[str, Reader] = {}


def register_reader(kind: str) -> Callable[[Reader], Reader]:
    """Register the reader of a message type."""

    def register(function: Reader) -> Reader:
        READERS[kind] = function
        return function

    return register


def common_fields(messages: list[ReceivedMessage], frame: str) -> dict[str, Any]:
    """Return the fields that every stream has: frame, capture times, receive times where these differ, records."""
    times = torch.tensor([h.time for h in messages])
    logged = torch.tensor([h.log_time for h in messages])
    return {
        "frame": frame,
        "capture_times": times,
        "receive_times": None if torch.equal(times, logged) else logged,
        "records": tuple(str(h.position_in_topic) for h in messages),
    }


def _vectors(rows: list[Any]) -> Tensor:
    return torch.tensor([[r.x, r.y, r.z] for r in rows], dtype=torch.float64).reshape(-1, 3)


@register_reader("sensor_msgs/msg/Imu")
def imu(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read a gyro (rad/s) and an accelerometer (m/s^2)."""
    values = {
        "gyro": _vectors([h.message.angular_velocity for h in messages]),
        "accel": _vectors([h.message.linear_acceleration for h in messages]),
    }
    return Imu(**stream_fields, values=values)


@register_reader("sensor_msgs/msg/JointState")
def joints(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read joint states: position, velocity, effort; every message of a topic must name the same joints."""
    names = tuple(str(n) for n in messages[0].message.name)
    if any(tuple(h.message.name) != names for h in messages):
        raise DataError(f"{where}: name: the joints of the messages differ, which is not supported")
    values = {}
    for column in ("position", "velocity", "effort"):
        rows = [getattr(h.message, column) for h in messages]
        lengths = {len(r) for r in rows}
        if lengths == {len(names)}:
            values[column] = torch.from_numpy(np.stack(rows).astype(np.float64))
        elif lengths != {0}:
            raise DataError(f"{where}: {column}: {sorted(lengths)} numbers for {len(names)} joints")
    return JointState(**stream_fields, names=names, values=values)


@register_reader("geometry_msgs/msg/WrenchStamped")
def wrench(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read a wrench: force N, torque Nm, in the frame of the message."""
    values = {
        "force": _vectors([h.message.wrench.force for h in messages]),
        "torque": _vectors([h.message.wrench.torque for h in messages]),
    }
    return Wrench(**stream_fields, values=values)


@register_reader("nav_msgs/msg/Odometry")
def odometry(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read an odometry: the integrated pose, and the twist in the child frame (m/s, rad/s)."""
    twists = [h.message.twist.twist for h in messages]
    values = {
        "pose": torch.stack(
            [T_of(h.message.pose.pose.position, h.message.pose.pose.orientation, where) for h in messages]
        ),
        "velocity": _vectors([t.linear for t in twists]),
        "angular_velocity": _vectors([t.angular for t in twists]),
    }
    return BodyPose(**stream_fields, child=str(messages[0].message.child_frame_id).strip("/"), values=values)


@register_reader("geometry_msgs/msg/PoseStamped")
def pose(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read the pose of a body in the message's frame."""
    poses = [T_of(h.message.pose.position, h.message.pose.orientation, where) for h in messages]
    return BodyPose(**stream_fields, values={"pose": torch.stack(poses)})


@register_reader("std_msgs/msg/Float32MultiArray")
@register_reader("std_msgs/msg/Float64MultiArray")
def numbers(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read numbers without a declared meaning; a rig may declare them as forces of taxels."""
    rows = [np.asarray(h.message.data, dtype=np.float64) for h in messages]
    same = len({len(r) for r in rows}) == 1
    return RawMessages(**stream_fields, values={"value": torch.from_numpy(np.stack(rows))} if same else {})


@register_reader("sensor_msgs/msg/Image")
@register_reader("sensor_msgs/msg/CompressedImage")
def image(messages: list[ReceivedMessage], stream_fields: dict[str, Any], where: str) -> Stream:
    """Read pictures, or depth by their encoding. They are decoded when used."""
    first = messages[0].source.value
    kind: type[ImageStream] = Depth if first.ndim == 2 else Camera
    items = tuple(h.source for h in messages)
    return kind(**stream_fields, items=items)


def T_of(position: Any, rotation: Any, where: str) -> Tensor:
    """Return a pose (4, 4) from a ROS position and quaternion (x y z w).

    Raises:
        DataError: the quaternion is not one; ``where`` names file and topic.
    """
    wxyz = [rotation.w, rotation.x, rotation.y, rotation.z]
    if not math.isfinite(sum(wxyz)) or sum(q * q for q in wxyz) < 1e-12:
        raise DataError(f"{where}: the rotation {wxyz} (w x y z) is not a quaternion")
    return se3(rotation_from_quaternion(wxyz), [position.x, position.y, position.z])


def camera_sensor(info: Any, frame: str, where: str) -> CameraSensor:
    """A camera from a CameraInfo message. A negative focal length of an undistorted camera is a flipped picture.

    Raises:
        DataError: binning, a region of interest, or a lens model that is not supported.
    """
    size = (int(info.height), int(info.width))
    if (
        max(info.binning_x, info.binning_y) > 1
        or info.roi.x_offset
        or info.roi.y_offset
        or ((int(info.roi.height), int(info.roi.width)) not in ((0, 0), size))
    ):
        raise DataError(f"{where}: binning and regions of interest are not supported")
    K = torch.from_numpy(np.asarray(info.k, dtype=np.float64).reshape(3, 3).copy())
    if not bool(K.any()):  # by this ROS drivers mark a camera that is not calibrated
        return CameraSensor(frame=frame, model=UnknownLens.of(size))
    distortion = np.asarray(info.d, dtype=np.float64)
    is_distorted, is_flipped = bool(distortion.any()), bool((K.diagonal()[:2] < 0).any())
    invertible = bool(torch.isfinite(K).all()) and float(torch.linalg.det(K)) != 0
    if not invertible or (is_distorted and is_flipped):
        raise DataError(f"{where}: k: expected positive focal lengths, got {K.reshape(-1).tolist()}")
    if not is_distorted:
        return pinhole_sensor(frame, K, size)
    if info.distortion_model not in LENSES:
        raise DataError(f"{where}: distortion_model: {info.distortion_model!r} is not one of {', '.join(LENSES)}")
    lens: type[CameraModel] = LENSES[info.distortion_model]
    return CameraSensor(frame=frame, model=lens(K=K, size=size, distortion=torch.from_numpy(distortion.copy())))


# --- what is decoded when used ---------------------------------------------------------------------------------------
@decoder("ros_image")
def decode_picture(path: Path, raw: bytes, options: dict[str, Any]) -> Tensor:
    """RGB (H, W, 3) uint8, or depth (H, W) float32 metres, of an Image message."""
    where = f"{path}: topic {options['topic']}"
    message = decode(raw, options["type"], options["definition"], where)
    if options["type"].endswith("CompressedImage"):
        picture = decoded_picture(bytes(message.data), cv2.IMREAD_UNCHANGED, f"{where}: data")
        if picture is None:
            raise DataError(f"{where}: data: the picture is damaged ({message.format})")
        if picture.ndim == 2 and picture.dtype == np.uint16:
            return torch.from_numpy(picture.astype(np.float32) / 1000)
        return torch.from_numpy(cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB if picture.ndim == 2 else cv2.COLOR_BGR2RGB))
    height, width, encoding = int(message.height), int(message.width), str(message.encoding)
    if height * width > MAX_PIXELS:
        raise DataError(f"{where}: image size {width}x{height} is out of bounds")
    if encoding in DEPTH:
        kind = np.dtype(DEPTH[encoding]).newbyteorder(">" if message.is_bigendian else "<")
        depth = _rows(message, kind.itemsize, where).view(kind).reshape(height, width).astype(np.float32)
        return torch.from_numpy(np.nan_to_num(depth / (1000 if encoding == "16UC1" else 1), nan=0.0))
    if encoding not in COLOR:
        raise DataError(f"{where}: encoding: {encoding!r} is not one of {', '.join((*COLOR, *DEPTH))}")
    channels = COLOR[encoding]
    picture = _rows(message, channels, where).reshape(height, width, channels)
    if channels == 1:
        return torch.from_numpy(np.repeat(picture, 3, 2))
    picture = picture[..., :3]
    return torch.from_numpy((picture[..., ::-1] if encoding.startswith("bgr") else picture).copy())


def _rows(message: Any, pixel: int, where: str) -> np.ndarray:
    """Bytes of a picture without the padding of its rows."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    if step < width * pixel or len(message.data) < step * height:
        raise DataError(f"{where}: data: {len(message.data)} bytes are too few for {width}x{height} pixels")
    rows = np.asarray(message.data[: step * height]).reshape(height, step)[:, : width * pixel]
    return np.ascontiguousarray(rows).reshape(-1)
