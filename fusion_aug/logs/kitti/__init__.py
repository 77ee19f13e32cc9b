"""KITTI object detection."""

from fusion_aug.logs.core.flat_clouds import HELP
from fusion_aug.logs.core.log import Format, Option, register_format
from fusion_aug.logs.kitti.contents import CONTENTS
from fusion_aug.logs.kitti.reader import PROJECTION, KittiLog
from fusion_aug.logs.kitti.writer import KittiWriter

FORMAT = register_format(
    Format(
        "kitti",
        KittiLog,
        KittiWriter,
        {
            "columns": Option(HELP),
            "turn": Option(
                "where a moved scene goes: projection (into P, for detectors in the LiDAR's frame) or extrinsics (into "
                "Tr_velo_to_cam, for readers that split P into intrinsics and baseline)",
                default=PROJECTION,
            ),
            "crop_to_view": Option("write only the points that image_2 sees", default=False),
        },
        "KITTI object detection: training and testing with calib, velodyne, image_2, label_2, planes",
        CONTENTS,
    )
)
