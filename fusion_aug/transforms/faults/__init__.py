"""Faults, by sensor. Severities are physical."""

from fusion_aug.transforms.faults import (  # noqa: F401  (register)
    on_device_cameras,
    on_device_motion,
    on_device_radars,
    on_device_scanners,
)
from fusion_aug.transforms.faults.cameras import (
    Banding,
    BlackCamera,
    DeadPixels,
    Overexposure,
)
from fusion_aug.transforms.faults.frozen import FrozenCamera
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
