"""Recorded episodes as MCAP: what a ROS 2 robot would have logged, one file for each."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from calib import CameraSensor, Joint, JointPose, Pinhole, Rig, Robot, TactileSensor, TaxelSensor, rig_to_dict
from calib.errors import CalibrationError
from calib.se3 import quaternion_from_rotation, se3
from calib.urdf_writing import robot_to_urdf
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.logs.core.robots import REFERENCE_FRAME
from fusion_aug.logs.core.whole import whole_folder
from fusion_aug.logs.mcap.file import encode, typestore
from fusion_aug.logs.mcap.new_recording import Message, write_messages
from fusion_aug.sample import Sample
from fusion_aug.streams import Action, Camera, Imu, JointState, Stream, TactileImage, Taxels, Wrench

BASE = "base"  # of what has no joints
RIG, URDF = "rig.yaml", "robot.urdf"


class McapEpisodes:
    """A folder of recordings, with what MCAP has no place for in a rig file beside them.

    Attributes:
        part: the folder while it is written.
    """

    def __init__(self, root: Path):
        self._held = ExitStack()
        self.part = self._held.enter_context(whole_folder(root))
        self._robot: str | None = None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._held.__exit__(kind, error, trace)

    def add(self, sample: Sample) -> None:
        """Write an episode."""
        try:
            urdf = robot_to_urdf(description(sample.metas[0].true_rig))
        except CalibrationError as error:
            raise ConfigError(f"mcap: {error}; use format='folder'") from None
        if self._robot is None:
            self._robot = urdf
            write_new_text(self.part / URDF, urdf)
            write_new_text(self.part / RIG, _rig_file(sample, self.part))
        elif urdf != self._robot:
            raise ConfigError(f"mcap: episode {sample.id!r}: its links are not those before; use format='folder'")
        if min(int(s.capture_times[0]) for s in sample.streams.values()) <= 0:
            raise DataError(
                f"mcap: episode {sample.id!r}: begins at 0 ns, which in ROS is no stamp; let it begin later"
            )
        path = self.part / f"{sample.id}.mcap"
        if path.exists():
            raise DataError(f"two episodes are called {sample.id!r}; a log needs ids of their own")
        write_messages(path, Messages(sample).all())

    def finish(self) -> None:
        """The folder gets its name."""
        if self._robot is None:
            raise DataError("there are no episodes to write")
        self._held.close()


def description(rig: Rig) -> Robot:
    """Links that joints move or that carry such links; without any where nothing is moved by joints."""
    moved = [n for n, f in rig.frames.items() if isinstance(f.pose, JointPose)]
    carrying = {a for n in moved for a in rig.ancestors(n)}
    roots = [f.parent for n in moved if (f := rig.frames[n]).parent is not None and not _on_joint(rig, f.parent)]
    if len(set(roots)) > 1:
        raise ConfigError(f"mcap: {roots[0]!r} and {roots[1]!r} carry a robot each; use format='folder'")
    if not roots:
        return Robot(root=BASE, edges={})
    robot = Robot.of(rig, str(roots[0]))
    links = {n: (parent, _without_limits(e)) for n, (parent, e) in robot.edges.items() if n in carrying}
    return Robot(root=robot.root, edges=links, name="robot")


def _without_limits(edge: Any) -> Any:
    """A joint whose readings may lie anywhere: a simulator's limits give way."""
    return replace(edge, lower=-math.inf, upper=math.inf) if isinstance(edge, Joint) else edge


def _on_joint(rig: Rig, frame: str) -> bool:
    return any(isinstance(rig.frames[a].pose, JointPose) for a in rig.ancestors(frame))


def _rig_file(sample: Sample, folder: Path) -> str:
    """Touch sensors, what actions are, and the robot's description."""
    rig = sample.metas[0].true_rig
    touch = {n: s for n, s in rig.sensors.items() if isinstance(s, TactileSensor | TaxelSensor) and n in sample.streams}
    parts = {}
    for name, stream in sample.of_type(Action).items():
        column = next(iter(stream.values))
        parts[f"/{name}"] = {column: [0, int(stream.values[column].shape[1])]}
        if column == "joint_position":
            parts[f"/{name}"] |= {"joints": list(stream.names)}
    content = {"urdf": URDF, "parts": parts, **rig_to_dict(Rig({}, touch))}
    for name, sensor in touch.items():
        if isinstance(sensor, TactileSensor) and sensor.background is not None:
            write_new_png(folder / f"{name}.png", sensor.background.numpy())
            content["sensors"][name]["background"] = f"{name}.png"
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)


def write_new_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture (H, W, 3) uint8 RGB."""
    path.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())


class Messages:
    """Messages of an episode, built with the types of ROS 2."""

    def __init__(self, sample: Sample):
        self.sample, self.types, self.out = sample, typestore().types, list[Message]()

    def all(self) -> list[Message]:
        """Everything, in the order of log times."""
        self._mounts()
        for name, stream in self.sample.streams.items():
            writer = next((w for kind, w in WRITERS.items() if isinstance(stream, kind)), None)
            if writer is None:
                raise ConfigError(f"mcap: stream {name!r} ({type(stream).__name__}): use format='folder'")
            writer(self, name, stream)
        return sorted(self.out, key=lambda m: (m[0], m[1]))

    def _new(self, kind: str, **values: Any) -> Any:
        return self.types[kind](**values)

    def _header(self, time: int, frame: str) -> Any:
        stamp = self._new("builtin_interfaces/msg/Time", sec=time // 10**9, nanosec=time % 10**9)
        return self._new("std_msgs/msg/Header", stamp=stamp, frame_id=frame)

    def _vector(self, v: Any, kind: str = "Vector3") -> Any:
        x, y, z = (float(c) for c in v)
        return self._new(f"geometry_msgs/msg/{kind}", x=x, y=y, z=z)

    def _add(self, time: int, topic: str, kind: str, **values: Any) -> None:
        self.out.append((time, f"/{topic}", kind, encode(self._new(kind, **values), kind)))

    def joints(self, name: str, stream: JointState) -> None:
        """Add readings of joints."""
        told = {c: stream.values[c].double().numpy() for c in ("position", "velocity", "effort") if c in stream.values}
        none = np.empty(0)
        for k, time in enumerate(stream.capture_times.tolist()):
            row = {c: told[c][k] if c in told else none for c in ("position", "velocity", "effort")}
            kind = "sensor_msgs/msg/JointState"
            self._add(time, name, kind, header=self._header(time, ""), name=list(stream.names), **row)

    def wrench(self, name: str, stream: Wrench) -> None:
        """Add forces and torques."""
        force, torque = (stream.values[c].double().numpy() for c in ("force", "torque"))
        for k, time in enumerate(stream.capture_times.tolist()):
            w = self._new("geometry_msgs/msg/Wrench", force=self._vector(force[k]), torque=self._vector(torque[k]))
            header = self._header(time, stream.frame)
            self._add(time, name, "geometry_msgs/msg/WrenchStamped", header=header, wrench=w)

    def imu(self, name: str, stream: Imu) -> None:
        """Add angular velocities and accelerations."""
        gyro, accel = (stream.values[c].double().numpy() for c in ("gyro", "accel"))
        turn, none = self._new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0), np.zeros(9)
        for k, time in enumerate(stream.capture_times.tolist()):
            self._add(
                time, name, "sensor_msgs/msg/Imu", header=self._header(time, stream.frame), orientation=turn,
                orientation_covariance=np.array([-1.0, *none[1:]]),  # -1: there is none
                angular_velocity=self._vector(gyro[k]), angular_velocity_covariance=none,
                linear_acceleration=self._vector(accel[k]), linear_acceleration_covariance=none,
            )  # fmt: skip

    def numbers(self, name: str, stream: Stream) -> None:
        """Add vectors without a header: the log time is all there is."""
        column = next(iter(stream.values))
        values = stream.values[column].double().numpy()
        width = values.shape[1]
        dimension = self._new("std_msgs/msg/MultiArrayDimension", label=column, size=width, stride=width)
        layout = self._new("std_msgs/msg/MultiArrayLayout", dim=[dimension], data_offset=0)
        for k, time in enumerate(stream.capture_times.tolist()):
            self._add(time, name, "std_msgs/msg/Float64MultiArray", layout=layout, data=values[k])

    def pictures(self, name: str, stream: Camera) -> None:
        """Add pictures as they are, and the calibration of the camera."""
        rig = self.sample.metas[0].true_rig
        if not isinstance(stream, TactileImage):
            info = self._info(name, rig)
        for k, time in enumerate(stream.capture_times.tolist()):
            header, picture = self._header(time, stream.frame), stream.image(k).numpy()
            height, width = picture.shape[:2]
            self._add(
                time, f"{name}/image", "sensor_msgs/msg/Image", header=header, height=height, width=width,
                encoding="rgb8", is_bigendian=0, step=3 * width, data=np.ascontiguousarray(picture).reshape(-1),
            )  # fmt: skip
            if not isinstance(stream, TactileImage):
                self._add(time, f"{name}/camera_info", "sensor_msgs/msg/CameraInfo", header=header, **info)

    def _info(self, name: str, rig: Rig) -> dict[str, Any]:
        """CameraInfo of a camera, without its header."""
        camera = rig.sensors.get(name)
        if not isinstance(camera, CameraSensor) or not isinstance(camera.model, Pinhole):
            raise ConfigError(f"mcap: camera {name!r}: only pinholes are written; use format='folder'")
        K = camera.model.K.numpy()
        roi = self._new("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
        return {
            "height": camera.size[0], "width": camera.size[1], "distortion_model": "plumb_bob", "d": np.zeros(5),
            "k": K.reshape(-1).copy(), "r": np.eye(3).reshape(-1), "p": np.column_stack([K, np.zeros(3)]).reshape(-1),
            "binning_x": 0, "binning_y": 0, "roi": roi,
        }  # fmt: skip

    def _mounts(self) -> None:
        """Add what is mounted on links and in the world, once, as tf_static."""
        rig = self.sample.metas[0].true_rig
        first = min(int(s.capture_times[0]) for s in self.sample.streams.values())
        described = set(description(rig).edges)
        transforms = []
        for name, frame in rig.frames.items():
            if frame.parent is None or name in described or name == REFERENCE_FRAME:
                continue
            T, parent = frame.at(None) if frame.pose is not None else se3(), frame.parent
            if parent == REFERENCE_FRAME:  # which the reader puts there
                above = rig.frames[parent]
                if above.parent is None:
                    continue
                T, parent = above.at(None) @ T, above.parent
            w, x, y, z = quaternion_from_rotation(T[:3, :3]).tolist()
            turn = self._new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)
            pose = self._new("geometry_msgs/msg/Transform", translation=self._vector(T[:3, 3]), rotation=turn)
            header = self._header(first, parent)
            kind = "geometry_msgs/msg/TransformStamped"
            transforms.append(self._new(kind, header=header, child_frame_id=name, transform=pose))
        self._add(first, "tf_static", "tf2_msgs/msg/TFMessage", transforms=transforms)


WRITERS: dict[type, Any] = {
    JointState: Messages.joints, Wrench: Messages.wrench, Imu: Messages.imu, Taxels: Messages.numbers,
    Action: Messages.numbers, Camera: Messages.pictures, TactileImage: Messages.pictures,
}  # fmt: skip
