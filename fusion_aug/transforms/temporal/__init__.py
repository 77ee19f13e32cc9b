"""Maps of time, and what happens to stamps."""

from fusion_aug.transforms.temporal import on_device  # noqa: F401  (registers)
from fusion_aug.transforms.temporal.clocks import ClockOffset, Jitter, Latency
from fusion_aug.transforms.temporal.crop import TemporalCrop
from fusion_aug.transforms.temporal.sampling import DropFrames, RateChange, TemporalMask
from fusion_aug.transforms.temporal.scan import Deskew
from fusion_aug.transforms.temporal.shutter import RollingShutter
from fusion_aug.transforms.temporal.speed import SpeedWarp, TimeWarp

__all__ = [
    "ClockOffset", "Deskew", "DropFrames", "Jitter", "Latency", "RateChange", "RollingShutter", "SpeedWarp",
    "TemporalCrop", "TemporalMask", "TimeWarp",
]  # fmt: skip
