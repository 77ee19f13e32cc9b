"""Info files of mmdetection3d."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.mmdet3d.reader import Mmdet3dLog
from fusion_aug.logs.mmdet3d.writer import Mmdet3dWriter

FORMAT = register_format(
    Format(
        "mmdet3d",
        Mmdet3dLog,
        Mmdet3dWriter,
        {},
        "info files of mmdetection3d, v2 and old",
    )
)
