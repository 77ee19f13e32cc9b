"""What a folder with info files holds, and the fields of info files of either layout: what a run makes of each.

Fields have the names of their dictionaries: ``instances.bbox`` of every box, ``images.cam2img`` (old: ``cams.``) of
every camera, ``lidar_sweeps.timestamp``, ``metainfo.version``; ``file.KEY`` is beside ``metainfo`` and the samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fusion_aug.logs.core.contents import CHANGED, FIELD, KEPT, LEFT_OUT, REFUSED, Part
from fusion_aug.logs.core.flat_clouds import AXES

# what a transform may change, as ``fields.touched_by`` finds it
SCENE, SCALE, MIRROR, PICTURES, MOUNT, TIME = EVERYTHING = ("scene", "scale", "mirror", "pictures", "mount", "time")
TOKENS = ("token", "prev", "next", "scene_token")  # of samples and scenes: those of a copy are its own
STEPS = ("gt_ego_fut_trajs", "gt_ego_his_trajs", "gt_agent_fut_trajs")  # (..., 2) m along x and y of the LiDAR


class Field(NamedTuple):
    """A field of info files.

    Attributes:
        name: as above.
        fate: one of ``FATES``.
        about: what it is, or why it is left out or refused.
        touched: changes that make it wrong; of fields that are refused.
        optional: whether ``log.leave_out`` may name it, though a run changes it.
        per_box: whether it is a list with an entry for every box (old layout).
    """

    name: str
    fate: str
    about: str
    touched: tuple[str, ...] = ()
    optional: bool = False
    per_box: bool = False


def _fields(level: str, names: str, fate: str, about: str, touched: tuple[str, ...] = (), **marks: bool) -> list[Field]:
    prefixes = [f"{p}." if p else "" for p in level.split("|")]
    return [Field(f"{p}{n}", fate, about, touched, **marks) for p in prefixes for n in names.split()]


PATHS, POSES, TIMES = "path of a file", "mounting or pose", "stamp of the source"
AGAIN = "derived from the rest; make it anew with mmdetection3d's tools"
MASKS = "labels of single points; make them anew for the points that are left"
MASK_FIELDS = ("pts_semantic_mask_path", "pts_panoptic_mask_path")
MOVED = "no rule is known by which it moves with the scene"
KNOWN_FIELDS = (
    *_fields("", "sample_idx token prev next scene_token", CHANGED, "names; those of a copy are its own"),
    *_fields("", "timestamp", KEPT, TIMES),
    *_fields("", "context_name scene_name frame_idx location description timeofday city split", KEPT, "names"),
    *_fields("", "ego2global ego2global_rotation ego2global_translation", CHANGED, POSES),
    *_fields("", "lidar2ego_rotation lidar2ego_translation", KEPT, "nominal mounting of the LiDAR"),
    *_fields("", "lidar_path", CHANGED, PATHS),
    *_fields("", "num_features", KEPT, "numbers per point"),
    *_fields("", "cam_instances ann_infos gt_masks", LEFT_OUT, AGAIN),
    *_fields("", "occ_path", LEFT_OUT, "occupancy of the scene as it was; make it anew"),
    *_fields("", "pts_instance_mask_path", LEFT_OUT, MASKS),
    *_fields("", " ".join(MASK_FIELDS), CHANGED, "labels of single points, where the file is there", optional=True),
    *_fields("", "gt_ego_fut_trajs gt_ego_his_trajs", CHANGED, "steps along x and y of the LiDAR, m", optional=True),
    *_fields("", "gt_agent_fut_trajs", CHANGED, "steps along x and y of the LiDAR, m", optional=True, per_box=True),
    *_fields("", "gt_ego_fut_masks fut_valid_flag", KEPT, "which steps are known"),
    *_fields("", "gt_agent_fut_masks", KEPT, "which steps are known", per_box=True),
    *_fields("", "gt_ego_fut_cmd", CHANGED, "right, left or straight on, which a mirror swaps", optional=True),
    *_fields("", "gt_agent_fut_yaw", CHANGED, "rad by which a box turns in every step", optional=True, per_box=True),
    *_fields("", "gt_agent_fut_goal", CHANGED, "eighth of a turn to which the steps lead", optional=True, per_box=True),
    *_fields("", "gt_agent_lcf_feat", CHANGED, "place, yaw, velocity, size of a box", optional=True, per_box=True),
    *_fields("", "gt_ego_lcf_feat ego_status", REFUSED, MOVED, (SCENE, MIRROR, TIME)),
    *_fields("", "can_bus", REFUSED, "pose and motion of the vehicle in the world", (SCENE, MIRROR, TIME)),
    *_fields("", "map_annos ann_map map_geoms", REFUSED, MOVED, (SCENE, MIRROR, TIME)),
    *_fields("", "cam_sync_instances instances_ignore", REFUSED, MOVED, EVERYTHING),
    *_fields("", "radar_points radars", REFUSED, "clouds of radars, which are not read", (SCENE, MIRROR, MOUNT, TIME)),
    *_fields("", "image_sweeps", REFUSED, "pictures between the samples, which are not read", EVERYTHING),
    *_fields("", "gt_boxes gt_names num_lidar_pts valid_flag", CHANGED, "boxes and their names", per_box=True),
    *_fields("", "gt_velocity", CHANGED, "m/s along x and y of the LiDAR; NaN where unknown", per_box=True),
    *_fields("", "num_radar_pts gt_inds instance_inds instance_tokens gt_boxes_token visibility_tokens gt_attrs", KEPT,
             "facts of the boxes", per_box=True),
    *_fields("lidar_points", "num_pts_feats timestamp sample_data_token", KEPT, "facts of the cloud"),
    *_fields("lidar_points", "lidar_path", CHANGED, PATHS),
    *_fields("lidar_points", "lidar2ego", CHANGED, "nominal mounting of the LiDAR"),
    *_fields("images", "img_path", CHANGED, PATHS),
    *_fields("images", "cam2img lidar2img", CHANGED, "intrinsics"),
    *_fields("images", "cam2ego lidar2cam cam2global ego2global", CHANGED, POSES),
    *_fields("images", "height width", CHANGED, "size of the picture"),
    *_fields("images", "timestamp", CHANGED, "stamp of the picture"),
    *_fields("images|cams", "sample_data_token sample_token", KEPT, "names"),
    *_fields("images", "depth_map", REFUSED, "depth of the picture as it was", EVERYTHING),
    *_fields("cams", "data_path", CHANGED, PATHS),
    *_fields("cams", "type timestamp", CHANGED, "name and stamp of the picture"),
    *_fields("cams", "cam_intrinsic camera_intrinsics", CHANGED, "intrinsics"),
    *_fields("cams", "sensor2ego_rotation sensor2ego_translation ego2global_rotation ego2global_translation "
             "sensor2lidar_rotation sensor2lidar_translation", CHANGED, POSES),
    *_fields("lidar_sweeps|sweeps", "timestamp sample_data_token type", KEPT, "names and stamps"),
    *_fields("lidar_sweeps", "ego2global", CHANGED, POSES),
    *_fields("lidar_sweeps.lidar_points", "lidar_path", CHANGED, PATHS),
    *_fields("lidar_sweeps.lidar_points", "lidar2sensor", CHANGED, POSES),
    *_fields("lidar_sweeps.lidar_points", "lidar2ego num_pts_feats", KEPT, "nominal mounting, numbers per point"),
    *_fields("sweeps", "data_path", CHANGED, PATHS),
    *_fields("sweeps", "sensor2lidar_rotation sensor2lidar_translation ego2global_rotation ego2global_translation",
             CHANGED, POSES),
    *_fields("sweeps", "sensor2ego_rotation sensor2ego_translation", KEPT, "nominal mounting of the LiDAR"),
    *_fields("instances", "bbox_3d bbox_3d_isvalid num_lidar_pts bbox_label bbox_label_3d", CHANGED, "the box"),
    *_fields("instances", "velocity", CHANGED, "m/s along x and y of the LiDAR; NaN where unknown"),
    *_fields("instances", "bbox", CHANGED, "rectangle in the picture of its camera, pixels", optional=True),
    *_fields("instances", "num_radar_pts attr_label score index group_id track_id instance_token camera_id occluded "
             "timestamp visibility", KEPT, "facts of the box"),
    *_fields("instances", "truncated difficulty center_2d", REFUSED, "what one camera sees of the box",
             (MIRROR, PICTURES, MOUNT, TIME)),
    *_fields("instances", "mask", REFUSED, "pixels of the object in a picture of its camera, run lengths of COCO",
             (MIRROR, PICTURES, MOUNT, TIME)),
    *_fields("instances", "alpha", REFUSED, "direction from which its camera sees the box", (MIRROR, MOUNT, TIME)),
    *_fields("instances", "depth", REFUSED, "distance from its camera", (SCALE, MOUNT, TIME)),
    *_fields("instances", "unaligned_bbox_3d", REFUSED, MOVED, EVERYTHING),
    *_fields("metainfo|metadata", "dataset version info_version palette classes split", KEPT, "facts of the data set"),
    *_fields("metainfo|metadata", "categories", CHANGED, "classes; log.classes adds new names"),
)  # fmt: skip
FIELDS = {f.name: f for f in KNOWN_FIELDS}
PER_BOX = tuple(f.name for f in KNOWN_FIELDS if f.per_box)
COLUMNS = (*AXES, "intensity")  # and feature_4, ...: numbers that no geometry touches


def _parts(fields: Iterable[Field]) -> list[Part]:
    return [Part(f"**.pkl{FIELD}{f.name}", f.fate, f.about) for f in fields]


CACHE = "made by training code from the data as they were; make it anew"
INFO_FILE = Part("**infos*.pkl", CHANGED, "info file; log.infos names those that are called otherwise")
OTHER_PICKLE = Part("**.pkl", LEFT_OUT, f"no info file of this run: name it with log.infos; or {CACHE}")
CLOUD = Part("**.bin", CHANGED, "cloud, or labels of its points, that a sample names")
MASKS_NAMED = tuple(Part(f, CHANGED, "labels of points that a sample names") for f in ("**.label", "panoptic/**.npz"))
PICTURES_NAMED = tuple(
    Part(f"**.{end}", CHANGED, "picture that a sample names") for end in ("jpg", "jpeg", "png", "JPG", "JPEG", "PNG")
)
UNNAMED = Part("clouds and pictures", LEFT_OUT, "named by no sample of the info files; copy what you need")
CONTENTS = (
    Part("maps/**", LEFT_OUT, "maps of nuScenes, of which info files say nothing; read them with log=nuscenes"),
    Part("**dbinfos*.pkl", LEFT_OUT, CACHE),
    Part("**gt_database*/**", LEFT_OUT, CACHE),
    INFO_FILE,
    OTHER_PICKLE,
    CLOUD,
    *MASKS_NAMED,
    *PICTURES_NAMED,
    *_parts(KNOWN_FIELDS),
)


def is_data(part: Part) -> bool:
    """Whether a part is a file that samples name."""
    return part is CLOUD or part in (*PICTURES_NAMED, *MASKS_NAMED)
