"""nuScenes: points of the LiDARs by class, from the files of lidarseg, else of panoptic."""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.classes import ByClass, CountedByClass, class_counter
from fusion_aug.check.counts.core import is_excluded
from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.nuscenes import LIDAR_BYTES, Row, path_of, records, rows, version_folder
from fusion_aug.errors import DataError
from fusion_aug.safe.npz import checked_array, checked_members

PER_CLASS = 1000  # numbers of instances that a class has in panoptic files


@class_counter("nuscenes")
def count_classes(root: Path, options: Mapping[str, Any]) -> CountedByClass:
    """Points by class of every sample, by the links of the tables."""
    files = LogFiles(root, options)
    folder = version_folder(files, options)
    names = {r["token"]: r["channel"] for r in rows(files, folder, "sensor")}
    channel = {r["token"]: names[r["sensor_token"]] for r in rows(files, folder, "calibrated_sensor")}
    labels: dict[str, dict[str, Row]] = defaultdict(dict)  # record -> table -> its row
    for table in ("lidarseg", "panoptic"):
        for row in rows(files, folder, table) if files.is_file(folder / f"{table}.json") else ():
            if not is_excluded(row["filename"], options):
                labels[row["sample_data_token"]][table] = row
    data: dict[str, list[tuple[str, Row]]] = defaultdict(list)
    for row in records(files, folder, options):
        if row["token"] in labels:
            data[row["sample_token"]].append((channel[row["calibrated_sensor_token"]], row))
    tokens = [r["token"] for r in rows(files, folder, "sample")]
    return {t: partial(classes_of, files, data[t], labels) for t in tokens}


def classes_of(files: LogFiles, data: list[tuple[str, Row]], labels: Mapping[str, Mapping[str, Row]]) -> ByClass:
    """Points of a sample by stream and class.

    Raises:
        DataError: a file does not hold one number for each point of its cloud.
    """
    out: dict[str, dict[int, int]] = {}
    for name, row in data:
        points = files.size(path_of(files, row)) // LIDAR_BYTES
        found = {t: numbers_in(files, t, path_of(files, own)) for t, own in labels[row["token"]].items()}
        for table, numbers in found.items():
            if numbers.shape != (points,):
                where = path_of(files, labels[row["token"]][table])
                raise DataError(f"{where}: holds {numbers.size} labels, and {row['filename']} {points} points")
        kept = found["lidarseg"] if "lidarseg" in found else found["panoptic"] // PER_CLASS
        mine = out.setdefault(name, {})
        for label, number in zip(*np.unique(kept, return_counts=True), strict=True):
            mine[int(label)] = mine.get(int(label), 0) + int(number)
    return out


def numbers_in(files: LogFiles, table: str, path: Path) -> np.ndarray:
    """Numbers of a file.

    Raises:
        DataError: an archive holds no whole numbers called ``data``.
    """
    raw = files.read(path)
    if table == "lidarseg":
        return np.frombuffer(raw, np.uint8)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = checked_members(archive, len(raw), path)
        numbers = checked_array(archive, members["data"], path) if "data" in members else np.zeros(0)
    if numbers.dtype.kind not in "ui":
        raise DataError(f"{path}: data: expected whole numbers")
    return numbers


__all__ = ["count_classes"]
