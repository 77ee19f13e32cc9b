"""ROS 2 recordings in MCAP."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.mcap import bodies, instruments, joints  # noqa: F401  (register the types)
from fusion_aug.logs.mcap.contents import CONTENTS
from fusion_aug.logs.mcap.reader import MCAP_OPTIONS, McapLog
from fusion_aug.logs.mcap.writer import McapWriter

FORMAT = register_format(
    Format(
        "mcap",
        McapLog,
        McapWriter,
        MCAP_OPTIONS,
        "recordings of ROS 2 in MCAP files: Image, CameraInfo, PointCloud2, Imu, JointState, Wrench, tf",
        CONTENTS,
    )
)
