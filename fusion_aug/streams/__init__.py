"""One class per kind of data."""

from fusion_aug.streams.base import STREAMS, Ragged, Stream, strings
from fusion_aug.streams.boxes import Boxes2D, Boxes3D, rectangle_corners
from fusion_aug.streams.images import Camera, Depth, ImageStream, SegmentationMask, ValidityMask
from fusion_aug.streams.motion import EgoPose, Imu, Odometry
from fusion_aug.streams.points import LazyColumns, Points, Radar
from fusion_aug.streams.text import Text, add_mirror_words

__all__ = [
    "STREAMS", "Boxes2D", "Boxes3D", "Camera", "Depth", "EgoPose", "ImageStream", "Imu", "LazyColumns",
    "Odometry", "Points", "Radar", "Ragged", "SegmentationMask", "Stream", "Text", "ValidityMask", "add_mirror_words",
    "rectangle_corners", "strings",
]  # fmt: skip
