"""Data sets, batches and dictionaries for training."""

from fusion_aug.train.collate import collate
from fusion_aug.train.dataset import AugmentedDataset
from fusion_aug.train.interop import to_mmdet3d, to_openpcdet

__all__ = ["AugmentedDataset", "collate", "to_mmdet3d", "to_openpcdet"]
