"""Data sets, batches and dictionaries for training."""

from fusion_aug.train import losses
from fusion_aug.train.collate import collate, in_one_buffer
from fusion_aug.train.dataset import AugmentedDataset
from fusion_aug.train.dense import to_dense
from fusion_aug.train.epochs import set_epoch
from fusion_aug.train.feature_dropping import drop_features
from fusion_aug.train.feature_mixing import mix_features
from fusion_aug.train.interop import to_mmdet3d, to_openpcdet
from fusion_aug.train.maps import map_vectors, rasterize_map
from fusion_aug.train.matches import Matches, matches
from fusion_aug.train.misalignment import misalignment_targets
from fusion_aug.train.occurrences import Occurrences
from fusion_aug.train.pairs import views
from fusion_aug.train.policy import to_policy
from fusion_aug.train.predictions import boxes_from

__all__ = [
    "AugmentedDataset", "Matches", "Occurrences", "boxes_from", "collate", "drop_features", "in_one_buffer", "losses",
    "map_vectors", "matches", "misalignment_targets", "mix_features", "rasterize_map", "set_epoch", "to_dense",
    "to_mmdet3d", "to_openpcdet", "to_policy", "views",
]  # fmt: skip
