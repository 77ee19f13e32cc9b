"""Losses of pairs, views and modalities: functions of tensors, on any device, with gradients."""

from fusion_aug.train.losses.agreement import agreement
from fusion_aug.train.losses.boxes import BoxDifference, box_consistency
from fusion_aug.train.losses.contrast import info_nce, same_things
from fusion_aug.train.losses.divergence import jensen_shannon
from fusion_aug.train.losses.grids import map_consistency
from fusion_aug.train.losses.pictures import at_pixels, mask_consistency

__all__ = [
    "BoxDifference", "agreement", "at_pixels", "box_consistency", "info_nce", "jensen_shannon", "map_consistency",
    "mask_consistency", "same_things",
]  # fmt: skip
