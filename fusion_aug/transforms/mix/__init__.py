"""Mixes: samples that meet, by transforms that take parts of another sample."""

from fusion_aug.transforms.mix.swap_sector import SwapSector

__all__ = ["SwapSector"]
