"""What a nuScenes root holds, and what a run makes of it."""

from __future__ import annotations

from collections.abc import Mapping

from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Part
from fusion_aug.logs.nuscenes.splits import SPLITS
from fusion_aug.logs.nuscenes.tables import LABEL_TABLES

AGAIN = "derived from the tables by training code; make it anew from the output, as this one holds the old boxes"
OF_POINTS = "labels of single points of the clouds that are written, in the order of their points"
DRIVING = "driving data in the old vehicle frame, by names of the source's scenes; copy it where no geometry changes"
MAP = "map of the source's world; mirrored or scaled scenes get a location of their own, which it does not cover"
ROADS = (
    "vector map of a place of the source's world, read around the vehicle with log.map_range; what samples of mirrored "
    "or scaled scenes have of it is in the sidecar"
)
RECORDS = "data of the records in sample_data.json; those of other samples are left out"
TABLE = "rows of what is written"

FILES = (
    *(Part(f"*/{t}.json", CHANGED, "whole table, its rows as they are") for t in ("visibility", "sensor")),
    Part("*/attribute.json", CHANGED, "whole table of what boxes do, its rows as they are", False),
    Part("*/category.json", CHANGED, "whole table; log.classes renames its rows and leaves others out"),
    *(Part(f"*/{t}.json", CHANGED, f"whole table of {what}, and rows of mirrored or scaled scenes", False)
      for t, what in (("log", "recordings and their places"), ("map", "map files"))),
    *(Part(f"*/{t}.json", CHANGED, TABLE) for t in (
        "instance", "calibrated_sensor", "ego_pose", "scene", "sample", "sample_data", "sample_annotation",
    )),
    Part(f"*/{SPLITS}.json", CHANGED, "scenes of splits, of what is written", False),
    *(Part(f"*/{t}.json", CHANGED, TABLE) for t in LABEL_TABLES),
    Part("*/image_annotations.json", LEFT_OUT, AGAIN),
    Part("gts/*/*/labels.npz", CHANGED, "Occ3D's grids of what is written, resampled where the scene moves"),
    *(Part(f"{folder}annotations.json", LEFT_OUT, "Occ3D's index of its grids") for folder in ("", "gts/")),
    *(Part(f"{t}/**", CHANGED, OF_POINTS) for t in LABEL_TABLES),
    Part("can_bus/**", LEFT_OUT, DRIVING),
    *(Part(f"{folder}/*/*.{end}", CHANGED, RECORDS) for folder in ("samples", "sweeps") for end in (
        "jpg", "jpeg", "png", "pcd.bin", "pcd", "bin",
    )),
    *(Part(f"maps/{folder}*.json", KEPT, ROADS) for folder in ("expansion/", "")),
    Part("maps/**", KEPT, MAP),
    Part("*_maps/**", CHANGED, f"{MAP}; written to maps, as the tables call it", False),
    Part("**infos*.coco.json", LEFT_OUT, AGAIN),
    Part("**gt_database*/**", LEFT_OUT, AGAIN),
    Part("**.pkl", LEFT_OUT, AGAIN),
    Part(".v1.0-*.txt", LEFT_OUT, "note in the archives of nuScenes"),
    *(Part(f"*.{end}", LEFT_OUT, "archive") for end in ("tgz", "tar", "tar.gz", "zip")),
)  # fmt: skip

# table -> fate -> its fields
TABLES: Mapping[str, Mapping[str, str]] = {
    "category": {CHANGED: "token name index", KEPT: "description"},
    "attribute": {KEPT: "token name description"},
    "visibility": {KEPT: "token level description"},
    "instance": {
        KEPT: "token", CHANGED: "category_token nbr_annotations first_annotation_token last_annotation_token",
    },
    "sensor": {KEPT: "token channel modality"},
    "calibrated_sensor": {KEPT: "sensor_token", CHANGED: "token translation rotation camera_intrinsic"},
    "ego_pose": {KEPT: "token", CHANGED: "timestamp translation rotation"},
    "log": {KEPT: "logfile vehicle date_captured", CHANGED: "token location map_token"},
    "scene": {
        KEPT: "token name description", CHANGED: "log_token nbr_samples first_sample_token last_sample_token",
    },
    "sample": {KEPT: "token scene_token", CHANGED: "timestamp prev next data anns"},
    "sample_data": {
        KEPT: "token sample_token ego_pose_token is_key_frame fileformat sensor_modality",
        CHANGED: "calibrated_sensor_token timestamp height width filename prev next channel",
    },
    "sample_annotation": {
        KEPT: "token sample_token instance_token attribute_tokens",
        CHANGED: "visibility_token translation size rotation num_lidar_pts num_radar_pts prev next category_name",
    },
    "map": {KEPT: "token category filename", CHANGED: "log_tokens"},
    **{table: {CHANGED: "token sample_data_token filename"} for table in LABEL_TABLES},
}  # fmt: skip
ABOUT = {
    "token": "name of the row; a copy k of a sample has __k at its end",
    "translation": "metres; a scene's motion turns boxes and mountings, a mirror or a scale the vehicle's poses too",
    "rotation": "quaternion w x y z, like translation",
    "camera_intrinsic": "with crops, resizes and flips of the pictures",
    "timestamp": "microseconds; only time warps change it",
    "map_token": "of a mirrored or scaled scene: of the empty mask",
    "location": "that of a mirrored or scaled scene has -mirrored or -scaled at its end",
    "num_lidar_pts": "as many less as fewer points lie in the box; unchanged by motions of the scene",
    "num_radar_pts": "as many less as fewer detections lie in the box; unchanged by motions of the scene",
    **dict.fromkeys(("data", "anns"), "Lyft's index of a sample's records, made anew"),
    "visibility_token": "share that cameras see, where it changes",
    "index": "number of the class in labels of points; log.classes may give it another",
    "filename": "of a copy, or of another channel after a mirror",
}
ONLY_HERE = {  # fields that no sample holds
    "category": "description", "scene": "name description",
    "sample_annotation": "attribute_tokens num_lidar_pts num_radar_pts",
}  # fmt: skip
FIELDS = tuple(
    Part(
        f"*/{table}.json:{name}", fate, ABOUT.get(name, "field of the format"),
        name not in ONLY_HERE.get(table, "").split(),
    )
    for table, fates in TABLES.items()
    for fate, names in fates.items()
    for name in names.split()
)  # fmt: skip
CONTENTS = (*FILES, *FIELDS)

# what only the tables of a log can tell
OTHER_VERSION = Part("tables of another version", LEFT_OUT, "read them with log.version")
OWN_FOLDER = Part("files of records in other folders", CHANGED, RECORDS)
NO_ROW = Part(
    "labels of points without a row", LEFT_OUT,
    "no row of lidarseg.json or panoptic.json that is of a scene's samples names them, or log.exclude leaves them out",
)  # fmt: skip
NO_FILES = Part("tables of labels whose files are left out", LEFT_OUT, "log.exclude leaves all their files out")
NO_RECORD = Part(
    "files without a record", LEFT_OUT, "no record of a scene's samples names them, or log.exclude leaves it out"
)
