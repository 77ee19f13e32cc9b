"""nuScenes."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.vector_maps import MAP_OPTIONS
from fusion_aug.logs.nuscenes.contents import CONTENTS
from fusion_aug.logs.nuscenes.export import NuscenesExporter
from fusion_aug.logs.nuscenes.reader import NUSCENES_OPTIONS, NuscenesLog
from fusion_aug.logs.nuscenes.writer import NuscenesWriter

FORMAT = register_format(
    Format(
        "nuscenes",
        NuscenesLog,
        NuscenesWriter,
        {**NUSCENES_OPTIONS, **MAP_OPTIONS},
        "nuScenes tables; a sample is a keyframe with its sweeps",
        CONTENTS,
        exporter=NuscenesExporter,
    )
)
