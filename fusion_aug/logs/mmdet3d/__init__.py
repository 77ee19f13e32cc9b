"""Info files of mmdetection3d."""

from fusion_aug.logs.core.flat_clouds import HELP
from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.core.options import Option
from fusion_aug.logs.mmdet3d.contents import CONTENTS
from fusion_aug.logs.mmdet3d.reader import Mmdet3dLog
from fusion_aug.logs.mmdet3d.writer import Mmdet3dWriter

FORMAT = register_format(
    Format(
        "mmdet3d",
        Mmdet3dLog,
        Mmdet3dWriter,
        {
            "infos": Option("info files below the root; *infos*.pkl by default", is_file=True, many=True),
            "leave_out": Option("[FIELD, ...]: fields of info files that the output does not have"),
            "keep": Option("[FIELD, ...]: fields of which you know that no change makes them wrong"),
            "columns": Option(HELP),
        },
        "info files of mmdetection3d, v2 and old",
        CONTENTS,
    )
)
