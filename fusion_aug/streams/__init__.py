"""One class per kind of data."""

from fusion_aug.streams.base import STREAMS, Ragged, Stream, strings
from fusion_aug.streams.boxes import Boxes2D, Boxes3D, rectangle_corners
from fusion_aug.streams.images import Camera, Depth, ImageStream, SegmentationMask, ValidityMask
from fusion_aug.streams.motion import EgoPose, Imu, Odometry
from fusion_aug.streams.points import LazyColumns, Lidar, Points, Radar
from fusion_aug.streams.robot import (
    Action,
    BodyPose,
    JointState,
    Keypoints2D,
    Keypoints3D,
    Signal,
    Wrench,
)  # fmt: skip
from fusion_aug.streams.text import Text, add_mirror_words
from fusion_aug.streams.touch import HeightMap, TactileImage, Taxels

__all__ = [
    "STREAMS", "Action", "BodyPose", "Boxes2D", "Boxes3D", "Camera", "Depth", "EgoPose", "HeightMap", "ImageStream",
    "Imu", "JointState", "Keypoints2D", "Keypoints3D", "LazyColumns", "Lidar", "Odometry", "Points", "Radar", "Ragged",
    "SegmentationMask", "Signal", "Stream", "TactileImage", "Taxels", "Text", "ValidityMask", "Wrench",
    "add_mirror_words", "rectangle_corners", "strings",
]  # fmt: skip
