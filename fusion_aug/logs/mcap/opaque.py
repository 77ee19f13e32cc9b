"""Topics whose messages are not understood: what they would be, why they are not, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fusion_aug.errors import DataError
from fusion_aug.logs.mcap.definitions import ENCODINGS, DamagedDefinition, types_of
from fusion_aug.logs.mcap.file import Channel
from fusion_aug.logs.mcap.rules import NO_MOTION
from fusion_aug.streams import Opaque
from fusion_aug.streams.opaque import LIGHT, SPACE

TEXT = "std_msgs/msg/String"  # may be the description of a robot, or an order to turn left
INFO, TF = "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
# Last part of a type's name -> what kind of data it is, of ROS 2, ROS 1 and Foxglove.
LIKE = {
    "Image": "Camera", "CompressedImage": "Camera", "RawImage": "Camera", "CompressedVideo": "Camera",
    "FFMPEGPacket": "Camera", "PointCloud": "Lidar", "PointCloud2": "Lidar", "CompressedPointCloud": "Lidar",
    "LaserScan": "Lidar", "Imu": "Imu", "JointState": "JointState", "WrenchStamped": "Wrench", "Odometry": "BodyPose",
    "PoseStamped": "BodyPose", "PoseInFrame": "BodyPose", "CameraCalibration": "Camera",
}  # fmt: skip
# Packages whose messages tell of places and hold neither pictures nor what a sensor sees through the air.
OF_PLACES = (
    "control_msgs", "geometry_msgs", "map_msgs", "nav_msgs", "nav2_msgs", "octomap_msgs", "shape_msgs", "std_msgs",
    "trajectory_msgs", "visualization_msgs",
)  # fmt: skip
UNSEEN = (*LIGHT, "ImagePlane", "Weather")
LEAVE_OUT = "leave the topic out with log.exclude"
MEND_FRAMES = f"correct these transforms in the recording, or {LEAVE_OUT} and give its frames in a rig file (log.rig)"


@dataclass(frozen=True, kw_only=True, eq=False)
class RawMessages(Opaque):
    """Messages that are not understood. They are copied; a transform that would have to change them is refused."""

    remedy_here: str = LEAVE_OUT


class Unread(NamedTuple):
    """Why the messages of a topic are not understood.

    Attributes:
        reason: why. remedy: what to do where they had to change. like, untouched_by: see ``Opaque``.
        is_of_scene: whether they are known to hold places of the scene, whatever ``log.no_geometry`` says.
    """

    reason: str
    remedy: str = LEAVE_OUT
    like: str = ""
    untouched_by: tuple[str, ...] = ()
    is_of_scene: bool = False

    def fields(self, topic: str, kind: str, free_of_motion: bool, free_of_space: bool) -> dict[str, Any]:
        """The fields of a ``RawMessages`` stream.

        Args:
            topic, kind: of the messages. free_of_motion, free_of_space: whether ``log.restamp_only`` and
                ``log.no_geometry`` name the topic.
        """
        told = (("Temporal",) if free_of_motion else ()) + (SPACE if free_of_space and not self.is_of_scene else ())
        still = f"name {topic} in log.restamp_only if its messages hold no motion, or {self.remedy}"
        placeless = f"name {topic} in log.no_geometry if its messages hold nothing of the scene, or {self.remedy}"
        may_be_placeless = SPACE if not (self.like or self.is_of_scene) else ()
        ways = (f"Temporal: {still}", *(f"{family}: {placeless}" for family in may_be_placeless))
        return {
            "place": f"topic {topic} ({kind or 'without a type'})", "reason": self.reason, "remedy_here": self.remedy,
            "ways": ways, "like": self.like,
            "untouched_by": tuple(dict.fromkeys((*self.untouched_by, *told))),
        }  # fmt: skip


def like(kind: str) -> str:
    """Name of the stream class that messages of a type would be; empty where it is not known."""
    return LIKE.get(kind.replace(".", "/").rsplit("/", 1)[-1], "")


def unread_type(channels: Sequence[Channel], known: Any) -> Unread | None:
    """Why the messages of a topic are not understood, as far as its channels tell; None where they may be.

    Args:
        channels: of the topic. known: types that have a reader, or are read into the rig.
    """
    channel = channels[0]
    would_be = like(channel.kind)
    kinds = dict.fromkeys(f"{c.kind or 'without a type'} in {c.encoding or 'no encoding'}" for c in channels)
    if len(kinds) > 1:
        return Unread(f"its channels have different types or encodings ({', '.join(kinds)})", like=would_be)
    if channel.encoding not in ENCODINGS:
        told = f"its messages are encoded as {channel.encoding or 'nothing that is named'}, not as ROS does"
        remedy = f"convert the topic to ROS 2 messages first, or {LEAVE_OUT}"
        return Unread(told, remedy, would_be, () if would_be else LIGHT)
    try:
        types_of(channel.kind, channel.text)
    except DamagedDefinition as error:
        return Unread(str(error), like=would_be, untouched_by=() if would_be else LIGHT)
    if channel.kind in known:
        return None
    if channel.kind == TEXT:
        return Unread("its text may tell of places and sides", untouched_by=(*UNSEEN, "Temporal"))
    if channel.kind in NO_MOTION:
        return Unread("", untouched_by=(*LIGHT, *SPACE, "Temporal"))
    is_of_places = channel.kind.split("/")[0] in OF_PLACES and not channel.kind.endswith("/ImageMarker")
    untouched = UNSEEN if is_of_places else LIGHT
    return Unread("there is no rule for its type", like=would_be, untouched_by=() if would_be else untouched)


def unread_by(error: DataError | str, kind: str, where: str) -> Unread:
    """Why messages of a known type are not understood, after reading them has failed.

    Args:
        error: what reading has raised, or why. kind: their type.
        where: file and topic, which the reason does not repeat.
    """
    reason = str(error).removeprefix(f"{where}: ")
    if kind == INFO:  # the lens belongs to pixels and mountings, and to nothing else
        return Unread(reason, like="Camera", untouched_by=(*LIGHT, "Weather", "Temporal"))
    if kind == TF:
        return Unread(reason, MEND_FRAMES, untouched_by=(*UNSEEN, "Temporal"), is_of_scene=True)
    would_be = like(kind)
    still = ("Temporal",) if would_be == "Camera" else ()
    return Unread(reason, like=would_be, untouched_by=still if would_be else LIGHT)
