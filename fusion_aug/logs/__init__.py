"""Logs on disk: a folder for each format, which registers itself here, and what they share in ``core``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fusion_aug.logs import (  # noqa: F401  (register)
    aloha,
    argoverse2,
    folder,
    kitti,
    lerobot,
    litdata,
    mcap,
    mmdet3d,
    nuscenes,
    rlds,
    robomimic,
    rosbag,
    semantickitti,
    webdataset,
    zarr,
)
from fusion_aug.logs.core.log import FORMATS, Format, Log, find_format, register_format
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.core.rle import decode_rle, encode_rle, objects_mask
from fusion_aug.logs.core.tracks import with_waypoints
from fusion_aug.logs.core.writer import Problem, Writer
from fusion_aug.logs.write import write_log


def open_log(format: str, root: str | Path, **options: Any) -> Log:
    """Open a log as a lazy sequence of samples.

    Args:
        format: kitti, semantickitti, nuscenes, argoverse2, mmdet3d, mcap, rosbag, lerobot, robomimic, aloha, rlds,
            zarr, webdataset, folder, or one that was registered.
        root: its folder.
        options: select, rig, and those of the format.

    Raises:
        ConfigError: unknown format or option.
        DataError: the folder or its tables are missing or damaged.
    """
    return find_format(format).open(root, **options)


__all__ = [
    "FORMATS", "Format", "Log", "Option", "Problem", "Writer", "decode_rle", "encode_rle", "find_format",
    "objects_mask", "open_log", "register_format", "with_waypoints", "write_log",
]  # fmt: skip
