"""An info file of mmdetection3d, of either layout."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.mmdet3d.infos import (
    Info,
    InfoRow,
    convert_legacy_boxes,
    read_old,
    read_v2,
    validate_info,
    write_old,
    write_v2,
)
from fusion_aug.logs.mmdet3d.safe_pickle import load_plain

# what other tools derived from the rest of a sample, and labels of single points
DERIVED = ("cam_instances", "ann_infos", "pts_semantic_mask_path", "pts_panoptic_mask_path", "gt_masks", "occ_path")


def _has_legacy_boxes(rows: list[InfoRow]) -> bool:
    """Whether boxes are as before mmdetection3d 1.0 (and in BEVFusion): width, length, height, and -yaw - pi/2.

    No field states it, but hardly anything on a road is wider than long.
    """
    longer, wider = 0, 0
    for row in rows[:2000]:
        boxes = np.asarray(row.get("gt_boxes", ()))
        if boxes.ndim == 2 and boxes.shape[1] >= 7 and boxes.dtype.kind == "f":
            longer += int((boxes[:, 3] > 1.3 * boxes[:, 4]).sum())
            wider += int((boxes[:, 4] > 1.3 * boxes[:, 3]).sum())
    return wider > 4 * longer


class InfoFile:
    """An info file of either layout.

    Args:
        path: the pickle.
    """

    def __init__(self, path: Path):
        self.path, data = path, load_plain(path)
        self.v2 = isinstance(data, dict) and "data_list" in data
        key = "data_list" if self.v2 else "infos"
        rows = data.get(key) if isinstance(data, dict) else data
        if not isinstance(rows, list) or not all(isinstance(r, dict) for r in rows):
            raise DataError(f"{path}: {key}: expected a list of dictionaries, as mmdetection3d writes it")
        self.data, self.rows = data, rows
        meta = data.get("metainfo" if self.v2 else "metadata") if isinstance(data, dict) else None
        self.meta: InfoRow = meta if isinstance(meta, dict) else {}
        if str(self.meta.get("dataset", "")).lower() == "kitti":
            raise DataError(f"{path}: metainfo.dataset: boxes of KITTI infos are in camera axes; use log=kitti instead")
        categories = self.meta.get("categories")
        self.categories = {int(v): str(k) for k, v in categories.items()} if isinstance(categories, dict) else {}
        self.tokens = [str(r.get("token", r.get("sample_idx", i))) for i, r in enumerate(rows)]
        if len(set(self.tokens)) < len(rows):
            raise DataError(f"{path}: two samples have the same token")
        self.legacy_boxes = not self.v2 and _has_legacy_boxes(rows)

    def cloud(self, number: int) -> str:
        """Path of a sample's cloud as the file gives it; empty if it gives none."""
        points = self.rows[number].get("lidar_points") if self.v2 else self.rows[number]
        return str(points.get("lidar_path", "")) if isinstance(points, dict) else ""

    def info(self, number: int) -> Info:
        """One sample.

        Raises:
            DataError: a field is missing or holds a wrong type, named.
        """
        row, where = self.rows[number], f"{self.path}: sample {self.tokens[number]!r}"
        try:
            info = read_v2(row, self.tokens[number], self.categories) if self.v2 else read_old(row, self.tokens[number])
            return validate_info(replace(info, boxes=convert_legacy_boxes(info.boxes)) if self.legacy_boxes else info)
        except KeyError as error:
            raise DataError(f"{where}: {error.args[0]} is missing") from None
        except (TypeError, ValueError, AttributeError, IndexError, RuntimeError, ArithmeticError) as error:
            raise DataError(f"{where}: is damaged ({' '.join(str(error).split())})") from None

    def with_rows(self, rows: list[InfoRow]) -> Any:
        """The content of a file of the same layout with other samples."""
        if not isinstance(self.data, dict):
            return rows
        return {**self.data, "data_list" if self.v2 else "infos": rows}

    def changed(self, number: int, info: Info, counts: list[int]) -> InfoRow:
        """Return the row of a sample after a change, in the layout of this file.

        What has not been recomputed (2-D boxes, point labels, masks, boxes in other forms) is left out.
        """
        row = {k: v for k, v in copy.deepcopy(self.rows[number]).items() if k not in DERIVED}
        stored = replace(info, boxes=convert_legacy_boxes(info.boxes)) if self.legacy_boxes else info
        return (write_v2 if self.v2 else write_old)(row, stored, counts)
