"""The arm's recording as MCAP: what a ROS 2 robot would have logged."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from calib.se3 import quaternion_from_rotation, se3
from fusion_aug.logs.core.files import millimetres
from fusion_aug.logs.mcap.bag import BagFile, write_bag
from fusion_aug.logs.mcap.file import McapFile, encode, typestore
from fusion_aug.logs.mcap.new_recording import Message, write_messages
from fusion_aug.synth.arm.gels import picture
from fusion_aug.synth.arm.recording import ArmLog
from fusion_aug.synth.arm.scene import JOINTS

LATENCY = {"cameras": 18_000_000, "gels": 9_000_000, "other": 400_000}  # ns from capture to log
QUALITY = 88  # of JPEG pictures


class Messages:
    """Messages of a recording, built with the types of ROS 2."""

    def __init__(self, log: ArmLog):
        self.log, self.types, self.out = log, typestore().types, list[Message]()

    def header(self, stamp: int, frame: str) -> Any:
        """A std_msgs/Header."""
        time = self.types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        return self.types["std_msgs/msg/Header"](stamp=time, frame_id=frame)

    def vector(self, v: Any) -> Any:
        """A geometry_msgs/Vector3."""
        return self.types["geometry_msgs/msg/Vector3"](*(float(x) for x in v))

    def add(self, stamp: int, latency: int, topic: str, kind: str, **values: Any) -> None:
        """Add a message."""
        self.out.append((int(stamp) + latency, topic, kind, encode(self.types[kind](**values), kind)))

    def joints(self) -> None:
        """Add the readings of all joints."""
        v, steps = self.log.arm.values, self.log.sample_steps("joints")
        for stamp, k in zip(self.log.stamps(steps).tolist(), steps.tolist(), strict=True):
            self.add(
                stamp, LATENCY["other"], "/joint_states", "sensor_msgs/msg/JointState", header=self.header(stamp, ""),
                name=list(JOINTS), position=v["position"][k], velocity=v["velocity"][k], effort=v["effort"][k],
            )  # fmt: skip

    def forces(self) -> None:
        """Add wrench, inertial unit and taxels."""
        v, none = self.log.arm.values, np.zeros(9)
        quaternion = self.types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
        steps = self.log.sample_steps("wrench")
        for stamp, k in zip(self.log.stamps(steps).tolist(), steps.tolist(), strict=True):
            wrench = self.types["geometry_msgs/msg/Wrench"](
                force=self.vector(v["force"][k]), torque=self.vector(v["torque"][k])
            )
            self.add(stamp, LATENCY["other"], "/wrench", "geometry_msgs/msg/WrenchStamped",
                     header=self.header(stamp, "ft"), wrench=wrench)  # fmt: skip
        steps = self.log.sample_steps("imu")
        for stamp, k in zip(self.log.stamps(steps).tolist(), steps.tolist(), strict=True):
            self.add(
                stamp, LATENCY["other"], "/imu", "sensor_msgs/msg/Imu", header=self.header(stamp, "imu"),
                orientation=quaternion, orientation_covariance=np.array([-1.0, *none[1:]]),  # -1: there is none
                angular_velocity=self.vector(v["gyro"][k]), angular_velocity_covariance=none,
                linear_acceleration=self.vector(v["accel"][k]), linear_acceleration_covariance=none,
            )  # fmt: skip
        steps = self.log.sample_steps("taxels")
        dimension = self.types["std_msgs/msg/MultiArrayDimension"](label="taxel", size=16, stride=16)
        layout = self.types["std_msgs/msg/MultiArrayLayout"](dim=[dimension], data_offset=0)
        for stamp, k in zip(self.log.stamps(steps).tolist(), steps.tolist(), strict=True):
            for side in ("left", "right"):  # without a header: the log time is all there is
                self.add(stamp, 0, f"/taxel_{side}", "std_msgs/msg/Float64MultiArray", layout=layout,
                         data=v[f"taxel_{side}"][k])  # fmt: skip

    def hand(self) -> None:
        """Add the pose of the hand in the base."""
        steps = self.log.sample_steps("hand")
        for stamp, k in zip(self.log.stamps(steps).tolist(), steps.tolist(), strict=True):
            x, y, z, qw, qx, qy, qz = self.log.arm.bodies["hand"][k].tolist()
            pose = self.types["geometry_msgs/msg/Pose"](
                position=self.types["geometry_msgs/msg/Point"](x, y, z),
                orientation=self.types["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw),
            )
            self.add(stamp, LATENCY["other"], "/hand_pose", "geometry_msgs/msg/PoseStamped",
                     header=self.header(stamp, "base"), pose=pose)  # fmt: skip

    def pictures(self) -> None:
        """Add colour and depth of the cameras with their infos, and pictures and heights of the gels."""
        stamps = self.log.stamps(self.log.sample_steps("cameras")).tolist()
        for name, views in self.log.views.items():
            info = self.info(name)
            for stamp, view in zip(stamps, views, strict=True):
                header = self.header(stamp, name)
                bgr = cv2.cvtColor(view.picture, cv2.COLOR_RGB2BGR)
                jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].reshape(-1)
                png = cv2.imencode(".png", millimetres(view.depth))[1].reshape(-1)
                late, kind = LATENCY["cameras"], "sensor_msgs/msg/CompressedImage"
                self.add(stamp, late, f"/{name}/image/compressed", kind, header=header, format="jpeg", data=jpeg)
                self.add(stamp, late, f"/{name}/depth/compressed", kind, header=header, format="16UC1; png", data=png)
                self.add(stamp, late, f"/{name}/camera_info", "sensor_msgs/msg/CameraInfo", header=header, **info)
        stamps = self.log.stamps(self.log.sample_steps("gels")).tolist()
        for name, surfaces in self.log.surfaces.items():
            for k, (stamp, heights) in enumerate(zip(stamps, surfaces, strict=True)):
                header = self.header(stamp, name)
                shown = cv2.cvtColor(picture(name, heights, k).numpy(), cv2.COLOR_RGB2BGR)
                png = cv2.imencode(".png", shown)[1].reshape(-1)
                self.add(stamp, LATENCY["gels"], f"/{name}/image/compressed", "sensor_msgs/msg/CompressedImage",
                         header=header, format="png", data=png)  # fmt: skip
                raw = np.frombuffer(heights.astype("<f4").tobytes(), np.uint8)
                self.add(stamp, LATENCY["gels"], f"/{name}/height", "sensor_msgs/msg/Image", header=header,
                         height=heights.shape[0], width=heights.shape[1], encoding="32FC1", is_bigendian=0,
                         step=4 * heights.shape[1], data=raw)  # fmt: skip

    def info(self, name: str) -> dict[str, Any]:
        """CameraInfo of a camera, without its header."""
        camera = self.log.rig.camera(name)
        K = camera.model.K.numpy()
        roi = self.types["sensor_msgs/msg/RegionOfInterest"](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        )
        P = np.concatenate([K, np.zeros((3, 1))], 1)
        return {
            "height": camera.size[0], "width": camera.size[1], "distortion_model": "plumb_bob", "d": np.zeros(5),
            "k": K.reshape(-1).copy(), "r": np.eye(3).reshape(-1), "p": P.reshape(-1), "binning_x": 0,
            "binning_y": 0, "roi": roi,
        }  # fmt: skip

    def mounts(self) -> None:
        """Add the mountings of the sensors on the links, once, as tf_static."""
        first = int(self.log.stamps(np.array([0]))[0])
        transforms = []
        for name, frame in self.log.rig.frames.items():
            if frame.parent is None:
                continue
            T: torch.Tensor = frame.at(None) if frame.pose is not None else se3()
            w, x, y, z = quaternion_from_rotation(T[:3, :3]).tolist()
            transform = self.types["geometry_msgs/msg/Transform"](
                translation=self.vector(T[:3, 3]),
                rotation=self.types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w),
            )
            transforms.append(
                self.types["geometry_msgs/msg/TransformStamped"](
                    header=self.header(first, frame.parent), child_frame_id=name, transform=transform
                )
            )
        self.add(first, 0, "/tf_static", "tf2_msgs/msg/TFMessage", transforms=transforms)

    def all(self) -> list[Message]:
        """Everything, in the order of log times."""
        for part in (self.mounts, self.joints, self.forces, self.hand, self.pictures):
            part()
        return sorted(self.out, key=lambda m: (m[0], m[1]))


def write_mcap(log: ArmLog, folder: Path) -> Path:
    """Write ``arm.mcap`` and ``metadata.yaml``; the same bytes every time."""
    path, messages = folder / "arm.mcap", Messages(log).all()
    write_messages(path, messages)
    counts = Counter(topic for _, topic, _, _ in messages)
    written = BagFile(path.name, messages[0][0], messages[-1][0], counts)
    write_bag(folder, [written], McapFile(path).summary()[0], {})
    return path
