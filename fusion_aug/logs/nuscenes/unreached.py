"""Rows of nuScenes tables that no scene's samples lead to."""

from __future__ import annotations

import numpy as np

from fusion_aug.logs.core.contents import Unreached
from fusion_aug.logs.nuscenes.files import Files
from fusion_aug.logs.nuscenes.index import Index
from fusion_aug.logs.nuscenes.table import Table

HAVE_DATA = ("scene", "sample", "sample_data", "sample_annotation")  # others are only named by these
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
    return {table: Unreached(*rows, table in HAVE_DATA) for table, rows in found.items() if rows[0]}


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
