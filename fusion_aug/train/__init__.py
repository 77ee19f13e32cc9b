"""Data sets, batches and dictionaries for training."""

from fusion_aug.train.collate import collate
from fusion_aug.train.dataset import AugmentedDataset
from fusion_aug.train.dense import to_dense
from fusion_aug.train.interop import to_mmdet3d, to_openpcdet
from fusion_aug.train.predictions import boxes_from

__all__ = ["AugmentedDataset", "boxes_from", "collate", "to_dense", "to_mmdet3d", "to_openpcdet"]
