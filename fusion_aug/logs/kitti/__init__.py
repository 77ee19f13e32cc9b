"""KITTI object detection."""

from fusion_aug.logs.core.log import Format, register_format
from fusion_aug.logs.kitti.reader import KittiLog
from fusion_aug.logs.kitti.writer import KittiWriter

FORMAT = register_format(
    Format(
        "kitti",
        KittiLog,
        KittiWriter,
        {},
        "KITTI object detection: training and testing with calib, velodyne, image_2, label_2",
    )
)
