"""Argoverse 2 sensor dataset."""

from fusion_aug.logs.argoverse2.contents import CONTENTS
from fusion_aug.logs.argoverse2.reader import ArgoverseLog
from fusion_aug.logs.argoverse2.writer import ArgoverseWriter
from fusion_aug.logs.core.log import Format, register_format

FORMAT = register_format(
    Format(
        "argoverse2",
        ArgoverseLog,
        ArgoverseWriter,
        {},
        "Argoverse 2 sensor dataset; a sample is a LiDAR sweep",
        CONTENTS,
    )
)
