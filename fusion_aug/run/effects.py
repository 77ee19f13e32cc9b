"""What transforms do to kinds of data, from the registry alone: for tables, and for ``fusion-aug explain``."""

from __future__ import annotations

from fusion_aug.core.registry import is_invariant, resolve
from fusion_aug.core.transform import Transform
from fusion_aug.errors import UnhandledStream
from fusion_aug.streams import (
    Action,
    BodyPose,
    Boxes2D,
    Boxes3D,
    Camera,
    Depth,
    EgoPose,
    HeightMap,
    Imu,
    JointState,
    Keypoints2D,
    Keypoints3D,
    Lidar,
    MapElements,
    Occupancy,
    Odometry,
    Radar,
    SegmentationMask,
    Stream,
    TactileImage,
    Taxels,
    Text,
    Waypoints,
    Wrench,
)  # fmt: skip

BUILT_IN: tuple[type[Stream], ...] = (
    Camera, Depth, SegmentationMask, Lidar, Radar, Boxes3D, Boxes2D, Waypoints, MapElements, Occupancy, EgoPose,
    Odometry, Imu, Text, JointState, Wrench, Taxels, TactileImage, HeightMap, BodyPose, Action, Keypoints3D,
    Keypoints2D,
)  # fmt: skip
CHANGES, INVARIANT, LEAVES_OUT, NOTHING = "changes", "leaves as they are", "leaves out", "does not apply to"


def effect(transform: type[Transform], stream: type[Stream]) -> str:
    """What a transform does to a kind of stream, one of the four words above.

    Raises:
        UnhandledStream: it is strict, and has no rule for it.
    """
    if is_invariant(transform, stream):
        return INVARIANT
    if resolve(transform, stream) or issubclass(stream, getattr(transform, "takes", ())):
        return CHANGES
    if issubclass(stream, getattr(transform, "leaves_out", ())):
        return LEAVES_OUT
    if getattr(transform, "strict", False):
        raise UnhandledStream(f"{transform.__name__} has no rule for {stream.__name__}")
    return NOTHING
