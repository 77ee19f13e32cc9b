"""nuScenes: records and annotations of every sample, by the links of the tables.

The tables are read once for a log, and clouds when a sample is counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.core import Counted, Counts, counter, is_excluded
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.labels import Label, Labelled, labeller, points_inside, rotation_of
from fusion_aug.check.counts.roads import map_of_place, with_roads
from fusion_aug.check.counts.tracks import Moment, with_tracks
from fusion_aug.errors import DataError

LIDAR_BYTES = 5 * 4  # x, y, z, intensity, ring: float32
HEADER_BYTES = 65536  # of a PCD file, at most
KINDS = {"F": "f", "I": "i", "U": "u"}
Row = dict[str, Any]
# fields of an annotation that an augmentation changes, or that name it and its neighbours; all others are kept
COUNTS = ("num_lidar_pts", "num_radar_pts")
CHANGED = (
    "token", "sample_token", "instance_token", "prev", "next", "translation", "rotation", "size", "visibility_token",
    *COUNTS,
)  # fmt: skip


@counter("nuscenes")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Pictures, sweeps and points of every channel, boxes, and poses of the vehicle."""
    files = LogFiles(root, options)
    folder = version_folder(files, options)
    modality = {r["token"]: (r["channel"], r["modality"]) for r in rows(files, folder, "sensor")}
    channel = {r["token"]: modality[r["sensor_token"]] for r in rows(files, folder, "calibrated_sensor")}
    data: dict[str, list[Row]] = defaultdict(list)
    tracks: dict[str, list[str]] = defaultdict(list)
    for row in records(files, folder, options):
        data[row["sample_token"]].append(row)
    for row in rows(files, folder, "sample_annotation"):
        tracks[row["sample_token"]].append(row["instance_token"])
    scene_of = {r["token"]: r["scene_token"] for r in rows(files, folder, "sample")}
    names = {r["token"]: r["name"] for r in rows(files, folder, "scene")}
    grids = {
        r["token"]: f"gts/{names.get(r['scene_token'], '')}/{r['token']}/labels.npz"
        for r in rows(files, folder, "sample")
    }
    if is_excluded("occupancy", options):
        grids = dict.fromkeys(grids, "")
    found = {t: partial(count_sample, files, data[t], channel, len(tracks[t]), grid) for t, grid in grids.items()}

    def key(sample: str) -> Row:
        keys = [r for r in data[sample] if r["is_key_frame"]]
        lidars = [r for r in keys if channel[r["calibrated_sensor_token"]][1] == "lidar"]
        return (lidars or keys)[0]

    def moment(sample: str) -> Moment:
        return Moment(scene_of[sample], round(key(sample)["timestamp"] * 1000), tracks[sample])

    @cache
    def by_token(table: str) -> dict[str, Row]:
        return {r["token"]: r for r in rows(files, folder, table)}

    def place(sample: str) -> complex:
        x, y, _ = by_token("ego_pose")[key(sample)["ego_pose_token"]]["translation"]
        return complex(x, y)

    def road(sample: str) -> Path | None:
        token = by_token("scene")[scene_of[sample]].get("log_token", "")
        return map_of_place(files, str(by_token("log").get(token, {}).get("location", "")))

    return with_tracks(with_roads(found, options, place, road), options, moment)


def version_folder(files: LogFiles, options: Mapping[str, Any]) -> Path:
    """The folder of the tables: that of ``log.version``, or the one that there is.

    Raises:
        DataError: there is none.
    """
    found = sorted(p.parent for p in files.matching("*/sample.json"))
    version = options.get("version")
    chosen = [p for p in found if version in (None, p.name)]
    if not chosen:
        raise DataError(f"{files.root}: holds no tables {version or 'such as v1.0-mini'}")
    return chosen[0]


def records(files: LogFiles, folder: Path, options: Mapping[str, Any]) -> list[Row]:
    """Rows of sample_data without those of ``log.exclude``, with their files where they lie.

    Lyft's tables in ``train_data`` say ``images`` for ``train_images``.
    """
    sensors = {r["token"]: r["channel"] for r in rows(files, folder, "sensor")}
    channel = {r["token"]: sensors[r["sensor_token"]] for r in rows(files, folder, "calibrated_sensor")}
    given = options.get("exclude") or ()
    patterns = [given] if isinstance(given, str) else list(given)
    prefix = folder.name.removesuffix("data") if folder.name.endswith("_data") else ""
    out = []
    for row in rows(files, folder, "sample_data"):
        names = (channel[row["calibrated_sensor_token"]], row["filename"])
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
            continue
        other = row | {"filename": prefix + row["filename"]}
        there = prefix and not path_of(files, row).exists() and path_of(files, other).exists()
        out.append(other if there else row)
    return out


def path_of(files: LogFiles, row: Row) -> Path:
    """The file of a record.

    Raises:
        DataError: its name leads out of the log.
    """
    return files.named(row["filename"], f"{files.root}: sample_data {row['token']}: filename")


def rows(files: LogFiles, folder: Path, table: str) -> list[Row]:
    """Rows of a table."""
    found = files.json(folder / f"{table}.json")
    if not isinstance(found, list):
        raise DataError(f"{folder / f'{table}.json'}: expected a list of records")
    return found


def count_sample(
    files: LogFiles, data: list[Row], channel: Mapping[str, tuple[str, str]], boxes: int, grid: str
) -> Counts:
    """One sample."""
    out: dict[str, dict[str, int]] = {"boxes": {"boxes": boxes}, "ego": {"poses": len(data)}}
    if grid and files.is_file(files.named(grid, f"{files.root}: scene: name")):
        out["occupancy"] = {"items": 1}
    for row in data:
        name, modality = channel[row["calibrated_sensor_token"]]
        path = path_of(files, row)
        if modality == "camera":
            mine = out.setdefault(name, {"pictures": 0})
            mine["pictures"] += files.is_whole_picture(path)
            continue
        mine = out.setdefault(name, {"sweeps": 0, "points": 0})
        if files.is_file(path):
            mine["sweeps"] += 1
            mine["points"] += files.size(path) // LIDAR_BYTES if modality == "lidar" else len(radar_points(files, path))
    return out


def radar_points(files: LogFiles, path: Path) -> np.ndarray:
    """Detections of a radar file, a field of NumPy for every field; a single one at NaN means that there is none.

    Raises:
        DataError: it is no binary PCD file.
    """
    raw = files.read(path)
    end = raw.find(b"DATA binary\n", 0, HEADER_BYTES)
    words = [line.split() for line in raw[: max(end, 0)].decode("ascii", "replace").splitlines()]
    header = {w[0]: w[1:] for w in words if w}
    try:
        kinds = [f"<{KINDS[t]}{size}" for t, size in zip(header["TYPE"], header["SIZE"], strict=True)]
        kind = np.dtype(list(zip(header["FIELDS"], kinds, strict=True)))
        body = raw[end + len(b"DATA binary\n") :]
        points = np.frombuffer(body, kind, min(int(header["POINTS"][0]), len(body) // kind.itemsize))
    except (KeyError, ValueError, TypeError, IndexError):
        raise DataError(f"{path}: is not a binary PCD file") from None
    return points[:0] if len(points) and np.isnan(points["x"][0]) else points


# --- labels ----------------------------------------------------------------------------------------------------------
@labeller("nuscenes")
def labels(root: Path, options: Mapping[str, Any]) -> Labelled:
    """Annotations by token: their fields, and the points of the keyframes in them."""
    files = LogFiles(root, options)
    folder = version_folder(files, options)
    tables = {t: {r["token"]: r for r in rows(files, folder, t)} for t in ("sensor", "calibrated_sensor")}
    keys: dict[str, list[Row]] = defaultdict(list)
    boxes: dict[str, list[Row]] = defaultdict(list)
    for row in records(files, folder, options):
        if row["is_key_frame"]:
            keys[row["sample_token"]].append(row)
    for row in rows(files, folder, "sample_annotation"):
        boxes[row["sample_token"]].append(row)
    needed = {r["ego_pose_token"] for data in keys.values() for r in data}
    tables["ego_pose"] = {r["token"]: r for r in rows(files, folder, "ego_pose") if r["token"] in needed}
    tokens = [r["token"] for r in rows(files, folder, "sample")]
    return {t: partial(labels_of_sample, files, tables, keys[t], boxes[t]) for t in tokens}


def labels_of_sample(
    files: LogFiles, tables: Mapping[str, Mapping[str, Row]], data: list[Row], boxes: list[Row]
) -> dict[str, Label]:
    """Labels of one sample."""
    centres = np.array([b["translation"] for b in boxes], dtype=np.float64).reshape(-1, 3)
    sizes = np.array([b["size"] for b in boxes], dtype=np.float64).reshape(-1, 3)[:, [1, 0, 2]]  # width comes first
    rotations = np.array([rotation_of(b["rotation"]) for b in boxes]).reshape(-1, 3, 3)
    inside = {}
    for kind in ("lidar", "radar"):
        clouds = [c for row in data if (c := world_points(files, tables, row, kind)) is not None]
        if clouds:
            inside[f"num_{kind}_pts"] = points_inside(np.concatenate(clouds), centres, rotations, sizes)
    out = {}
    for i, box in enumerate(boxes):
        counted = {field: ranges[i] for field, ranges in inside.items() if is_count(box.get(field))}
        facts = {k: v for k, v in box.items() if k not in CHANGED or (k in COUNTS and not is_count(v))}
        out[str(box["token"])] = Label(facts, {field: int(box[field]) for field in counted}, counted)
    return out


def is_count(value: Any) -> bool:
    """Whether a number of points is known; -1 or nothing stands for an unknown one."""
    return isinstance(value, int) and value >= 0


def world_points(files: LogFiles, tables: Mapping[str, Mapping[str, Row]], row: Row, kind: str) -> np.ndarray | None:
    """Points (n, 3) of a record in the world, float64 metres; None where it is of another kind of sensor."""
    mounted = tables["calibrated_sensor"][row["calibrated_sensor_token"]]
    if tables["sensor"][mounted["sensor_token"]]["modality"] != kind:
        return None
    path = path_of(files, row)
    if kind == "lidar":
        points = np.frombuffer(files.read(path), "<f4").reshape(-1, LIDAR_BYTES // 4)[:, :3]
    else:
        found = radar_points(files, path)
        points = np.stack([found[axis] for axis in "xyz"], axis=1)
    points = points.astype(np.float64)
    for record in (mounted, tables["ego_pose"][row["ego_pose_token"]]):
        points = points @ rotation_of(record["rotation"]).T + np.asarray(record["translation"])
    return points
