"""Rules of messages about bodies: poses, paths, twists, accelerations, points."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion_aug.logs.mcap.file import stamp_of
from fusion_aug.logs.mcap.messages import ReceivedMessage
from fusion_aug.logs.mcap.rules import SHIFT, Field, MessageRules
from fusion_aug.logs.mcap.typed import add_rules
from fusion_aug.streams import BodyAcceleration, BodyPose, BodyTwist, PointReading, PosePath, RotationReading

GEOMETRY = "geometry_msgs/msg/"
POSE, TWIST = "in the frame of the header", "in the child frame; of its origin"
AXES = "about the fixed axes of the frame of the header"


def _twist(path: str, why: str = "in the frame of the header; of its origin") -> tuple[Field, ...]:
    prefix = f"{path}." if path else ""
    return (
        Field("velocity", f"{prefix}linear", "vector", (SHIFT,), why=why),
        Field("angular_velocity", f"{prefix}angular", "vector", why=why),
    )


def _acceleration(path: str) -> tuple[Field, ...]:
    return Field("acceleration", f"{path}linear", "vector"), Field("angular_acceleration", f"{path}angular", "vector")


def stamps_of_rows(values: dict[str, Any], messages: list[ReceivedMessage]) -> dict[str, Any]:
    """The columns of a path with the seconds from its stamp to those of its poses; 0 of poses that have none."""
    after = [
        (stamp - int(h.time)) * 1e-9 if (stamp := stamp_of(p) or 0) else 0.0 for h in messages for p in h.message.poses
    ]
    return values | {"time": np.array(after, dtype=np.float64)}


def look_at_frames(messages: list[Any]) -> str:
    """Why a path is not understood: its poses are in other frames than itself."""
    for m in messages:
        for p in m.poses:
            if str(p.header.frame_id) not in ("", str(m.header.frame_id)):
                return f"a pose in it is in frame {p.header.frame_id!r}, and itself in {m.header.frame_id!r}"
    return ""


add_rules(
    MessageRules(
        "nav_msgs/msg/Odometry", BodyPose,
        (
            Field("pose", "pose.pose", "pose", why=POSE),
            Field("pose_covariance", "pose.covariance", "square", why=AXES),
            *_twist("twist.twist", TWIST),
            Field("twist_covariance", "twist.covariance", "square", (SHIFT,), why="in the child frame"),
        ),
        {}, child="child_frame_id",
    )
)  # fmt: skip
add_rules(MessageRules(f"{GEOMETRY}PoseStamped", BodyPose, (Field("pose", "pose", "pose", why=POSE),), {}))
add_rules(
    MessageRules(
        f"{GEOMETRY}PoseWithCovarianceStamped", BodyPose,
        (
            Field("pose", "pose.pose", "pose", why=POSE),
            Field("pose_covariance", "pose.covariance", "square", why=AXES),
        ),
        {},
    )
)  # fmt: skip
add_rules(
    MessageRules(
        f"{GEOMETRY}TransformStamped", BodyPose, (Field("pose", "transform", "transform", why=POSE),), {},
        child="child_frame_id",
    )
)  # fmt: skip
add_rules(MessageRules(f"{GEOMETRY}PoseArray", PosePath, (Field("pose", "", "pose", why=POSE),), {}, rows="poses"))
add_rules(
    MessageRules(
        "nav_msgs/msg/Path", PosePath, (Field("pose", "pose", "pose", why=POSE),), {},
        rows="poses", row_stamps=True, adjust=stamps_of_rows, look=look_at_frames,
    )
)  # fmt: skip
add_rules(MessageRules(f"{GEOMETRY}Twist", BodyTwist, _twist("", "of the robot's base"), {}))
add_rules(MessageRules(f"{GEOMETRY}TwistStamped", BodyTwist, _twist("twist"), {}))
for kind, path in (("TwistWithCovariance", ""), ("TwistWithCovarianceStamped", "twist.")):
    both = Field("covariance", f"{path}covariance", "square", (SHIFT,), why="of both")
    add_rules(MessageRules(f"{GEOMETRY}{kind}", BodyTwist, (*_twist(f"{path}twist"), both), {}))
add_rules(MessageRules(f"{GEOMETRY}Accel", BodyAcceleration, _acceleration(""), {}))
add_rules(MessageRules(f"{GEOMETRY}AccelStamped", BodyAcceleration, _acceleration("accel."), {}))
for kind, path in (("AccelWithCovariance", ""), ("AccelWithCovarianceStamped", "accel.")):
    both = Field("covariance", f"{path}covariance", "square", why="of both")
    add_rules(MessageRules(f"{GEOMETRY}{kind}", BodyAcceleration, (*_acceleration(f"{path}accel."), both), {}))
add_rules(MessageRules(f"{GEOMETRY}PointStamped", PointReading, (Field("position", "point", "vector", why=POSE),), {}))
add_rules(
    MessageRules(
        f"{GEOMETRY}QuaternionStamped", RotationReading, (Field("rotation", "quaternion", "quaternion", why=POSE),), {}
    )
)
