"""Labels of single points: nuScenes-lidarseg and nuScenes-panoptic.

A row of ``lidarseg.json`` or ``panoptic.json`` names the file with the labels of a LiDAR's record, a keyframe as a
rule. Files of lidarseg hold a class for every point, those of panoptic ``class * 1000 + instance``; the number of a
class is ``index`` of its row in ``category.json``. Each file keeps its own class: panoptic files ignore (as class 0)
points of objects that have no box or lie in several, for which lidarseg has a class. Where a log has both, ``label`` is
lidarseg's class, ``instance`` panoptic's, and ``panoptic_label`` the class in the panoptic file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from calib.regular_files import is_there
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.classes import Classes
from fusion_aug.logs.core.files import copy_file, inside
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.core.point_labels import (
    DECODER,
    LabelLayout,
    as_files_hold_labels,
    label_file,
    label_layout,
    with_others,
)
from fusion_aug.logs.nuscenes.tables import LABEL_TABLES, Row, Tables
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import LazyColumns, Points
from fusion_aug.streams.lazy_columns import UNLABELLED
from fusion_aug.streams.source import Source

LIDARSEG, PANOPTIC = LABEL_TABLES
LAYOUTS = {
    LIDARSEG: label_layout(LabelLayout("nuscenes_lidarseg", "|u1", 256, 1, 1, 1)),
    PANOPTIC: label_layout(LabelLayout("nuscenes_panoptic", "<u2", 66, 1000, 1000, 1, zipped=True)),
}
MOST_CLASSES = 256  # of a byte
AIR = "noise"  # the class of "any lidar return that does not correspond to a physical object, such as dust, vapor"


class PointLabels:
    """The tables of labels of a log; those whose files ``log.exclude`` leaves out are not there.

    Args:
        tables: of the log.
    """

    def __init__(self, tables: Tables):
        self.tables = tables
        self._rows: Kept[str, dict[str, Row]] = Kept(1024)

    @cached_property
    def there(self) -> tuple[str, ...]:
        """Names of the tables."""
        return tuple(t for t in LABEL_TABLES if is_there(self.tables.path(t)) and not self._is_left_out(t))

    def _is_left_out(self, table: str) -> bool:
        """Whether there are rows, and each is left out."""
        rows = self.tables.rows(table) if self.tables.exclude else ()
        return len(rows) > 0 and all(self.is_excluded(row) for row in rows)

    def is_excluded(self, row: Row) -> bool:
        """Whether ``log.exclude`` names the file of a row."""
        return bool(self.tables.exclude) and matches(row["filename"], self.tables.exclude)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a LiDAR that come from the tables."""
        both = ("panoptic_label",) if len(self.there) == len(LABEL_TABLES) else ()
        return ("label", *(("instance",) if PANOPTIC in self.there else ()), *both) if self.there else ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the classes by their ``index``; empty where ``category.json`` has none.

        Raises:
            DataError: an index is no number of a class, or two categories have the same.
        """
        found: dict[int, str] = {}
        for row in self.tables.rows("category") if self.there else ():
            if "index" not in row:
                continue
            index, where = row["index"], f"{self.tables.where('category', row['token'])}: index"
            if type(index) is not int or not 0 <= index < MOST_CLASSES:
                raise DataError(f"{where}: expected a whole number from 0 to {MOST_CLASSES - 1}, got {index!r}")
            if found.setdefault(index, str(row["name"])) != str(row["name"]):
                raise DataError(f"{where}: {found[index]!r} and {row['name']!r} both have the index {index}")
        return tuple(found.get(i, "") for i in range(max(found, default=-1) + 1))

    @property
    def about(self) -> dict[str, Any]:
        """Fields of a cloud: the names of its classes, and the class of returns from the air."""
        names = self.names
        return {"label_names": names, "air_label": air_of(names)} if self.there else {}

    def rows_of(self, record: str) -> dict[str, Row]:
        """Table -> the row of a record (its token), of the tables that have one.

        Raises:
            DataError: a table has several.
        """
        return self._rows.get(record, self._found)

    def _found(self, record: str) -> dict[str, Row]:
        out: dict[str, Row] = {}
        for table in self.there:
            rows = [r for r in self.tables.rows(table).of("sample_data_token", record) if not self.is_excluded(r)]
            if len(rows) > 1:
                where = self.tables.where(table, rows[1]["token"])
                raise DataError(f"{where}: sample_data_token: {record!r} has a second file of labels")
            if rows:
                out[table] = rows[0]
        return out

    def sources(self, record: str) -> list[Source]:
        """Files of a record, decoded on first use; lidarseg comes last, since its classes are ``label``.

        Raises:
            DataError: the name of one leads out of the log.
        """
        rows, out = self.rows_of(record), []
        for table in reversed(LABEL_TABLES):
            if table in rows:
                second = table == PANOPTIC and "panoptic_label" in self.columns
                path = self.tables.tree.path(rows[table]["filename"], self.tables.where(table, rows[table]["token"]))
                out.append(LAYOUTS[table].source(path, label="panoptic_label" if second else "label"))
        return out


def air_of(names: tuple[str, ...]) -> int:
    """Number of the class of returns from the air."""
    return names.index(AIR) if AIR in names else UNLABELLED


def check_classes(labels: PointLabels, classes: Classes | None, unlabelled: int | None) -> None:
    """Refuse classes that leave points unlabelled for which the files have no number, before the first byte.

    Raises:
        ConfigError: the message says what to do.
    """
    if classes is None or unlabelled is not None or not labels.there:
        return
    others = [n for n in labels.names if n and classes.name_of(n) is None]
    if others:
        raise ConfigError(
            f"log.classes: points of {len(others)} classes, such as {others[0]!r}, would be unlabelled, for which "
            f"{' and '.join(labels.there)} have no number; say which class they get, as log.unlabelled=0, or leave "
            f"their labels out with log.exclude=[{','.join(f'{t}/*' for t in labels.there)}]"
        )


def as_labels_are_held(cloud: Points, labels: PointLabels, unlabelled: int | None, air: int | None) -> Points:
    """A cloud as its files of labels hold it: nobody's points in records without a file, and none elsewhere.

    Args:
        cloud: of a LiDAR. labels: of the log. unlabelled: class for points without one, or None. air: the class of
            returns from the air that the user gave, or None.
    """
    held = [c for c in labels.columns if c in cloud.values]
    if not held:
        return cloud
    cloud = replace(cloud, air_label=air_of(cloud.label_names) if air is None else air)
    if isinstance(cloud.values, LazyColumns):
        values = cloud.values if unlabelled is None else with_others(cloud.values, unlabelled)
        return cloud if values is cloud.values else replace(cloud, values=values)
    has_file = torch.tensor([bool(labels.rows_of(r)) for r in cloud.records], dtype=torch.bool)
    return as_files_hold_labels(cloud, held, has_file, unlabelled)


def check_label_files(clouds: Mapping[str, Points]) -> None:
    """Refuse labels whose files are missing, before any file is written.

    Raises:
        DataError: a file that a table names is missing; the message says how to do without.
    """
    for cloud in clouds.values():
        extra = cloud.values.extra_sources if isinstance(cloud.values, LazyColumns) else ()
        for source in (s for sources in extra for s in sources):
            if source.decoder == DECODER and not source.path.is_file():
                raise DataError(
                    f"{source.path}: is missing, though a table of labels of points names it; leave out what was not "
                    f"downloaded with log.exclude=[{source.path.parent.parent.name}/*]"
                )


def write_labels(
    cloud: Points, item: int, rows: Mapping[str, Row], record: str, suffix: str, folder: Path, link: str,
    unlabelled: int | None,
) -> dict[str, Row]:  # fmt: skip
    """Write the files of one record, copied where cloud and labels are untouched.

    Args:
        cloud: as it is written. item: of it. rows: of the record by table, as the source has them.
        record: its token, in the source. suffix: of a copy. folder: the stage. link: "copy" or "hard".
        unlabelled: class for points without one, or None, which refuses them.

    Returns:
        the rows to write, by table.
    """
    out = {}
    for table, row in rows.items():
        layout, name = LAYOUTS[table], _named(str(row["filename"]), record, suffix)
        path = inside(folder, name, f"{table}.json: {row['token']}: filename")
        path.parent.mkdir(parents=True, exist_ok=True)
        untouched = label_file(cloud, item, layout.name)
        if untouched is not None:
            copy_file(untouched, path, link)
        else:
            columns = cloud.realized_items()[item]
            second = table == PANOPTIC and "panoptic_label" in columns
            values = {**columns, "label": columns["panoptic_label"]} if second else columns
            layout.written(values, path, f"{table}: {record}", unlabelled)
        changed = {"token": row["token"] + suffix, "sample_data_token": record + suffix, "filename": name}
        out[table] = {**row, **changed}
    return out


def _named(filename: str, record: str, suffix: str) -> str:
    """Path of a copy's file: the token of its record is in it, or the suffix comes before the ending."""
    head, slash, tail = filename.rpartition("/")
    if record in tail:
        return f"{head}{slash}{tail.replace(record, record + suffix, 1)}"
    stem, dot, ending = tail.rpartition(".")
    return f"{head}{slash}{stem}{suffix}{dot}{ending}" if dot else filename + suffix


__all__ = [
    "LAYOUTS",
    "LIDARSEG",
    "PANOPTIC",
    "PointLabels",
    "as_labels_are_held",
    "check_classes",
    "check_label_files",
    "write_labels",
]
