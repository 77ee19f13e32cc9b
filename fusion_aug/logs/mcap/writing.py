"""Streams to ROS 2 messages: changed values are put into a copy of the original message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Pinhole
from calib.se3 import quaternion_from_rotation
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import JPEG_QUALITY, millimetres
from fusion_aug.logs.mcap.file import typestore
from fusion_aug.logs.mcap.messages import COLOR, LENSES
from fusion_aug.ops.color import levels_of
from fusion_aug.streams import (
    BodyPose,
    Camera,
    Depth,
    HeightMap,
    ImageStream,
    Imu,
    JointState,
    Stream,
    TactileImage,
    Taxels,
    Wrench,
)  # fmt: skip

Writer = Callable[[Any, Any, int], Any]
WRITERS: dict[type[Stream], Writer] = {}


def register_writer(kind: type[Stream]) -> Callable[[Writer], Writer]:
    """Register the function that puts an item of a kind of stream into a message."""

    def register(function: Writer) -> Writer:
        WRITERS[kind] = function
        return function

    return register


def to_message(stream: Stream, item: int, template: Any) -> Any:
    """Return the message of one item; what the stream does not hold is taken from a template.

    Raises:
        DataError: the kind of stream has no message.
    """
    for kind in type(stream).__mro__:
        if kind in WRITERS:
            return WRITERS[kind](stream, template, item)
    raise DataError(f"{type(stream).__name__} has no ROS 2 message")


def vector(v: Tensor) -> Any:
    """A geometry_msgs/Vector3."""
    return typestore().types["geometry_msgs/msg/Vector3"](*(float(x) for x in v))


def pose_parts(T: Tensor) -> tuple[Any, Any]:
    """Position and quaternion (x y z w) of a pose."""
    types = typestore().types
    w, x, y, z = (float(q) for q in quaternion_from_rotation(T[:3, :3]))
    point = types["geometry_msgs/msg/Point"](*(float(v) for v in T[:3, 3]))
    return point, types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)


@register_writer(Imu)
def imu(stream: Imu, template: Any, i: int) -> Any:
    """Write gyro and accelerometer. The orientation, which the unit derived from others, is marked as unknown."""
    unknown = np.concatenate([[-1.0], np.zeros(8)])  # as sensor_msgs/Imu defines it
    return replace(
        template, angular_velocity=vector(stream["gyro"][i]), linear_acceleration=vector(stream["accel"][i]),
        orientation=pose_parts(torch.eye(4, dtype=torch.float64))[1], orientation_covariance=unknown,
    )  # fmt: skip


@register_writer(JointState)
def joints(stream: JointState, template: Any, i: int) -> Any:
    """Write position, velocity and effort of joints."""
    values = {c: stream[c][i].to(torch.float64).numpy().copy() for c in ("position", "velocity", "effort")
              if c in stream.values}  # fmt: skip
    return replace(template, name=list(stream.names), **values)


@register_writer(Wrench)
def wrench(stream: Wrench, template: Any, i: int) -> Any:
    """Write force N and torque Nm."""
    wrench_message = replace(template.wrench, force=vector(stream["force"][i]), torque=vector(stream["torque"][i]))
    return replace(template, wrench=wrench_message)


@register_writer(BodyPose)
def body_pose(stream: BodyPose, template: Any, i: int) -> Any:
    """Write the pose of a body, and its twist where the message is an Odometry."""
    point, quaternion = pose_parts(stream["pose"][i])
    if not hasattr(template, "twist"):
        return replace(template, pose=replace(template.pose, position=point, orientation=quaternion))
    pose = replace(template.pose.pose, position=point, orientation=quaternion)
    twist = replace(
        template.twist.twist, linear=vector(stream["velocity"][i]), angular=vector(stream["angular_velocity"][i])
    )
    return replace(template, pose=replace(template.pose, pose=pose), twist=replace(template.twist, twist=twist))


@register_writer(Taxels)
def taxels(stream: Taxels, template: Any, i: int) -> Any:
    """Write forces as the numbers of a MultiArray, in their original order."""
    return replace(template, data=stream["force"][i].numpy().astype(np.asarray(template.data).dtype))


@register_writer(ImageStream)
def picture(stream: ImageStream, template: Any, i: int) -> Any:
    """Write a picture in the encoding of its source."""
    if hasattr(template, "format"):
        return replace(template, data=_compressed(stream, i, str(template.format)))
    image = stream.image(i).detach().cpu()
    height, width = image.shape[:2]
    encoding = str(template.encoding)
    if isinstance(stream, Depth | HeightMap):
        known = torch.where(torch.isfinite(image), image, torch.zeros_like(image)).numpy()
        pixels = millimetres(known).astype("<u2") if encoding == "16UC1" else known.astype("<f4")
    elif isinstance(stream, Camera | TactileImage):
        pixels = levels_of(image, stream.title(i)).numpy()
        if COLOR[encoding] == 1:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        elif COLOR[encoding] == 4:
            pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], 2)
        if encoding.startswith("bgr"):
            pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    else:
        raise DataError(f"{type(stream).__name__} has no ROS 2 message")
    data = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8)
    return replace(template, height=height, width=width, step=len(data) // height, is_bigendian=0, data=data)


def _compressed(stream: ImageStream, i: int, form: str) -> np.ndarray:
    image = stream.image(i).detach().cpu()
    if isinstance(stream, Depth | HeightMap):
        return cv2.imencode(".png", millimetres(image.numpy()))[1].reshape(-1)
    bgr = cv2.cvtColor(levels_of(image, stream.title(i)).numpy(), cv2.COLOR_RGB2BGR)
    if "png" in form:
        return cv2.imencode(".png", bgr)[1].reshape(-1)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].reshape(-1)


def camera_info(camera: CameraSensor, template: Any) -> Any:
    """Write the CameraInfo of a camera whose pixel map is affine without skew, so that K holds it."""
    K = camera.A @ camera.model.K
    K = K / K[2, 2]
    lens = camera.model.lens
    names = {cls.lens: name for name, cls in reversed(LENSES.items())}
    model = "plumb_bob" if lens == Pinhole.lens else names[lens]
    if lens != Pinhole.lens and len(camera.model.distortion) > 5 and model == "plumb_bob":
        model = "rational_polynomial"
    coefficients = camera.model.distortion if lens != Pinhole.lens else torch.zeros(5, dtype=torch.float64)
    P = torch.cat([K, torch.zeros(3, 1, dtype=torch.float64)], 1)
    return replace(
        template, height=camera.size[0], width=camera.size[1], distortion_model=model, d=coefficients.numpy().copy(),
        k=K.numpy().reshape(-1).copy(), p=P.numpy().reshape(-1).copy(),
    )  # fmt: skip
