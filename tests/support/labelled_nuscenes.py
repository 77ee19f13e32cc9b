"""Labels of points for a nuScenes log, made and read with NumPy and JSON alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from nuscenes_files import channel, tables

NOISE = 0  # index of the class "noise"
STUFF = ("flat.road", "flat.other", "static.wall", "static.plant")  # classes without objects
FIRST = 2  # the smallest class of a point that is made here


def add_labels(root: Path, *, lidarseg: bool = True, panoptic: bool = True, every: int = 1) -> None:
    """Give every ``every``-th LiDAR keyframe labels by which each of its points is known.

    Point i has the class ``FIRST + i // 1000`` and the instance ``i % 1000``; of every seventh the panoptic file
    ignores class and instance.
    """
    t = tables(root)
    folder = next(root.glob("v1.0-*"))
    others = [row for token, row in t["category"].items() if row["name"] not in ("noise", *STUFF)]
    others += [{"token": name, "name": name, "description": "surface"} for name in STUFF]
    categories = [{"token": "noise", "name": "noise", "description": "dust", "index": NOISE}]
    categories += [{**row, "index": i + 1} for i, row in enumerate(others)]
    (folder / "category.json").write_text(json.dumps(categories))
    rows: dict[str, list[dict]] = {"lidarseg": [], "panoptic": []}
    keys = [r for r in t["sample_data"].values() if r["is_key_frame"] and channel(t, r) == "LIDAR_TOP"]
    for row in (r for r in keys[::every] if (root / r["filename"]).is_file()):
        number = np.arange(len(cloud_of(root, row)))
        label, instance = FIRST + number // 1000, number % 1000
        for table, wanted in (("lidarseg", lidarseg), ("panoptic", panoptic)):
            if not wanted:
                continue
            name = f"{table}/{folder.name}/{row['token']}_{table}.{'bin' if table == 'lidarseg' else 'npz'}"
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            rows[table].append({"token": row["token"], "sample_data_token": row["token"], "filename": name})
            if table == "lidarseg":
                label.astype(np.uint8).tofile(root / name)
            else:
                numbers = np.where(number % 7 == 0, 0, label * 1000 + instance)
                np.savez_compressed(root / name, data=numbers.astype(np.uint16))
    for table, wanted in (("lidarseg", lidarseg), ("panoptic", panoptic)):
        if wanted:
            (folder / f"{table}.json").write_text(json.dumps(rows[table]))


def cloud_of(root: Path, row: dict) -> np.ndarray:
    """Points (n, 5) of a record."""
    return np.fromfile(root / row["filename"], "<f4").reshape(-1, 5)


def labels_of(root: Path, t: dict, record: str) -> dict[str, np.ndarray]:
    """Numbers in the files of a record, by table."""
    out = {}
    for table in ("lidarseg", "panoptic"):
        for row in (r for r in t.get(table, {}).values() if r["sample_data_token"] == record):
            path = root / row["filename"]
            if table == "lidarseg":
                out[table] = np.fromfile(path, np.uint8)
            else:
                with np.load(path) as archive:
                    out[table] = archive["data"]
                    assert out[table].dtype == np.uint16
    return out


def keyframes(t: dict) -> dict[str, dict]:
    """Sample -> record of its LiDAR keyframe."""
    rows = (r for r in t["sample_data"].values() if r["is_key_frame"] and channel(t, r) == "LIDAR_TOP")
    return {r["sample_token"]: r for r in rows}
