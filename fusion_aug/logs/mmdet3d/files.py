"""An info file of mmdetection3d, of either layout."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.errors import DataError
from fusion_aug.logs.core.contents import LEFT_OUT
from fusion_aug.logs.mmdet3d.contents import KNOWN_FIELDS, MASK_FIELDS, TOKENS
from fusion_aug.logs.mmdet3d.fields import dicts_of, names_in, take_out, without_rule
from fusion_aug.logs.mmdet3d.infos import Info, InfoRow, convert_legacy_boxes, read_old, read_v2, validate_info
from fusion_aug.logs.mmdet3d.planning import planning_without_rule, with_planning
from fusion_aug.logs.mmdet3d.rows import Changes, write_old, write_v2
from fusion_aug.safe.pickles import load_plain

DERIVED = tuple(f.name for f in KNOWN_FIELDS if f.fate == LEFT_OUT)
CAMERA_AXES = "boxes of KITTI infos are in camera axes; use log=kitti instead"


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
        kind = str(self.meta.get("dataset", "")).lower()
        if kind == "kitti":
            raise DataError(f"{path}: metainfo.dataset: {CAMERA_AXES}")
        if kind == "waymo" and any("Tr_velo_to_cam" in (r.get("lidar_points") or {}) for r in rows[:1]):
            raise DataError(f"{path}: lidar_points.Tr_velo_to_cam: {CAMERA_AXES}, or make it with mmdetection3d 1.4")
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

    def data_names(self, number: int) -> list[str]:
        """Names, without folders, of the clouds and pictures of a sample."""
        row = self.rows[number]
        paths = [c.get(key) for _, c in dicts_of(row) for key in ("lidar_path", "img_path", "data_path")]
        paths += [row.get(key) for key in MASK_FIELDS]
        return [str(p).replace("\\", "/").rpartition("/")[2] for p in paths if p is not None]

    def official(self, number: int) -> dict[str, int]:
        """Place of a box in its list -> points in it as the data set counts, of boxes for which it does."""
        row = self.rows[number]
        if self.v2:
            counts = [i.get("num_lidar_pts") for i in row.get("instances") or ()]
        else:
            counts = list(row.get("num_lidar_pts", ()))
        return {str(k): int(n) for k, n in enumerate(counts) if n is not None}

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

    @cached_property
    def fields(self) -> dict[str, bool]:
        """Every field, see ``contents`` -> whether it holds anything in any sample."""
        own = self.data if isinstance(self.data, dict) else {}
        inside = {"data_list", "infos", self.meta_key} if isinstance(own.get(self.meta_key), dict) else set()
        beside = {f"file.{k}": True for k in own if k not in {"data_list", "infos", *inside}}
        return names_in(self.rows) | {f"{self.meta_key}.{k}": True for k in self.meta} | beside

    @cached_property
    def without_rule(self) -> dict[str, tuple[str, ...]]:
        """Fields that no rule moves as they are here -> the changes that make them wrong."""
        return without_rule(self.rows) | planning_without_rule(self.rows, self.legacy_boxes)

    @property
    def meta_key(self) -> str:
        """Name of the dictionary of facts of the data set."""
        return "metainfo" if self.v2 else "metadata"

    def label_of(self, name: str) -> int:
        """Label of a class, a new one where the file has none of this name; ``with_rows`` writes it."""
        labels = {n: k for k, n in self.categories.items()}
        if name not in labels:
            labels[name] = 1 + max(self.categories, default=-1)
            self.categories[labels[name]] = name
        return labels[name]

    def with_rows(self, rows: list[InfoRow], left_out: Collection[str] = ()) -> Any:
        """The content of a file of the same layout with other samples, without the fields that are left out."""
        if not isinstance(self.data, dict):
            return rows
        data = {k: v for k, v in self.data.items() if f"file.{k}" not in left_out}
        if isinstance(data.get(self.meta_key), dict):
            meta = {k: v for k, v in self.meta.items() if f"{self.meta_key}.{k}" not in left_out}
            if len(self.categories) > len(meta.get("categories", self.categories)):  # classes have got other names
                meta["categories"] = {n: k for k, n in self.categories.items()}
            data[self.meta_key] = meta
        return {**data, "data_list" if self.v2 else "infos": rows}

    def changed(self, number: int, info: Info, changes: Changes, left_out: Collection[str] = ()) -> InfoRow:
        """Return the row of a sample after a change, in the layout of this file, without what is left out.

        Args:
            number: of the sample. info: what is written of it; its token ends with what a copy adds to names.
            changes: the boxes that are left, and what moves with them. left_out: fields.
        """
        row = take_out(copy.deepcopy(self.rows[number]), {*DERIVED, *left_out, *MASK_FIELDS}) | dict(changes.masks)
        suffix = info.token.removeprefix(self.tokens[number])
        for name in TOKENS if suffix else ():
            if isinstance(row.get(name), str) and row[name]:
                row[name] += suffix
        stored = replace(info, boxes=convert_legacy_boxes(info.boxes)) if self.legacy_boxes else info
        written = (write_v2 if self.v2 else write_old)(row, stored, changes)
        return with_planning(written, self.rows[number], info, changes)
