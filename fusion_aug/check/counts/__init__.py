"""Counters of logs on disk, one file for each format, in an open registry."""

from fusion_aug.check.counts import (
    aloha,
    argoverse2,
    folder,
    kitti,
    lerobot,
    mcap,
    mmdet3d,
    nuscenes,
    nuscenes_labels,
    rlds,
    robomimic,
    semantickitti,
    webdataset,
    zarr,
)
from fusion_aug.check.counts.core import COUNTERS, Counted, Counter, Counts, counter

__all__ = [
    "COUNTERS", "Counted", "Counter", "Counts", "aloha", "argoverse2", "counter", "folder", "kitti", "lerobot", "mcap",
    "mmdet3d", "nuscenes", "nuscenes_labels", "rlds", "robomimic", "semantickitti", "webdataset", "zarr",
]  # fmt: skip
