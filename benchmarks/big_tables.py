"""Tables of nuScenes of any size, in the proportions of trainval: no file of a sensor goes with them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

Row = dict[str, Any]
CAMERAS = ("CAM_FRONT", "CAM_FRONT_RIGHT", "CAM_BACK_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_FRONT_LEFT")
RADARS = ("RADAR_FRONT", "RADAR_FRONT_LEFT", "RADAR_FRONT_RIGHT", "RADAR_BACK_LEFT", "RADAR_BACK_RIGHT")
CHANNELS = {
    "LIDAR_TOP": "lidar", **dict.fromkeys(CAMERAS, "camera"), **dict.fromkeys(RADARS, "radar"),
}  # fmt: skip
SAMPLES, RECORDS, BOXES = 40, 6, 34  # of a scene; of a channel and a sample, the keyframe among them; of a sample
PER_SAMPLE = RECORDS * len(CHANNELS)
TABLES = (
    "category", "attribute", "visibility", "instance", "sensor", "calibrated_sensor", "ego_pose", "log", "scene",
    "sample", "sample_data", "sample_annotation", "map",
)  # fmt: skip


def token(*parts: object) -> str:
    """32 hexadecimal digits."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def write_big_tables(root: Path, rows: int) -> int:
    """Write the tables of whole samples below a root.

    Args:
        root: of the log. rows: of sample_data, about.

    Returns:
        how many there are, as many as of ego_pose.
    """
    samples = max(rows // PER_SAMPLE, 1)
    folder = root / "v1.0-trainval"
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        files = {t: stack.enter_context((folder / f"{t}.json").open("w")) for t in TABLES}
        first = dict.fromkeys(TABLES, True)
        for table, row in _rows(samples):
            _write(files[table], row, first[table])
            first[table] = False
        for table, file in files.items():
            file.write("[\n]\n" if first[table] else "\n]\n")
    return samples * PER_SAMPLE


def _write(file: IO[str], row: Row, is_first: bool) -> None:
    file.write(("[\n" if is_first else ",\n") + json.dumps(row, indent=0))  # a field a line, as nuScenes has them


def _rows(samples: int) -> Iterator[tuple[str, Row]]:
    for level in "1234":
        yield "visibility", {"token": level, "level": level, "description": ""}
    for name in ("car", "pedestrian"):
        yield "category", {"token": token("category", name), "name": name, "description": ""}
    for channel, modality in CHANNELS.items():
        yield "sensor", {"token": token("sensor", channel), "channel": channel, "modality": modality}
    scenes = math.ceil(samples / SAMPLES)
    for scene in range(scenes):
        yield from _scene(scene, min(SAMPLES, samples - scene * SAMPLES))
    logs = [token("log", scene) for scene in range(scenes)]
    yield "map", {"token": token("map"), "log_tokens": logs, "category": "semantic_prior", "filename": "maps/a.png"}


def _scene(scene: int, samples: int) -> Iterator[tuple[str, Row]]:
    own = [token("sample", scene, i) for i in range(samples)]
    yield "log", {"token": token("log", scene), "logfile": "", "vehicle": "", "date_captured": "", "location": "a"}
    yield "scene", {
        "token": token("scene", scene), "log_token": token("log", scene), "nbr_samples": samples, "description": "",
        "first_sample_token": own[0], "last_sample_token": own[-1], "name": f"scene-{scene:04d}",
    }  # fmt: skip
    for channel, modality in CHANNELS.items():
        yield "calibrated_sensor", {
            "token": token("calibrated", scene, channel), "sensor_token": token("sensor", channel), **_pose(scene),
            "camera_intrinsic": [[1266.4, 0.0, 816.2], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]]
            if modality == "camera" else [],
        }  # fmt: skip
    for box in range(BOXES):
        boxes = [token("annotation", scene, i, box) for i in range(samples)]
        yield "instance", {
            "token": token("instance", scene, box), "category_token": token("category", ("car", "pedestrian")[box % 2]),
            "nbr_annotations": samples, "first_annotation_token": boxes[0], "last_annotation_token": boxes[-1],
        }  # fmt: skip
    for i in range(samples):
        time = 1532402927647951 + (scene * SAMPLES + i) * 500000
        yield "sample", {
            "token": own[i], "timestamp": time, "scene_token": token("scene", scene),
            **_near(samples, i, "sample", scene),
        }  # fmt: skip
        for channel in CHANNELS:
            yield from _records(scene, samples, i, time, channel)
        for box in range(BOXES):
            yield "sample_annotation", {
                "token": token("annotation", scene, i, box), "sample_token": own[i],
                "instance_token": token("instance", scene, box), "visibility_token": "4", "attribute_tokens": [],
                **_pose(scene + box + i), "size": [1.9 + box / 7, 4.6, 1.7],
                "num_lidar_pts": box, "num_radar_pts": 0,
                **_near(samples, i, "annotation", scene, box),
            }  # fmt: skip


def _records(scene: int, samples: int, sample: int, time: int, channel: str) -> Iterator[tuple[str, Row]]:
    is_camera = channel in CAMERAS
    for k in range(RECORDS):
        stamp, number = time - k * 80000 + 1000 * list(CHANNELS).index(channel), sample * RECORDS + k
        own, ending = token("data", scene, channel, number), "jpg" if is_camera else "pcd.bin"
        yield "ego_pose", {"token": own, "timestamp": stamp, **_pose(number)}
        name = f"n015-2018-07-24-11-22-45+0800__{channel}__{stamp}"
        yield "sample_data", {
            "token": own, "sample_token": token("sample", scene, sample), "ego_pose_token": own,
            "calibrated_sensor_token": token("calibrated", scene, channel), "timestamp": stamp,
            "fileformat": ending[:3], "is_key_frame": k == 0, "height": 900 * is_camera, "width": 1600 * is_camera,
            "filename": f"{'sweeps' if k else 'samples'}/{channel}/{name}.{ending}",
            "prev": token("data", scene, channel, number - 1) if number else "",
            "next": token("data", scene, channel, number + 1) if number + 1 < samples * RECORDS else "",
        }  # fmt: skip


def _near(samples: int, i: int, kind: str, scene: int, *more: object) -> Row:
    before = token(kind, scene, i - 1, *more) if i else ""
    return {"prev": before, "next": token(kind, scene, i + 1, *more) if i + 1 < samples else ""}


def _pose(number: int) -> Row:
    half = 0.001 * number
    return {
        "rotation": [math.cos(half), 0.0, 0.0, math.sin(half)],
        "translation": [411.3039245 + number / 3, 1180.890379 + number / 7, 0.0],
    }
