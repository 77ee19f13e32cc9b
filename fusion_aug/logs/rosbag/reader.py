"""Recordings of ROS 2 in SQLite (``.db3``) and of ROS 1 (``.bag``): reader and writer.

They are read and written as those in MCAP are, each into a file of its own kind; what differs is how a file is opened.
"""

from __future__ import annotations

from typing import ClassVar

from fusion_aug.logs.mcap.reader import McapLog
from fusion_aug.logs.mcap.writer import McapWriter


class RosbagLog(McapLog):
    """Reader of recordings in SQLite and of ROS 1. Their folders may hold both."""

    endings: ClassVar[tuple[str, ...]] = (".db3", ".bag")
    elsewhere: ClassVar[dict[str, str]] = {
        ".mcap": "log=mcap reads these",
        ".db3.zstd": "unpack them first: zstd -d FILE",
        ".bag.active": "a recording that was not closed; mend it first: rosbag reindex FILE",
    }


class RosbagWriter(McapWriter):
    """Writes one file per sample, of the kind of its source, and ``metadata.yaml`` beside those in SQLite."""

    copied_whole: ClassVar[tuple[str, ...]] = ("**/*.db3", "**/*.bag")
