"""What an extension needs: bases, registries and helpers of streams, transforms, log formats and measurements.

docs/extending.md shows each of them in a recipe. An extension is a module of its own that ``plugins=[module]`` names,
or that is imported before use; importing it registers what it defines. Frames, lenses and sensors come from ``calib``.
"""

from fusion_aug.check.comparisons import register_comparison
from fusion_aug.check.counts import counter
from fusion_aug.check.counts.classes import class_counter
from fusion_aug.check.measurement import Measure, Pair, Row, measurement
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range, draw
from fusion_aug.core.registry import Call, Context, handles
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import ConfigError, DataError, UnhandledStream
from fusion_aug.logs import Format, Log, Option, Problem, Writer, find_format, register_format
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.capture_writer import CaptureTimeWriter
from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, REFUSED, Part
from fusion_aug.logs.core.files import (
    copy_file,
    image_size,
    inside,
    read_json,
    read_text,
    write_image,
    write_json,
    write_picture,
)
from fusion_aug.logs.core.npz import read_npz, write_npz
from fusion_aug.logs.core.point_labels import LabelLayout, label_file, label_layout
from fusion_aug.logs.core.select import select_ids
from fusion_aug.logs.core.sidecar import merge_sidecar, write_sidecar
from fusion_aug.ops.hashed import ItemNoise, cells, chance, row_key, uniform
from fusion_aug.ops.normals import normal
from fusion_aug.ops.random import noise
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.sample.sensors import is_selected, matches
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
    LazyColumns,
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
    rectangle_corners,
    strings,
)
from fusion_aug.streams.columns import (
    Column,
    axial,
    categorical,
    corners,
    covariance,
    duration,
    event,
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
)
from fusion_aug.streams.families import (
    Family,
    Fault,
    ImagePlane,
    Kinematic,
    Mix,
    Mount,
    Photometric,
    PointOp,
    Scene,
    Temporal,
    Touch,
    Weather,
)
from fusion_aug.streams.source import Source, decoder, row_counter
from fusion_aug.streams.targets import on_nothing
from fusion_aug.transforms.camera.photometric import PhotometricTransform, PictureContext
from fusion_aug.transforms.cloud.points import PointTransform, keep_points

__all__ = [  # noqa: RUF022  (grouped by what is extended)
    # a stream: its base, its typed columns, and the families that cannot change it
    "Column", "ImageStream", "Ragged", "Signal", "Stream", "axial", "categorical", "corners", "covariance", "duration",
    "event", "extent", "intensity", "joint", "joint_force", "label", "length", "polar", "pose", "position",
    "radial_velocity", "rotation", "scalar", "specific_force", "strings", "time_offset",
    "Family", "Fault", "ImagePlane", "Kinematic", "Mix", "Mount", "Photometric", "PointOp", "Scene", "Temporal",
    "Touch", "Weather",
    # a transform: its base, what it draws, and a handler for each kind of stream
    "Call", "ConfigError", "Context", "ItemNoise", "ParameterRows", "PhotometricTransform", "PictureContext",
    "PointTransform", "Range", "Strength", "Strengths", "Transform", "UnhandledStream", "cells", "chance", "draw",
    "handles", "is_selected", "keep_points", "matches", "noise", "normal", "on_nothing", "row_key", "uniform",
    "Action", "BodyAcceleration", "BodyPose", "BodyTwist", "Boxes2D", "Boxes3D", "Camera", "Depth", "EgoPose",
    "HeightMap", "Imu", "JointState", "Keypoints2D", "Keypoints3D", "Lidar", "MagneticReading", "MapElement",
    "MapElements", "Occupancy", "Odometry", "Opacity", "PlanarScan", "PointReading", "Points", "PosePath", "Radar",
    "RangeReading", "RobotState", "RotationReading", "SatelliteFix", "SegmentationMask", "TactileImage", "Taxels",
    "Text", "ValidityMask", "Waypoints", "Wrench",
    # a log format: a reader, a writer, and files
    "CaptureTimeWriter", "DataError", "Format", "LazyColumns", "Log", "Option", "Problem", "REF", "Ref", "Sample",
    "SampleMeta", "Source", "Writer", "bake", "copy_file", "decoder", "find_format", "image_size", "inside",
    "merge_sidecar", "read_json", "read_npz", "read_text", "rectangle_corners", "register_format", "select_ids",
    "write_image", "write_json", "write_npz", "write_picture", "write_sidecar",
    "CHANGED", "KEPT", "LEFT_OUT", "REFUSED", "LabelLayout", "Part", "label_file", "label_layout", "row_counter",
    # a measurement, and how check OUT compares what has no declared kind
    "Measure", "Pair", "Row", "class_counter", "counter", "measurement", "register_comparison",
]  # fmt: skip
