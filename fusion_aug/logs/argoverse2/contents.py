"""What an Argoverse 2 log holds, and what a run makes of it."""

from __future__ import annotations

from fusion_aug.logs.argoverse2.tables import BOXES, INTRINSICS, LENS, POSE
from fusion_aug.logs.core.contents import CHANGED, KEPT, LEFT_OUT, Part

OWN = "; columns that the format does not know stay with their rows"
FLOW = "; copied only by a run that changes no cloud and no pose, else make it anew"
FILES = (
    Part("**/sensors/lidar/*.feather", CHANGED, "points of a sweep; coordinates in float32 where they move" + OWN),
    Part("**/sensors/cameras/*/*.jpg", CHANGED, "pictures, with the sweep that lies nearest in time"),
    Part("**/annotations.feather", CHANGED, "cuboids of the sweeps that are written; others are left out" + OWN),
    Part("**/city_SE3_egovehicle.feather", CHANGED, "poses within 0.06 s of what is written; others are left out"),
    Part("**/calibration/egovehicle_SE3_sensor.feather", CHANGED, "mountings of the sensors" + OWN),
    Part("**/calibration/intrinsics.feather", CHANGED, "focal lengths, centres and sizes of the cameras" + OWN),
    *(Part(f"**/map/{file}", CHANGED, f"{about}; only a mirror or a scale moves", False) for file, about in (
        ("log_map_archive_*.json", "lanes, crossings, drivable areas, read around the vehicle with log.map_range"),
        ("*_ground_height_surface____*.npy", "heights of the ground"),
        ("*___img_Sim2_city.json", "from the city to the cells of the ground heights"),
    )),
    Part("**/flow_labels.feather", LEFT_OUT, "scene flow of every point" + FLOW),
    Part("**/ego_motion.npz", LEFT_OUT, "motion of the vehicle between two sweeps" + FLOW),
)  # fmt: skip

CLOUD, LABELS = "**/sensors/lidar/*.feather:", "**/annotations.feather:"
TRACK, MOUNTS = "**/city_SE3_egovehicle.feather:", "**/calibration/egovehicle_SE3_sensor.feather:"
CAMERAS, MAP = "**/calibration/intrinsics.feather:", "**/map/log_map_archive_*.json:"
LANES, CROSSINGS, AREAS = (MAP + f"{s}." for s in ("lane_segments", "pedestrian_crossings", "drivable_areas"))
FIELDS = (
    *(Part(CLOUD + c, CHANGED, "metres, in the vehicle's frame") for c in "xyz"),
    Part(CLOUD + "intensity", CHANGED, "strength of the return"),
    Part(CLOUD + "laser_number", KEPT, "which laser, and so which scanner"),
    Part(CLOUD + "offset_ns", CHANGED, "time since the sweep's stamp"),
    Part(CLOUD + "flow_t[xyz]_m", CHANGED, "scene flow to the next sweep, metres; turned, mirrored and scaled"),
    Part(CLOUD + "is_valid", CHANGED, "beside a flow: whether it is known; that of returns from the air is not"),
    Part(CLOUD + "is_dynamic", CHANGED, "beside a flow: whether the point moves by itself"),
    *(Part(CLOUD + c, CHANGED, "class of the point") for c in ("category_indices", "label")),
    Part(CLOUD + "instance", CHANGED, "object that the point belongs to, 0 for none"),
    *(Part(LABELS + c, CHANGED, "cuboids: stamp, class, track, size, pose") for c in BOXES[:-1]),
    Part(LABELS + BOXES[-1], CHANGED, "points in the cuboid, by the official count", False),
    *(Part(TRACK + c, CHANGED, "pose of the vehicle in the city") for c in ("timestamp_ns", *POSE)),
    *(Part(MOUNTS + c, CHANGED, "mounting of a sensor on the vehicle") for c in ("sensor_name", *POSE)),
    *(Part(CAMERAS + c, CHANGED, "camera of the stored pictures") for c in INTRINSICS),
    *(Part(CAMERAS + c, KEPT, "lens that the pictures were freed of", False) for c in LENS),
    *(Part(MAP + s, KEPT, "empty") for s in ("lane_segments", "pedestrian_crossings", "drivable_areas")),
    *(Part(LANES + s + "_lane_boundary", CHANGED, "changes sides in a mirror") for s in ("left", "right")),
    *(Part(LANES + s + "_lane_mark_type", CHANGED, "changes sides in a mirror") for s in ("left", "right")),
    *(Part(LANES + s + "_neighbor_id", CHANGED, "changes sides in a mirror") for s in ("left", "right")),
    *(Part(LANES + f, KEPT, "lane") for f in ("id", "is_intersection", "lane_type", "predecessors", "successors")),
    Part(LANES + "centerline", CHANGED, "points in the city"),
    *(Part(CROSSINGS + f, CHANGED, "points in the city") for f in ("edge1", "edge2")),
    Part(AREAS + "area_boundary", CHANGED, "points in the city"),
    *(Part(s + "id", KEPT, "number") for s in (CROSSINGS, AREAS)),
)  # fmt: skip

SIDE_FILES = ("flow_labels.feather", "ego_motion.npz")
CONTENTS = (*FILES, *FIELDS)
NO_SWEEP = Part("**/sensors/cameras/*/*.jpg without a sweep", LEFT_OUT, "pictures 0.05 s or more from every sweep")
STRAY_BOXES = Part(
    "**/annotations.feather with cuboids of no sweep", LEFT_OUT,
    "cuboids whose stamp is that of no sweep; those of the sweeps are written",
)  # fmt: skip
NO_SAMPLE = Part("a log without sweeps", LEFT_OUT, "no sensors/lidar/*.feather, and so no sample")
