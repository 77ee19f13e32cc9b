"""Sensor-fusion augmentation that moves every sensor together and keeps the calibration true."""

from fusion_aug.columns import (
    Column,
    axial,
    categorical,
    corners,
    extent,
    intensity,
    joint,
    joint_force,
    label,
    length,
    polar,
    pose,
    position,
    radial_velocity,
    scalar,
    specific_force,
    time_offset,
)  # fmt: skip
from fusion_aug.errors import ConfigError, DataError, FusionAugError, UnhandledStream
from fusion_aug.families import ImagePlane, Mix, Mount, Photometric, PointOp, Scene, Temporal
from fusion_aug.history import Record, history_from_json, history_to_json
from fusion_aug.logs.base import open_log
from fusion_aug.ranges import Range
from fusion_aug.registry import Call, Context, handles
from fusion_aug.sample import Ref, Sample, Unit, merge
from fusion_aug.streams import (
    Action,
    BodyPose,
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    EgoPose,
    HeightMap,
    ImageStream,
    Imu,
    JointState,
    Keypoints2D,
    Keypoints3D,
    Odometry,
    Points,
    Radar,
    Ragged,
    SegmentationMask,
    Signal,
    Stream,
    TactileImage,
    Taxels,
    Text,
    ValidityMask,
    Wrench,
    add_mirror_words,
)  # fmt: skip
from fusion_aug.train import AugmentedDataset, collate, to_mmdet3d, to_openpcdet
from fusion_aug.transforms import *  # noqa: F403
from fusion_aug.transforms import __all__ as _transforms
from fusion_aug.transforms.base import Rows, Transform

__version__ = "0.1.0"

__all__ = [
    "Action", "add_mirror_words", "AugmentedDataset", "axial", "BodyPose", "Boxes2D", "Boxes3D", "Call", "Camera",
    "categorical", "collate", "Column", "ConfigError", "Context", "corners", "DataError", "Depth", "EgoPose",
    "extent", "FusionAugError", "handles", "HeightMap", "history_from_json", "history_to_json", "ImagePlane",
    "ImageStream", "Imu", "intensity", "joint", "joint_force", "JointState", "Keypoints2D", "Keypoints3D", "label",
    "length", "merge", "Mix", "Mount", "Odometry", "open_log", "Photometric", "PointOp", "Points", "polar", "pose",
    "position", "Radar", "radial_velocity", "Ragged", "Range", "Record", "Ref", "Rows", "Sample", "scalar", "Scene",
    "SegmentationMask", "Signal", "specific_force", "Stream", "TactileImage", "Taxels", "Temporal", "Text",
    "time_offset", "to_mmdet3d", "to_openpcdet", "Transform", "UnhandledStream", "Unit", "ValidityMask", "Wrench",
    *_transforms,
]  # fmt: skip
