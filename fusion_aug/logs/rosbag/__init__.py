"""Recordings of ROS 2 in SQLite and of ROS 1."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.mcap.reader import MCAP_OPTIONS
from fusion_aug.logs.rosbag import db3_output, ros1_output  # noqa: F401  (register the kinds of files)
from fusion_aug.logs.rosbag.contents import CONTENTS
from fusion_aug.logs.rosbag.reader import RosbagLog, RosbagWriter

FORMAT = register_format(
    Format(
        "rosbag",
        RosbagLog,
        RosbagWriter,
        MCAP_OPTIONS,
        "recordings of ROS 2 in SQLite (.db3) and of ROS 1 (.bag), with the messages that mcap reads",
        CONTENTS,
    )
)
