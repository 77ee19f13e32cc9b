"""What a SemanticKITTI tree holds, and what a run makes of it."""

from __future__ import annotations

from fusion_aug.logs.core.contents import CHANGED, FOR_PEOPLE, LEFT_OUT, Part

SEQUENCE = "**/sequences/*/"
FILES = (
    Part("**/._*", LEFT_OUT, "made by a file browser; nothing reads it"),
    Part(SEQUENCE + "velodyne/*.bin", CHANGED, "cloud: float32 numbers, x y z intensity"),
    Part(SEQUENCE + "labels/*.label", CHANGED, "class and instance of every point, uint32"),
    Part(SEQUENCE + "image_[0-9]/*.[pP][nN][gG]", CHANGED, "picture"),
    Part(SEQUENCE + "image_[0-9]/*.[jJ][pP]*[gG]", CHANGED, "picture"),
    Part(SEQUENCE + "calib.txt", CHANGED, "calibration; a moved scene is in Tr"),
    Part(SEQUENCE + "poses.txt", CHANGED, "a pose for every scan that is written"),
    Part(SEQUENCE + "times.txt", CHANGED, "a time for every scan that is written"),
    Part(SEQUENCE + "voxels/**", LEFT_OUT, "grids derived from clouds and labels; make them anew from the output"),
    Part(SEQUENCE + "predictions/**", LEFT_OUT, "labels that a network made of the source's clouds"),
    Part("**/poses/*.txt", LEFT_OUT, "poses of KITTI's odometry benchmark, beside those that the sequences have"),
    Part("**/semantic-kitti*.yaml", LEFT_OUT, FOR_PEOPLE),
)
FIELDS = (
    Part(SEQUENCE + "calib.txt:P[0-9]", CHANGED, "projection of a camera; the flip and the pixel map of its picture"),
    Part(SEQUENCE + "calib.txt:Tr", CHANGED, "LiDAR to the first camera, rectified"),
)
CONTENTS = (*FILES, *FIELDS)
NO_SCAN = "of no scan of its sequence, so nothing reads it"
NO_SEQUENCE = Part("a sequence without scans", LEFT_OUT, "no velodyne/*.bin with a number for a name, and so no sample")
