"""Rows of tables that no sample leads to: the account of a run names as many as the raw tables have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fusion_aug.check.counts.files import LogFiles
from fusion_aug.check.counts.nuscenes import rows, version_folder
from fusion_aug.check.measurement import Row
from fusion_aug.errors import DataError
from fusion_aug.logs.core.log import Log
from fusion_aug.safe.guard import reads_file
from fusion_aug.sample.manifest import NAME

Unreached = dict[str, int]  # path of a table, from the root -> rows


def compare_unreached(source: Log, out: Path, header: Mapping[str, Any]) -> Iterator[Row]:
    """A row for every table that has such rows, or of which the account says so.

    Args:
        source: log of the run. out: root of what it wrote. header: of the manifest.

    Raises:
        DataError: a table, or the account in the header, is damaged.
    """
    account = header.get("account")
    if source.format.name not in COUNTS or not isinstance(account, Mapping):
        return
    try:
        said = {str(group["name"]): int(group["count"]) for group in account.get("rows", ())}
    except (TypeError, ValueError, KeyError) as error:
        raise DataError(f"{out / NAME}: account: rows: is damaged ({error!r})") from None
    found = reads_file(COUNTS[source.format.name])(source.root, vars(source.options))
    for table in sorted({*said, *found}):
        off = abs(found.get(table, 0) - said.get(table, 0))
        yield Row("rows left out unnamed", table, "rows", 0, np.array([float(off)]))


def of_nuscenes(root: Path, options: Mapping[str, Any]) -> Unreached:
    """Rows that no chain of samples leads to, of tables that are written without them."""
    files = LogFiles(root, options)
    folder = version_folder(files, options)
    later = {r["token"]: r["next"] for r in rows(files, folder, "sample")}
    samples, scenes = set(), set()
    for scene in rows(files, folder, "scene"):
        token = scene["first_sample_token"]
        scenes |= {scene["token"]} if token else set()
        while token in later and token not in samples:
            samples.add(token)
            token = later[token]
    data, boxes = (
        [r for r in rows(files, folder, table) if r["sample_token"] in samples]
        for table in ("sample_data", "sample_annotation")
    )
    reached = {
        "scene": scenes, "sample": samples,
        "sample_data": {r["token"] for r in data}, "sample_annotation": {r["token"] for r in boxes},
        "calibrated_sensor": {r["calibrated_sensor_token"] for r in data},
        "ego_pose": {r["ego_pose_token"] for r in data}, "instance": {r["instance_token"] for r in boxes},
    }  # fmt: skip
    found = {t: sum(r["token"] not in named for r in rows(files, folder, t)) for t, named in reached.items()}
    return {f"{folder.name}/{table}.json": count for table, count in found.items() if count}


COUNTS: Mapping[str, Callable[[Path, Mapping[str, Any]], Unreached]] = {"nuscenes": of_nuscenes}
