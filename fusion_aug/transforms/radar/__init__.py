"""Errors of radar detections."""

from fusion_aug.transforms.radar import on_device, on_device_added  # noqa: F401  (register)
from fusion_aug.transforms.radar.radar import (
    DopplerFolding,
    RadarClutter,
    RadarGhosts,
    RadarMissed,
    RadarNoise,
    RcsNoise,
)

__all__ = ["DopplerFolding", "RadarClutter", "RadarGhosts", "RadarMissed", "RadarNoise", "RcsNoise"]
