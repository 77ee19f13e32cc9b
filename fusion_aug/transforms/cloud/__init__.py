"""Selection and noise of points, and of the beams that measured them."""

from fusion_aug.transforms.cloud import on_device, on_device_boxes  # noqa: F401  (register)
from fusion_aug.transforms.cloud.box_points import BoxPointDropout, BoxPointJitter
from fusion_aug.transforms.cloud.lidar import BeamDropout, IntensityGain, RingResample
from fusion_aug.transforms.cloud.points import PointDropout, RangeCrop, RangeJitter, ShufflePoints, VoxelSubsample

__all__ = [
    "BeamDropout",
    "BoxPointDropout",
    "BoxPointJitter",
    "IntensityGain",
    "PointDropout",
    "RangeCrop",
    "RangeJitter",
    "RingResample",
    "ShufflePoints",
    "VoxelSubsample",
]
