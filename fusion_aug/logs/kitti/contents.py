"""What a KITTI tree holds, and what a run makes of it."""

from __future__ import annotations

from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Part
from fusion_aug.logs.kitti.labels import NAMES

AGAIN = "derived from clouds and labels by training code; make it anew from the output, as this one holds the old boxes"
NO_TIME = "the frames of this benchmark have no time, so nothing is known of where these belong"

FRAME, NO_FRAME = "frame", "no frame"  # what the words of a list are
ORPHANS = "of a frame that has neither a cloud nor a picture, so nothing reads it"
OTHER_LABELS = "labels beside those that are read, of label_all, else label_2, else label_0"

IN_SUBSETS = (
    ("velodyne/*.bin", CHANGED, "cloud: float32 numbers, x y z intensity or those of log.columns"),
    ("image_[0-9]/*.[pP][nN][gG]", CHANGED, "picture"),
    ("image_[0-9]/*.[jJ][pP]*[gG]", CHANGED, "picture"),
    ("calib/*.txt", CHANGED, "calibration, see log.turn"),
    ("label_all/*.txt", CHANGED, "boxes of all cameras of a conversion of Waymo"),
    ("label_2/*.txt", CHANGED, "boxes in space and on image_2, read where there is no label_all"),
    ("label_0/*.txt", CHANGED, "boxes of the first camera, read where there is neither"),
    ("planes/*.txt", CHANGED, "ground plane; it follows the scene", False),
    ("velodyne_reduced*/**", LEFT_OUT, AGAIN),
    ("label_[13-9]/*.txt", LEFT_OUT, "boxes of one camera of a conversion of Waymo, whose label_all is read"),
    ("prev_[0-9]/**", LEFT_OUT, f"pictures before the frame: {NO_TIME}"),
    ("oxts/**", LEFT_OUT, f"positions of the vehicle: {NO_TIME}"),
    ("pose/**", LEFT_OUT, f"poses of the vehicle: {NO_TIME}"),
    ("depth_[0-9]/**", LEFT_OUT, "depth derived from the clouds; make it anew from the output"),
)
FILES = (
    Part("**/._*", LEFT_OUT, "made by a file browser; nothing reads it"),
    *(Part(f"{subset}/{path}", *told) for subset in ("training", "testing") for path, *told in IN_SUBSETS),
    Part("ImageSets/*.txt", CHANGED, "lists of frames; a copy is in the lists of its source", False),
    *(Part(f"**{name}", LEFT_OUT, AGAIN) for name in (
        "gt_database*/**", "kitti_infos_*", "kitti_dbinfos_*", ".pkl", ".pickle",
    )),
)  # fmt: skip
ROWS = {
    "P[0-9]": (CHANGED, "projection of a camera, see log.turn; the flip and the pixel map of its picture"),
    "R0_rect": (CHANGED, "rectification, kept with log.turn=projection"),
    "R_rect": (CHANGED, "rectification, as the tracking benchmark calls it"),
    "Tr_velo_to_cam": (CHANGED, "LiDAR to camera, kept with log.turn=projection"),
    "Tr_velo_to_cam_[0-9]": (CHANGED, "LiDAR to one camera of a conversion of Waymo, kept with log.turn=projection"),
    "Tr_velo_cam": (CHANGED, "LiDAR to camera, as the tracking benchmark calls it"),
    "Tr_imu_to_velo": (CHANGED, "inertial unit to LiDAR"),
    "Tr_imu_velo": (CHANGED, "inertial unit to LiDAR, as the tracking benchmark calls it"),
}
BOX = (CHANGED, "box; what is not set stays as it is", True)
LABELS: dict[str, tuple[str, str, bool]] = {
    "type": (CHANGED, "class; log.classes renames it and leaves others out", True),
    "truncated": (CHANGED, "share outside of the picture, where it is cut", True),
    "occluded": (KEPT, "how much of it is hidden", True),
    "alpha": (CHANGED, "observation angle: as it is in the axes of the real camera", False),
    "score": (KEPT, "of a detector or tracker", True),
    "track": (KEPT, "of a tracker", False),
}
FIELDS = (
    Part(f"ImageSets/*.txt:{FRAME}", CHANGED, "number of a frame"),
    Part(f"ImageSets/*.txt:{NO_FRAME}", LEFT_OUT, "words that are the number of no frame of this tree"),
    *(Part(f"*/calib/*.txt:{name}", *told) for name, told in ROWS.items()),
    *(Part(f"*/label_*/*.txt:{n}", *LABELS.get(n, BOX)) for n in NAMES),
)
CONTENTS = (*FILES, *FIELDS)
