"""mmdetection3d info files: what each sample names, of either layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.core import Counted, Counts, chosen_width, counter
from fusion_aug.check.counts.files import LogFiles, once_per_file
from fusion_aug.check.counts.labels import Label, Labelled, labeller, points_inside, rotations_about_z
from fusion_aug.safe.pickles import load_plain

LIDAR = "lidar"
WAYMO_CAMERAS = ("CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_SIDE_LEFT", "CAM_SIDE_RIGHT")  # image_0, ...
Info = dict[str, Any]
read_pickle = once_per_file(load_plain)


@counter("mmdet3d")
def count(root: Path, options: Mapping[str, Any]) -> Counted:
    """Pictures, sweeps, points and boxes of every sample of the info files."""
    files = LogFiles(root, options)
    named = {i: info for path in info_files(files, options) for i, info in samples_of(path)}
    return {i: partial(count_sample, files, info, options) for i, info in named.items()}


def samples_of(path: Path) -> Iterator[tuple[str, Info]]:
    """Id and content of every sample of an info file."""
    for number, info in enumerate(infos_of(read_pickle(path))):
        yield f"{path.stem}/{token_of(info, number)}", info


def info_files(files: LogFiles, options: Mapping[str, Any]) -> list[Path]:
    """The info files that ``log.infos`` names, or those that are called so."""
    given = options.get("infos")
    named = [given] if isinstance(given, str) else list(given or ())
    if named:
        paths = [files.named(n if n.endswith(".pkl") else f"{n}.pkl", "log.infos") for n in named]
        return sorted(p for p in paths if files.is_file(p))
    usual = [p for p in files.matching("*infos*.pkl") if "dbinfos" not in p.stem]
    return usual or files.matching("*.pkl")


def infos_of(data: Any) -> list[Info]:
    """Samples of a file: ``data_list`` of layout 2, ``infos`` of the older one, or the bare list."""
    rows: Any = data.get("data_list", data.get("infos", ())) if isinstance(data, dict) else data
    return list(rows)


def token_of(info: Info, number: int) -> str:
    """What a sample is called."""
    return str(info.get("token", info.get("sample_idx", number)))


def count_sample(files: LogFiles, info: Info, options: Mapping[str, Any]) -> Counts:
    """One sample."""
    cameras, clouds = named_files(info)
    out: dict[str, dict[str, int]] = {}
    for name, path in cameras.items():
        found = find(files, path, name, list(cameras))
        out[name] = {"pictures": int(found is not None and files.is_whole_picture(found))}
    found_clouds = [p for p in (find(files, c, "LIDAR_TOP") for c in clouds) if p is not None]
    width = width_of(files, info, options)
    out[LIDAR] = {"sweeps": len(found_clouds), "points": sum(files.size(p) // (4 * width) for p in found_clouds)}
    out["boxes"] = {"boxes": len(info.get("instances") or ()) if is_new(info) else len(info.get("gt_boxes", ()))}
    for camera in rectangles(info, list(cameras)):
        out.setdefault(f"{camera}/boxes_2d", {"boxes": 0})["boxes"] += 1
    return out


def rectangles(info: Info, cameras: Sequence[str]) -> Iterator[str]:
    """Camera of every box that has a rectangle with an area in a picture."""
    for instance in (info.get("instances") or ()) if is_new(info) else ():
        box, number = instance.get("bbox"), instance.get("camera_id", 0 if len(cameras) == 1 else None)
        if box is not None and number is not None and 0 <= int(number) < len(cameras):
            left, top, right, bottom = (float(v) for v in box)
            if right > left and bottom > top and bool(np.isfinite([left, top, right, bottom]).all()):
                yield cameras[int(number)]


def is_new(info: Info) -> bool:
    """Whether a sample is of layout 2."""
    return "lidar_points" in info


def named_files(info: Info) -> tuple[dict[str, str], list[str]]:
    """Camera -> picture, and all clouds, the keyframe's first, by the paths that a sample gives."""
    if is_new(info):
        cameras = {n: c["img_path"] for n, c in (info.get("images") or {}).items() if "img_path" in c}
        sweeps = [s["lidar_points"]["lidar_path"] for s in info.get("lidar_sweeps") or ()]
        return cameras, [info["lidar_points"]["lidar_path"], *sweeps]
    cameras = {n: c["data_path"] for n, c in (info.get("cams") or {}).items()}
    return cameras, [info["lidar_path"], *(s["data_path"] for s in info.get("sweeps") or ())]


def find(files: LogFiles, named: str, channel: str, cameras: Sequence[str] = ()) -> Path | None:
    """The file below the root that a sample names, with its folders or without, as data sets of either layout lie."""
    parts = [p for p in Path(named.replace("\\", "/")).parts if p not in ("/", ".", "..")]
    tails = ["/".join(parts[i:]) for i in range(len(parts))]
    folders = [f"samples/{channel}", f"sweeps/{channel}", "points", f"images/{channel}", "velodyne"]
    order = WAYMO_CAMERAS if channel in WAYMO_CAMERAS else cameras
    last = f"image_{order.index(channel)}" if channel in order else "velodyne"
    folders += [f"training/{last}", f"testing/{last}"]
    places = [*tails, *(f"{folder}/{parts[-1]}" for folder in folders)]
    paths = (files.named(p, named) for p in places)
    return next((p for p in paths if files.is_file(p)), None)


def width_of(files: LogFiles, info: Info, options: Mapping[str, Any]) -> int:
    """Numbers per point: as the sample says, else 5 or 4, what the size of its cloud is a multiple of."""
    said = int(info["lidar_points"].get("num_pts_feats", 0)) if is_new(info) else 0
    path = find(files, named_files(info)[1][0], "LIDAR_TOP")
    return chosen_width(options, said or (5 if path is None else guessed_width(files, path)))


def guessed_width(files: LogFiles, path: Path) -> int:
    """5 or 4; where the size fits both, that of which the columns vary less in themselves than numbers of all."""
    size = files.size(path)
    if size % 20 or size % 16 or not size:
        return 5 if size % 20 == 0 else 4
    numbers = np.frombuffer(files.read(path), "<f4").astype(np.float64)
    return min((5, 4), key=lambda width: float(np.nanmean(np.nanvar(numbers.reshape(-1, width), axis=0))))


# --- labels ----------------------------------------------------------------------------------------------------------
@labeller("mmdet3d")
def labels(root: Path, options: Mapping[str, Any]) -> Labelled:
    """Boxes by their place in the list, and the points of the keyframe in them."""
    found: dict[str, Any] = {}
    files = LogFiles(root, options)
    for path in info_files(files, options):
        samples, classes = dict(samples_of(path)), class_names(read_pickle(path))
        by_length = not is_width_first(samples.values())
        found |= {i: partial(labels_of_sample, files, v, options, by_length, classes) for i, v in samples.items()}
    return found


def class_names(data: Any) -> dict[int, str]:
    """Label -> name of a class, of layout 2."""
    meta = data.get("metainfo") if isinstance(data, dict) else None
    named = meta.get("categories") if isinstance(meta, dict) else None
    return {int(label): str(name) for name, label in named.items()} if isinstance(named, dict) else {}


def is_asked_for(row: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    """Whether ``log.classes`` and ``log.bad_boxes`` keep a box."""
    box = np.asarray(row["box"], dtype=np.float64)
    if options.get("bad_boxes") == "leave_out" and not (np.isfinite(box).all() and (box[3:6] > 0).all()):
        return False
    asked = options.get("classes")
    listed = asked.values() if isinstance(asked, Mapping) else [asked]
    patterns = [p for old in listed for p in ([old] if isinstance(old, str) else old or ())]
    return asked is None or any(fnmatchcase(row["class"], p) for p in patterns)


def is_width_first(infos: Iterable[Info]) -> bool:
    """Whether boxes are as before mmdetection3d 1.0: width, length, height, and an angle of -yaw - pi/2.

    No field says so, but hardly anything on a road is wider than long.
    """
    boxes = [np.asarray(i["gt_boxes"], dtype=np.float64) for i in infos if not is_new(i) and len(i.get("gt_boxes", ()))]
    longer = sum(int((b[:, 3] > 1.3 * b[:, 4]).sum()) for b in boxes)
    wider = sum(int((b[:, 4] > 1.3 * b[:, 3]).sum()) for b in boxes)
    return wider > 4 * longer


def labels_of_sample(
    files: LogFiles, info: Info, options: Mapping[str, Any], by_length: bool, classes: Mapping[int, str]
) -> dict[str, Label]:
    """Labels of one sample; boxes are in the frame of its LiDAR."""
    rows = [row for row in label_rows(info, classes) if is_asked_for(row, options)]
    path = find(files, named_files(info)[1][0], "LIDAR_TOP")
    if not rows or path is None:
        return {}
    boxes = np.array([row["box"] for row in rows], dtype=np.float64)
    sizes, yaw = (boxes[:, 3:6], boxes[:, 6]) if by_length else (boxes[:, [4, 3, 5]], -boxes[:, 6] - np.pi / 2)
    points = np.frombuffer(files.read(path), "<f4").reshape(-1, width_of(files, info, options))[:, :3]
    inside = points_inside(points, boxes[:, :3], rotations_about_z(yaw), sizes)
    return {
        str(i): Label(row["facts"], row["official"], dict.fromkeys(row["official"], inside[i]))
        for i, row in enumerate(rows)
    }


def official_count(value: Any) -> dict[str, int]:
    """The number of points of a box; nothing where it is not known, which -1 says too."""
    return {} if value is None or int(value) < 0 else {"num_lidar_pts": int(value)}


def label_rows(info: Info, classes: Mapping[int, str]) -> list[dict[str, Any]]:
    """Box, class, facts and point count of every label of a sample, of either layout."""
    if is_new(info):
        return [
            {
                "box": list(i["bbox_3d"])[:7],
                "class": classes.get(label := i.get("bbox_label_3d", i.get("bbox_label", -1)), str(label)),
                "facts": {k: i[k] for k in ("attr_label", "num_radar_pts") if k in i},
                "official": official_count(i.get("num_lidar_pts")),
            }
            for i in info.get("instances") or ()
        ]
    counts, radar = info.get("num_lidar_pts"), info.get("num_radar_pts")
    return [
        {
            "box": list(box)[:7],
            "class": str(info["gt_names"][k]) if "gt_names" in info else "object",
            "facts": {} if radar is None else {"num_radar_pts": int(radar[k])},
            "official": official_count(None if counts is None else counts[k]),
        }
        for k, box in enumerate(info.get("gt_boxes", ()))
    ]
