"""What a small robot records (a camera, a LiDAR, an inertial unit, joints, poses, texts), and runs over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ros_bags import MS, T0, Sent, header, image, imu, make, tf, time
from steps import step_words

from fusion_aug.cli import main

SLOWER = {"_target_": "fusion_aug.SpeedWarp", "speed": 0.8}
MIRROR = {"_target_": "fusion_aug.MirrorScene", "axis": "y"}
YAW = {"_target_": "fusion_aug.RotateScene", "yaw_deg": 20}
BRIGHTER = {"_target_": "fusion_aug.Brightness", "factor": 1.2}
STILL = "log.no_geometry=[/text]"
ARMLESS = "log.exclude=[/joint_states]"  # whose mirror image would ask for a description of the robot


def robot(count: int = 6) -> list[Sent]:
    """Its messages over ``count`` times 50 ms."""
    rng = np.random.default_rng(3)
    sent: list[Sent] = [("/tf_static", T0, tf(T0, "base_link", c, 0.1, 0.2, z)) for c, z in (("cam", 1), ("lidar", 2))]
    fields = [make("sensor_msgs/PointField", name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")]
    for k in range(count):
        t = T0 + k * 50 * MS
        lens = {"d": np.array([0.1, -0.02, 0.001, 0.002, 0.0]), "k": np.array([30.0, 0, 14, 0, 31, 11, 0, 0, 1]),
                "r": np.eye(3).ravel(), "p": np.array([30.0, 0, 14, 0, 0, 31, 11, 0, 0, 0, 1, 0])}  # fmt: skip
        info = make("sensor_msgs/CameraInfo", header=header(t, "cam"), height=24, width=32,
                    distortion_model="plumb_bob", **lens)  # fmt: skip
        points = rng.normal(size=(5, 3)).astype(np.float32) * 4
        shape: dict[str, Any] = {"height": 1, "width": 5, "fields": fields, "point_step": 12, "row_step": 60}
        data = np.frombuffer(points.tobytes(), np.uint8)
        cloud = make("sensor_msgs/PointCloud2", header=header(t, "lidar"), **shape, data=data, is_dense=True)
        joints = make("sensor_msgs/JointState", header=header(t), name=["a", "b"], position=np.array([0.01 * k, 0.5]))
        sent += [
            ("/cam/image_raw", t + MS, image(t, rng.integers(0, 256, (24, 32, 3), np.uint8), "rgb8")),
            ("/cam/camera_info", t + 2 * MS, info),
            ("/points", t + 3 * MS, cloud),
            ("/imu", t + 4 * MS, imu(t + 4 * MS)),
            ("/joint_states", t + 5 * MS, joints),
            ("/tf", t + 6 * MS, tf(t, "odom", "base_link", 0.02 * k, 0.01, 0)),
            ("/text", t + 7 * MS, make("std_msgs/String", data=f"line {k}")),
            ("/clock", t + 8 * MS, make("rosgraph_msgs/Clock", clock=time(t))),
        ]
    return sent


def run(root: Path, out: Path, steps: list[Any], *words: str, log: str = "rosbag", check: bool = True) -> int:
    """``fusion-aug run`` with a pipeline of these transforms, and its check."""
    chosen = step_words({f"step{i}": s for i, s in enumerate(steps)})
    code = main(["run", f"log={log}", f"log.root={root}", f"out={out}", *chosen, *words])
    return code or (main(["check", str(out)]) if check else 0)
