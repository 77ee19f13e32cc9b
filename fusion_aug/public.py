"""The public names, behind ``import fusion_aug``, which loads them when the first one is asked for."""

import fusion_aug.sim as sim
from fusion_aug.core.compose import Compose, OneOf, RandomApply, SomeOf, pipeline
from fusion_aug.core.device.compiled import compiled
from fusion_aug.core.engine import replay
from fusion_aug.core.inversion import InexactInverse, invert
from fusion_aug.core.mixing.donors import Donors
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.schedules import Schedule
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError, FusionAugError, UnhandledStream
from fusion_aug.logs import decode_rle, encode_rle, objects_mask, open_log, with_waypoints, write_log
from fusion_aug.policy import (
    Adversary,
    ByDifficulty,
    HardExamples,
    RandAugment,
    Space,
    TrivialAugment,
    WorstOf,
    ZeroGradient,
    retrieval_margins,
    search_policy,
)
from fusion_aug.run.presets import preset
from fusion_aug.sample import Ref, Sample, SampleMeta, make_sample, merge, rename_sensors
from fusion_aug.sample.history import Record, history_from_json, history_to_json
from fusion_aug.sample.networks import know_network
from fusion_aug.streams import (
    Action,
    BodyAcceleration,
    BodyPose,
    BodyTwist,
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
    Lidar,
    MagneticReading,
    MapElement,
    MapElements,
    Occupancy,
    Odometry,
    Opacity,
    PlanarScan,
    PointReading,
    Points,
    PosePath,
    Radar,
    Ragged,
    RangeReading,
    RobotState,
    RotationReading,
    SatelliteFix,
    SegmentationMask,
    Signal,
    Stream,
    TactileImage,
    Taxels,
    Text,
    ValidityMask,
    Waypoints,
    Wrench,
    add_mirror_words,
    rectangle_corners,
    strings,
)  # fmt: skip
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
    corners,
    covariance,
    duration,
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
    rotation,
    scalar,
    specific_force,
    time_offset,
)  # fmt: skip
from fusion_aug.streams.families import ImagePlane, Mix, Mount, Photometric, PointOp, Scene, Temporal
from fusion_aug.streams.source import Source
from fusion_aug.train import (
    AugmentedDataset,
    Matches,
    Occurrences,
    boxes_from,
    collate,
    drop_features,
    in_one_buffer,
    losses,
    map_vectors,
    matches,
    misalignment_targets,
    mix_features,
    rasterize_map,
    set_epoch,
    to_dense,
    to_mmdet3d,
    to_openpcdet,
    to_policy,
    views,
)
from fusion_aug.transforms import *  # noqa: F403
from fusion_aug.transforms import __all__ as _transforms
from fusion_aug.transforms.generative.diffusion_model import know_model
from fusion_aug.transforms.generative.gate import Gate, Verdict
from fusion_aug.transforms.mix import Misalignment, PictureFolder, know_pictures, misalignments, realign

__all__ = [
    "Action", "add_mirror_words", "Adversary", "AugmentedDataset", "axial", "BodyAcceleration", "BodyPose",
    "BodyTwist", "Boxes2D", "Boxes3D", "boxes_from", "ByDifficulty", "Call", "Camera", "categorical", "collate",
    "Column", "compiled", "Compose", "ConfigError", "Context", "corners", "covariance", "DataError", "decode_rle",
    "Depth", "Donors", "drop_features", "duration", "EgoPose", "encode_rle", "extent", "FusionAugError", "Gate",
    "handles", "HardExamples", "HeightMap", "history_from_json", "history_to_json", "ImagePlane", "ImageStream", "Imu",
    "in_one_buffer", "InexactInverse", "intensity", "invert", "joint", "joint_force", "JointState", "Keypoints2D",
    "Keypoints3D", "know_model", "know_network", "know_pictures", "label", "length", "Lidar", "losses",
    "MagneticReading", "make_sample", "map_vectors", "MapElement", "MapElements", "Matches", "matches", "merge",
    "Misalignment", "misalignment_targets", "misalignments", "Mix", "mix_features", "Mount", "objects_mask",
    "Occupancy", "Occurrences", "Odometry", "OneOf", "Opacity", "open_log", "ParameterRows", "Photometric",
    "PictureFolder", "pipeline", "PlanarScan", "PointOp", "PointReading", "Points", "polar", "pose", "PosePath",
    "position", "preset", "Radar", "radial_velocity", "Ragged", "RandAugment", "RandomApply", "Range", "RangeReading",
    "rasterize_map", "realign", "Record", "rectangle_corners", "Ref", "rename_sensors", "replay", "retrieval_margins",
    "RobotState", "rotation", "RotationReading", "Sample", "SampleMeta", "SatelliteFix", "scalar", "Scene", "Schedule",
    "search_policy", "SegmentationMask", "set_epoch", "Signal", "sim", "SomeOf", "Source", "Space", "specific_force",
    "Stream", "strings", "TactileImage", "Taxels", "Temporal", "Text", "time_offset", "to_dense", "to_mmdet3d",
    "to_openpcdet", "to_policy", "Transform", "TrivialAugment", "UnhandledStream", "ValidityMask", "Verdict", "views",
    "Waypoints", "with_waypoints", "WorstOf", "Wrench", "write_log", "ZeroGradient",
    *_transforms,
]  # fmt: skip
