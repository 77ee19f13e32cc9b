"""Argoverse 2 sensor dataset."""

from fusion_aug.logs.argoverse2.contents import CONTENTS
from fusion_aug.logs.argoverse2.reader import ArgoverseLog
from fusion_aug.logs.argoverse2.writer import ArgoverseWriter
from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.vector_maps import MAP_OPTIONS

FORMAT = register_format(
    Format(
        "argoverse2",
        ArgoverseLog,
        ArgoverseWriter,
        MAP_OPTIONS,
        "Argoverse 2 sensor dataset; a sample is a LiDAR sweep",
        CONTENTS,
    )
)
