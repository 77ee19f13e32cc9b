"""What a folder of recordings in SQLite and bags of ROS 1 holds, and what a run makes of it."""

from __future__ import annotations

from fusion_aug.logs.core.contents import CHANGED, LEFT_OUT, Part
from fusion_aug.logs.mcap.contents import METADATA_PARTS

CONTENTS = (
    Part("**/*.db3", CHANGED, "recordings of ROS 2 in SQLite, in the version of their tables; unchanged messages are "
         "copied byte by byte"),
    Part("**/*.bag", CHANGED, "recordings of ROS 1, compressed as they were; unchanged messages are copied"),
    *(part for ending in (".db3", ".bag") for part in (
        Part(f"**/*{ending}:topic **", CHANGED, "topics of known types: streams, calibration, frames"),
        Part(f"**/*{ending}:excluded **", LEFT_OUT, "topics that log.exclude names"),
    )),
    Part("**/*.db3:metadata rosbag2", CHANGED, "the recording as rosbag2 describes it, with its new messages"),
    *METADATA_PARTS,
)  # fmt: skip
