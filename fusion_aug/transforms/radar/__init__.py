"""Errors of radar detections."""

from fusion_aug.transforms.radar.radar import (
    DopplerFolding,
    RadarClutter,
    RadarGhosts,
    RadarMissed,
    RadarNoise,
    RcsNoise,
)

__all__ = ["DopplerFolding", "RadarClutter", "RadarGhosts", "RadarMissed", "RadarNoise", "RcsNoise"]
