"""One class per kind of data."""

from fusion_aug.streams.base import STREAMS, Stream
from fusion_aug.streams.boxes import Boxes2D, Boxes3D, rectangle_corners
from fusion_aug.streams.images import Camera, Depth, ImageStream, Opacity
from fusion_aug.streams.lazy_columns import LazyColumns
from fusion_aug.streams.loose import strings
from fusion_aug.streams.maps import MapElement, MapElements
from fusion_aug.streams.masks import SegmentationMask, ValidityMask
from fusion_aug.streams.motion import EgoPose, Imu, Odometry
from fusion_aug.streams.occupancy import Occupancy
from fusion_aug.streams.opaque import Opaque
from fusion_aug.streams.points import Lidar, Points, Radar
from fusion_aug.streams.ragged import Ragged
from fusion_aug.streams.readings import (
    BodyAcceleration,
    BodyTwist,
    MagneticReading,
    PlanarScan,
    PointReading,
    PosePath,
    RangeReading,
    RotationReading,
    SatelliteFix,
)  # fmt: skip
from fusion_aug.streams.robot import (
    BodyPose,
    JointState,
    JointTarget,
    Keypoints2D,
    Keypoints3D,
    Signal,
    Wrench,
)  # fmt: skip
from fusion_aug.streams.text import Text, add_mirror_words
from fusion_aug.streams.touch import HeightMap, TactileImage, Taxels
from fusion_aug.streams.vectors import Action, RobotState, RobotVector
from fusion_aug.streams.waypoints import EGO, Waypoints

__all__ = [
    "EGO", "STREAMS", "Action", "BodyAcceleration", "BodyPose", "BodyTwist", "Boxes2D", "Boxes3D", "Camera",
    "Depth", "EgoPose", "HeightMap", "ImageStream", "Imu", "JointState", "JointTarget", "Keypoints2D",
    "Keypoints3D", "LazyColumns", "Lidar", "MagneticReading", "MapElement", "MapElements", "Occupancy", "Odometry",
    "Opacity", "Opaque", "PlanarScan", "PointReading", "Points", "PosePath", "Radar", "Ragged", "RangeReading",
    "RobotState", "RobotVector", "RotationReading", "SatelliteFix", "SegmentationMask", "Signal", "Stream",
    "TactileImage", "Taxels", "Text", "ValidityMask", "Waypoints", "Wrench", "add_mirror_words",
    "rectangle_corners", "strings",
]  # fmt: skip
