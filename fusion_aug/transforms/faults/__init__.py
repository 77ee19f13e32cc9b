"""Faults, by sensor. Severities are physical."""

from fusion_aug.transforms.faults import on_device  # noqa: F401  (registers)
from fusion_aug.transforms.faults.cameras import (
    Banding,
    BlackCamera,
    DeadPixels,
    FrozenCamera,
    Overexposure,
)
from fusion_aug.transforms.faults.lens import LensDirt, LensScratches
from fusion_aug.transforms.faults.motion import GpsJump, ImuSaturation
from fusion_aug.transforms.faults.radars import RadarInterference
from fusion_aug.transforms.faults.scanners import (
    DroppedPackets,
    IncompleteEcho,
    LidarCrosstalk,
    ReducedView,
    ScanMotionBlur,
)

__all__ = [
    "Banding", "BlackCamera", "DeadPixels", "DroppedPackets", "FrozenCamera", "GpsJump", "ImuSaturation",
    "IncompleteEcho", "LensDirt", "LensScratches", "LidarCrosstalk", "Overexposure",
    "RadarInterference", "ReducedView", "ScanMotionBlur",
]  # fmt: skip
