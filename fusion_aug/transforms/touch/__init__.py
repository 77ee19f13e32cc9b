"""Tactile pictures and taxels."""

from fusion_aug.transforms.touch import on_device, on_device_pictures  # noqa: F401  (register)
from fusion_aug.transforms.touch.shift import TactileShift
from fusion_aug.transforms.touch.tactile import GelBackground, GelLights, TactileNoise
from fusion_aug.transforms.touch.taxels import TaxelCrosstalk, TaxelDropout, TaxelGain

__all__ = ["GelBackground", "GelLights", "TactileNoise", "TactileShift", "TaxelCrosstalk", "TaxelDropout", "TaxelGain"]
