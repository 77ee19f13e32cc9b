"""Rows of nuScenes tables that no scene's samples lead to."""

from __future__ import annotations

import numpy as np

from fusion_aug.logs.core.contents import Unreached
from fusion_aug.logs.nuscenes.files import Files
from fusion_aug.logs.nuscenes.index import Index
from fusion_aug.logs.nuscenes.table import Table
from fusion_aug.logs.nuscenes.tables import LABEL_TABLES, Tables

HAVE_DATA = ("scene", "sample", "sample_data", "sample_annotation", *LABEL_TABLES)  # others are only named by these
Found = tuple[int, str]


def unreached_rows(files: Files) -> dict[str, Unreached]:
    """Rows that no chain of samples leads to, of the tables that are written without them.

    Args:
        files: of a log, with its tables.

    Returns:
        table -> its rows; tables without any are left out.
    """
    tables = files.tables
    scenes, samples, data, boxes = (tables.rows(t) for t in ("scene", "sample", "sample_data", "sample_annotation"))
    of_data, of_boxes = (t.having("sample_token", tables.samples) for t in (data, boxes))
    found = {
        "scene": _others(scenes, scenes.having("token", tables.samples_of_scene)),
        "sample": _others(samples, samples.having("token", tables.samples)),
        "sample_data": _others(data, of_data),
        "sample_annotation": _others(boxes, of_boxes),
        "calibrated_sensor": _unnamed(tables.rows("calibrated_sensor"), data, "calibrated_sensor_token", of_data),
        "ego_pose": _beyond(tables.rows("ego_pose"), files.pose_tokens()),
        "instance": _unnamed(tables.rows("instance"), boxes, "instance_token", of_boxes),
    }
    for table in files.labels.there:
        found[table] = _others(tables.rows(table), _of_sweeps(tables, table, set(tables.samples)))
    return {table: Unreached(*rows, table in HAVE_DATA) for table, rows in found.items() if rows[0]}


def _of_sweeps(tables: Tables, table: str, samples: set[str]) -> np.ndarray:
    """(rows,) bool, whether a row of a table of labels is of a record of a LiDAR, of one of the samples."""
    records, found = tables.rows("sample_data"), []
    for row in tables.rows(table):
        data = records.first_of("token", row["sample_data_token"])
        found.append(data is not None and data["sample_token"] in samples and tables.channel(data)[1] == "lidar")
    return np.array(found, dtype=bool)


def _others(table: Table, reached: np.ndarray) -> Found:
    """How many rows are not reached, and the token of the first; ``reached``: (rows,) bool."""
    numbers = np.flatnonzero(~reached)
    return len(numbers), str(table[int(numbers[0])]["token"]) if len(numbers) else ""


def _unnamed(table: Table, by: Table, field: str, reached: np.ndarray) -> Found:
    """Rows that no reached row of another table names."""
    named = (bool(reached[by.numbers(field, row["token"])].any()) for row in table)
    return _others(table, np.fromiter(named, bool, len(table)))


def _beyond(table: Table, named: Index) -> Found:
    """Rows whose token an index does not hold; counted by digests, since the table may be as large as sample_data."""
    count = table.tokens.count_beyond(named)
    first = next((str(row["token"]) for row in table if row["token"] not in named), "") if count else ""
    return count, first
