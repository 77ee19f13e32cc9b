"""One file per on-disk format, reader and writer side by side."""

from fusion_aug.logs import argoverse, folder, kitti, lerobot, mcap, mmdet3d, nuscenes, robomimic
from fusion_aug.logs.base import FORMATS, Log, LogOptions, Problem, Writer, open_log

__all__ = [
    "FORMATS",
    "Log",
    "LogOptions",
    "Problem",
    "Writer",
    "argoverse",
    "folder",
    "kitti",
    "lerobot",
    "mcap",
    "mmdet3d",
    "nuscenes",
    "open_log",
    "robomimic",
]
