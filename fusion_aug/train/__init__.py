"""In front of a training loop."""

from fusion_aug.train.collate import collate
from fusion_aug.train.dataset import AugmentedDataset

__all__ = ["AugmentedDataset", "collate"]
