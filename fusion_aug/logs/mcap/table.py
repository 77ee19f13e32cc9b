"""The table of message types, field by field: what a run keeps, changes, or stops at.

Types with rules tell their own (``typed.TYPES``); those that are read into pictures, clouds, joints and the rig are
told here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fusion_aug.logs.mcap.definitions import typestore
from fusion_aug.logs.mcap.rules import FRAME, MIRROR, MOUNT, NOISE, SCALE, SHIFT, STAMP, TURN, WARP, WEATHER, Fate
from fusion_aug.logs.mcap.typed import TYPES

HEADER, TIME, DURATION = "std_msgs/msg/Header", "builtin_interfaces/msg/Time", "builtin_interfaces/msg/Duration"
LIGHT, IMAGE, ROBOT = "light", "image plane", "robot"
ORDER = (LIGHT, NOISE, IMAGE, WEATHER, MIRROR, TURN, SHIFT, SCALE, WARP, MOUNT, ROBOT)
PICTURE = (LIGHT, NOISE, IMAGE, WEATHER, MIRROR, MOUNT)
CANVAS = Fate((IMAGE,), "pixels of the canvas")
CALIBRATION = Fate((IMAGE, MIRROR, MOUNT), "of the canvas that the pictures have")
ROWS = Fate((NOISE, WEATHER, MOUNT), "points are selected, added or hidden")
JOINTS = Fate((MIRROR, WARP, ROBOT, NOISE), "by name; a scale changes lengths of sliding joints and torques of others")
POSE = Fate((MIRROR, TURN, SHIFT, SCALE, MOUNT, ROBOT), "of the frames of the rig")
OTHERS: dict[str, dict[str, Fate]] = {
    "sensor_msgs/msg/Image": {
        "height": CANVAS, "width": CANVAS, "step": CANVAS, "encoding": Fate(why="as it is"),
        "is_bigendian": Fate(PICTURE, "0 in a picture that was written again"), "data": Fate(PICTURE),
    },
    "sensor_msgs/msg/CompressedImage": {"format": Fate(why="stays true"), "data": Fate(PICTURE)},
    "sensor_msgs/msg/CameraInfo": {
        "height": CANVAS, "width": CANVAS, "distortion_model": Fate(why="as it is"), "d": CALIBRATION,
        "k": CALIBRATION, "r": CALIBRATION, "p": CALIBRATION, "binning_x": CALIBRATION, "binning_y": CALIBRATION,
        "roi": CALIBRATION,
    },
    "sensor_msgs/msg/PointCloud2": {
        "height": ROWS, "width": ROWS, "fields": Fate(why="names and types stay"), "is_bigendian": Fate(why="as it is"),
        "point_step": Fate(why="as it is"), "row_step": ROWS, "is_dense": ROWS,
        "data": Fate((NOISE, WEATHER, MIRROR, TURN, SHIFT, SCALE, WARP, MOUNT), "by the meaning of each field"),
    },
    "sensor_msgs/msg/JointState": {
        "name": Fate((MIRROR,), "those of the other side where a topic holds one side of a robot"),
        "position": JOINTS, "velocity": JOINTS, "effort": JOINTS,
    },
    "geometry_msgs/msg/WrenchStamped": {
        "wrench.force": Fate((MIRROR, TURN, WARP, MOUNT, NOISE, ROBOT), "about the origin of its frame"),
        "wrench.torque": Fate((MIRROR, TURN, SCALE, WARP, MOUNT, NOISE, ROBOT), "about the origin of its frame"),
    },
    "tf2_msgs/msg/TFMessage": {
        "transforms[].header.stamp": Fate((WARP,), STAMP), "transforms[].header.frame_id": Fate(why=FRAME),
        "transforms[].child_frame_id": Fate(why=FRAME), "transforms[].transform": POSE,
    },
    **{
        f"std_msgs/msg/Float{n}MultiArray": {
            "layout": Fate(why="as it is"),
            "data": Fate((MIRROR, TURN, SCALE, WARP, ROBOT), "as the rig file or log.parts tell; else it is opaque"),
        }
        for n in (32, 64)
    },
}  # fmt: skip


def message_table() -> dict[str, dict[str, Fate]]:
    """Type -> path of a field, or of a part with all its fields -> its fate."""
    found = {kind: dict(rules.fates()) for kind, rules in TYPES.items()} | OTHERS
    types = typestore().fielddefs
    for kind, fates in found.items():
        if types[kind][1][0][0] == "header":
            found[kind] = {"header.stamp": Fate((WARP,), STAMP), "header.frame_id": Fate(why=FRAME), **fates}
    return dict(sorted(found.items()))


def leaves(kind: str, types: Mapping[str, Any] | None = None, path: str = "") -> Iterable[str]:
    """Paths of all fields of a type, by ROS's own definitions; those of the elements of a list after ``[]``."""
    types = typestore().fielddefs if types is None else types
    for name, (node, what) in types[kind][1]:
        here, element = f"{path}{name}", what
        if int(node) in (3, 4):  # an array or a sequence of elements
            (node, element), here = what[0], f"{here}[]" if int(what[0][0]) == 2 else here
        if int(node) == 2 and element not in (TIME, DURATION):
            yield from leaves(element, types, f"{here}.")
        else:
            yield here


def fate_of(leaf: str, fates: Mapping[str, Fate]) -> Fate | None:
    """The fate of a field by its path: that of the longest path in the table that holds it; None where none does."""
    holding = [p for p in fates if p == leaf or leaf.startswith((f"{p}.", f"{p}[]"))]
    return fates[max(holding, key=len)] if holding else None


def table_rows() -> list[list[str]]:
    """Rows of the documented table: type, field, what changes it, what stops at it, what it is."""
    out = []
    for kind, fates in message_table().items():
        name = f"`{kind}`"
        for path, fate in fates.items():
            if path.startswith("header."):
                continue
            changed = ", ".join(w for w in ORDER if w in fate.changed_by) or "kept"
            out.append([name, f"`{path}`", changed, ", ".join(fate.refused_by), fate.why])
            name = ""
    return out
