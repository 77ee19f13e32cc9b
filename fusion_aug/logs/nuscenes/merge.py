"""Merging the rows of all samples into the 13 tables, in log order, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from fusion_aug.errors import DataError
from fusion_aug.logs.core.classes import Classes
from fusion_aug.logs.core.files import write_json
from fusion_aug.logs.core.new_files import new_file
from fusion_aug.logs.nuscenes.index import Index, value_digest
from fusion_aug.logs.nuscenes.labels import PointLabels
from fusion_aug.logs.nuscenes.maps import MovedLogs
from fusion_aug.logs.nuscenes.splits import SPLITS, with_copies
from fusion_aug.logs.nuscenes.tables import Row, Tables
from fusion_aug.ops.random import digest

SceneKey = tuple[str, str]  # scene of the source, suffix of a copy
CHAINED = ("sample", "sample_data", "sample_annotation")


class TableFile:
    """A table that is written row by row and appears under its name only when it is complete."""

    def __init__(self, path: Path):
        self.path, self.part, self.count = path, path.with_name(path.name + ".part"), 0
        self.file: IO[str]

    def __enter__(self) -> Self:
        self.file = new_file(self.part)
        self.file.write("[")
        return self

    def write(self, row: Row) -> None:
        """Append a row."""
        self.file.write((",\n" if self.count else "\n") + json.dumps(row, ensure_ascii=False))
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.file.write("\n]\n")
        self.file.close()
        if kind is None:
            self.part.replace(self.path)


def merge_tables(
    tables: Tables,
    rows: Iterable[dict[str, Any]],
    folder: Path,
    classes: Classes | None = None,
    labels: PointLabels | None = None,
) -> None:
    """Write all tables.

    Args:
        tables: of the source log.
        rows: what ``NuscenesWriter.stage`` returned, in log order; it is gone through several times. Of every row
            memory holds digests alone.
        folder: the version folder of the output.
        classes: those that the log was read with. labels: of its points.
    """
    digests = {t: bytearray() for t in (*CHAINED, "ego_pose")}
    scenes: dict[SceneKey, list[str]] = {}  # -> samples
    changes: dict[SceneKey, str] = {}  # of the location
    instances: dict[str, Row] = {}  # instance -> its annotations
    origin: dict[str, str] = {}  # instance of a copy -> instance of the source
    for part in rows:
        for table, column in digests.items():
            for row in part[table]:
                column += value_digest(row["token"])
        key = part["scene_of"], part["suffix"]
        changes[key] = changes.get(key) or part["location"]
        scenes.setdefault(key, []).append(part["sample"][0]["token"])
        for row in part["sample_annotation"]:
            instances[row["instance_token"]] = _span(instances.get(row["instance_token"]), row["token"])
            origin[row["instance_token"]] = row["instance_token"].removesuffix(part["suffix"])
    written = {t: Index(digests.pop(t)) for t in list(digests)}
    categories, class_of = _categories(tables, classes, labels)
    _write(folder / "category.json", categories)
    for table in ("attribute", "visibility", "sensor"):
        _write(folder / f"{table}.json", tables.rows(table))
    moved = MovedLogs(tables)
    _write(folder / "scene.json", (moved.scene(_scene(tables, k, v), changes[k]) for k, v in scenes.items()))
    _write(folder / "log.json", moved.log_rows())
    _write(folder / "map.json", moved.map_rows())
    moved.write_masks(folder.parent)
    if tables.splits:
        names: dict[str, list[str]] = {}
        for scene, suffix in scenes:
            name = str(tables.get("scene", scene)["name"])
            names.setdefault(name, []).append(name + suffix)
        write_json(with_copies(tables.splits, names), folder / f"{SPLITS}.json")
    by_instance = ({**tables.get("instance", origin[t]), "token": t} | span for t, span in instances.items())
    named = (row | {"category_token": class_of[row["category_token"]]} for row in by_instance)
    _write(folder / "instance.json", named)
    _write_chained(tables, rows, written, folder)
    for table in labels.there if labels is not None else ():
        _write(folder / f"{table}.json", (row for part in rows for row in part[table]))


def _categories(
    tables: Tables, classes: Classes | None, labels: PointLabels | None = None
) -> tuple[list[Row], dict[str, str]]:
    """Rows of the table of categories as the log was read, and category token of the source -> token in them.

    A class takes the record of the first category that it stands for, and the number that it has in labels of points.
    """
    rows = list(tables.rows("category"))
    if classes is None:
        return rows, {r["token"]: r["token"] for r in rows}
    names = classes.names_of([r["name"] for r in rows])
    kept: dict[str, Row] = {}
    numbers = classes.numbers_of(labels.names)[1] if labels is not None else ()
    for row in rows:
        if row["name"] in names:
            kept.setdefault(names[row["name"]], {**row, "name": names[row["name"]]})
    kept = {new: row | {"index": numbers.index(new)} if new in numbers else row for new, row in kept.items()}
    return list(kept.values()), {r["token"]: kept[names[r["name"]]]["token"] for r in rows if r["name"] in names}


def _scene(tables: Tables, key: SceneKey, samples: list[str]) -> Row:
    scene, suffix = key
    row = dict(tables.get("scene", scene))
    row |= {"token": scene + suffix, "name": row["name"] + suffix, "nbr_samples": len(samples)}
    return row | {"first_sample_token": samples[0], "last_sample_token": samples[-1]}


def _span(before: Row | None, annotation: str) -> Row:
    """What an instance says of its annotations, with one more of them."""
    if before is None:
        return {"nbr_annotations": 1, "first_annotation_token": annotation, "last_annotation_token": annotation}
    return before | {"nbr_annotations": before["nbr_annotations"] + 1, "last_annotation_token": annotation}


def _linked(tables: Tables, table: str, row: Row, key: str, suffix: str, written: Index) -> str:
    """The nearest written row of the same chain, where the neighbour itself was not written; "" at the end.

    Raises:
        DataError: the chain leads to no row, or round in a circle.
    """
    if not row[key] or row[key] in written:
        return str(row[key])
    here, seen = tables.get(table, row["token"].removesuffix(suffix)), set[str]()
    while here[key]:
        if here["token"] in seen:
            raise DataError(f"{tables.where(table, here['token'])}: {key}: the chain goes round in a circle")
        seen.add(here["token"])
        here = tables.follow(table, here, key)
        if here["token"] + suffix in written:
            return str(here["token"]) + suffix
    return ""


def _write_chained(tables: Tables, rows: Iterable[dict[str, Any]], written: dict[str, Index], folder: Path) -> None:
    """The big tables. A chain leads past the rows that were not written."""
    mounted: dict[str, str] = {}  # token -> content
    is_new_pose = iter(written["ego_pose"].is_first().tolist())
    names = ("sample", "sample_data", "sample_annotation", "ego_pose", "calibrated_sensor")
    with (
        TableFile(folder / "sample.json") as sample,
        TableFile(folder / "sample_data.json") as data,
        TableFile(folder / "sample_annotation.json") as annotation,
        TableFile(folder / "ego_pose.json") as ego_pose,
        TableFile(folder / "calibrated_sensor.json") as calibrated,
    ):
        files = dict(zip(names, (sample, data, annotation, ego_pose, calibrated), strict=True))
        for part in rows:
            renamed = {}
            for row in part["calibrated_sensor"]:
                content = json.dumps({k: v for k, v in row.items() if k != "token"})
                token = row["token"]
                if mounted.get(token, content) != content:
                    # the source shares one record among scenes that are calibrated differently now
                    token = digest(token, content)
                renamed[row["token"]] = token
                if token not in mounted:
                    mounted[token] = content
                    files["calibrated_sensor"].write({**row, "token": token})
            for row in part["ego_pose"]:
                if next(is_new_pose):
                    files["ego_pose"].write(row)
            for table in CHAINED:
                for row in part[table]:
                    links = {
                        k: _linked(tables, table, row, k, part["suffix"], written[table]) for k in ("prev", "next")
                    }
                    row = row | links
                    if table == "sample_data":
                        row["calibrated_sensor_token"] = renamed[row["calibrated_sensor_token"]]
                    files[table].write(row)


def _write(path: Path, rows: Iterable[Row]) -> None:
    with TableFile(path) as file:
        for row in rows:
            file.write(row)
