"""Numbers of ROS messages as NumPy arrays, and what a mirror of y does to them."""

from __future__ import annotations

from typing import Any

import numpy as np
from ros_messages import STORE
from scipy.spatial.transform import Rotation

import fusion_aug as fa

S = np.diag([1.0, -1.0, 1.0])
MIRROR = fa.MirrorScene(axis="y")


def xyz(v: Any) -> np.ndarray:
    return np.array([v.x, v.y, v.z])


def xyzw(q: Any) -> np.ndarray:
    return np.array([q.x, q.y, q.z, q.w])


def rotation(q: Any) -> np.ndarray:
    return Rotation.from_quat(xyzw(q)).as_matrix()


def quaternion(q: np.ndarray) -> Any:
    x, y, z, w = (float(v) for v in q)
    return STORE.types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w)


def square(c: Any) -> np.ndarray:
    n = round(len(c) ** 0.5)
    return np.asarray(c).reshape(n, n)
