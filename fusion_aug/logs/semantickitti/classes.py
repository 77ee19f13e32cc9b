"""Classes of SemanticKITTI, and how a label file holds them.

Numbers and names are those of the published ``semantic-kitti.yaml`` (Behley et al. 2019, "SemanticKITTI: A Dataset for
Semantic Scene Understanding of LiDAR Sequences").
"""

from __future__ import annotations

from fusion_aug.logs.core.point_labels import LabelLayout, label_layout

CLASSES = {
    0: "unlabeled", 1: "outlier",
    10: "car", 11: "bicycle", 13: "bus", 15: "motorcycle", 16: "on-rails", 18: "truck", 20: "other-vehicle",
    30: "person", 31: "bicyclist", 32: "motorcyclist",
    40: "road", 44: "parking", 48: "sidewalk", 49: "other-ground",
    50: "building", 51: "fence", 52: "other-structure", 60: "lane-marking",
    70: "vegetation", 71: "trunk", 72: "terrain", 80: "pole", 81: "traffic-sign", 99: "other-object",
    252: "moving-car", 253: "moving-bicyclist", 254: "moving-person", 255: "moving-motorcyclist",
    256: "moving-on-rails", 257: "moving-bus", 258: "moving-truck", 259: "moving-other-vehicle",
}  # fmt: skip
NAMES = tuple(CLASSES.get(number, "") for number in range(max(CLASSES) + 1))
NOBODYS, OUTLIER = 0, 1  # of points that nobody labelled, and of returns from no object

# uint32: the class in the low 16 bits, the instance in the high ones
LAYOUT = label_layout(LabelLayout("semantickitti", "<u4", 2**16, 2**16, 1, 2**16))

SPLITS = {
    "train": ("00", "01", "02", "03", "04", "05", "06", "07", "09", "10"),
    "valid": ("08",),
    "test": tuple(str(n) for n in range(11, 22)),
}
