"""nuScenes."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.nuscenes.reader import NuscenesLog
from fusion_aug.logs.nuscenes.writer import NuscenesWriter

FORMAT = register_format(
    Format(
        "nuscenes",
        NuscenesLog,
        NuscenesWriter,
        {},
        "nuScenes tables; a sample is a keyframe with its sweeps",
    )
)
