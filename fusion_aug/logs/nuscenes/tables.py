"""The 13 JSON tables of a nuScenes log, and what is asked of them. No table is in memory as a whole, see ``table``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calib.nuscenes import poses_from_records
from fusion_aug.errors import DataError
from fusion_aug.logs.core.tree import Tree
from fusion_aug.logs.nuscenes.fields import check_row
from fusion_aug.logs.nuscenes.kept import Kept
from fusion_aug.logs.nuscenes.splits import SPLITS, own_splits
from fusion_aug.logs.nuscenes.table import Row, Table
from fusion_aug.logs.nuscenes.versions import find_version
from fusion_aug.sample.sensors import matches

TABLES = (
    "category", "attribute", "visibility", "instance", "sensor", "calibrated_sensor", "ego_pose", "log", "scene",
    "sample", "sample_data", "sample_annotation", "map",
)  # fmt: skip
LABEL_TABLES = ("lidarseg", "panoptic")  # of labels of single points, which a log may have besides
# Fields by which rows are found, besides their token.
FOUND_BY = {
    "sample_data": ("sample_token", "calibrated_sensor_token"),
    "sample_annotation": ("sample_token", "instance_token"),
    **dict.fromkeys(LABEL_TABLES, ("sample_data_token",)),
}
# Tables whose rows fields name; ``prev`` and ``next`` name rows of their own table.
NAMED_BY = {
    "first_sample_token": "sample", "sample_token": "sample", "scene_token": "scene", "ego_pose_token": "ego_pose",
    "calibrated_sensor_token": "calibrated_sensor", "sensor_token": "sensor", "instance_token": "instance",
    "category_token": "category", "log_token": "log",
}  # fmt: skip
KEPT_SCENES, KEPT_NAMES = 4, 4096
MICRO = 1000  # ns per microsecond, nuScenes' unit of time


def nanoseconds(row: Row) -> int:
    """Stamp of a row in ns; files give microseconds, whole ones or (Lyft) with a fraction."""
    stamp = row["timestamp"]
    whole = int(stamp)  # apart, since ns as one float64 would be steps of 256
    return whole * MICRO + round((stamp - whole) * MICRO)


def with_stamp(row: Row, time: int) -> Row:
    """The row with a stamp (ns); unchanged where it has that already."""
    return row if nanoseconds(row) == time else row | {"timestamp": time // MICRO}


class Tables:
    """Tables of one version folder, read when first asked for.

    Args:
        tree: of the log.
        version: name of the folder with the tables; None for the only one.
        exclude: shell patterns of channels, or of files, whose records are left out.

    Raises:
        ConfigError: the version is not there, or is not named where there are several.
        DataError: there are no tables.
    """

    def __init__(self, tree: Tree, version: str | None = None, exclude: Sequence[str] = ()):
        self.tree, self.exclude = tree, tuple(exclude)
        self.folder = find_version(tree, version)
        self._tables: dict[str, Table] = {}
        self._scene_poses: Kept[str, tuple[Tensor, Tensor]] = Kept(KEPT_SCENES)
        self._channels: Kept[str, tuple[str, str]] = Kept(KEPT_NAMES)
        self._categories: Kept[str, str] = Kept(KEPT_NAMES)
        self._picture_sizes: Kept[str, tuple[Any, Any]] = Kept(KEPT_NAMES)

    @cached_property
    def splits(self) -> dict[str, list[str]]:
        """Splits of the user's own: name -> names of their scenes."""
        return own_splits(self.path(SPLITS))

    def path(self, table: str) -> Path:
        """File of a table."""
        return self.tree.path(f"{table}.json", str(self.folder), self.folder)

    def rows(self, table: str) -> Table:
        """A table.

        Raises:
            DataError: it is damaged; the message names file, record and field.
        """
        if table not in self._tables:
            check = partial(check_row, table, where=self.where(table))
            self._tables[table] = Table(self.path(table), check, FOUND_BY.get(table, ()))
        return self._tables[table]

    def get(self, table: str, token: str) -> Row:
        """One row.

        Raises:
            DataError: there is none.
        """
        row = self.rows(table).first_of("token", token)
        if row is None:
            raise DataError(f"{self.where(table)}: token {token!r} is missing")
        return row

    def follow(self, table: str, row: Row, field: str) -> Row:
        """The row that a field of another row names.

        Args:
            table: of the row. row: of it. field: its own, one of ``NAMED_BY``, ``prev`` or ``next``.

        Raises:
            DataError: there is none; the message names table, row and field.
        """
        target = NAMED_BY.get(field, table)
        found = self.rows(target).first_of("token", row[field])
        if found is None:
            raise DataError(f"{self.where(table, row['token'])}: {field}: {row[field]!r} is no row of {target}.json")
        return found

    def where(self, table: str, token: str = "") -> str:
        """File and record, for messages."""
        return f"{self.folder / f'{table}.json'}" + (f": {token}" if token else "")

    def data_of_sample(self, sample: str) -> list[Row]:
        """Records of a sample, keyframes and sweeps, in time order, without those that are excluded."""
        rows = sorted(self.rows("sample_data").of("sample_token", sample), key=lambda r: r["timestamp"])
        return [r for r in rows if not self.is_excluded(r)]

    def is_excluded(self, data: Row) -> bool:
        """Whether a sample_data record is of a channel, or has a file, that is left out."""
        return bool(self.exclude) and (
            matches(self.channel(data)[0], self.exclude) or matches(data["filename"], self.exclude)
        )

    def annotations_of_sample(self, sample: str) -> list[Row]:
        """Annotations of a sample."""
        return self.rows("sample_annotation").of("sample_token", sample)

    @cached_property
    def samples(self) -> list[str]:
        """Tokens of all samples: scene by scene, in time order.

        Raises:
            DataError: a chain leads to no row, to a sample of another scene or round in a circle, or ends before the
                last sample of its scene; the message names table, row and field.
        """
        out: list[str] = []
        for scene in self.rows("scene"):
            chain = dict.fromkeys(self._chain(scene))
            if chain and scene["last_sample_token"] not in chain:
                raise DataError(
                    f"{self.where('scene', scene['token'])}: the chain of samples does not reach the last one"
                )
            out += chain
        return out

    def _chain(self, scene: Row) -> Iterator[str]:
        """Tokens of the samples of one scene."""
        table, row, field = "scene", scene, "first_sample_token"
        seen = set()
        while row[field]:
            sample = self.follow(table, row, field)
            token, own = sample["token"], sample["scene_token"]
            if token in seen:
                raise DataError(f"{self.where('sample', token)}: next: the chain of samples goes round in a circle")
            if own != scene["token"]:
                raise DataError(
                    f"{self.where(table, row['token'])}: {field}: leads from scene {scene['token']!r} to sample "
                    f"{token!r}, whose scene_token is {own!r}"
                )
            seen.add(token)
            yield token
            table, row, field = "sample", sample, "next"

    def picture_size(self, calibrated_sensor: str) -> tuple[Any, Any]:
        """(height, width) of the first picture of a record of calibrated_sensor."""

        def found(_: str) -> tuple[Any, Any]:
            row = self.rows("sample_data").first_of("calibrated_sensor_token", calibrated_sensor) or {}
            return row.get("height"), row.get("width")

        return self._picture_sizes.get(calibrated_sensor, found)

    def channel(self, data: Row) -> tuple[str, str]:
        """Channel and modality of a sample_data record."""

        def found(_: str) -> tuple[str, str]:
            mounted = self.follow("sample_data", data, "calibrated_sensor_token")
            sensor = self.follow("calibrated_sensor", mounted, "sensor_token")
            return sensor["channel"], sensor["modality"]

        return self._channels.get(data["calibrated_sensor_token"], found)

    def category(self, annotation: Row) -> str:
        """Name of the category of a sample_annotation record."""

        def found(_: str) -> str:
            instance = self.follow("sample_annotation", annotation, "instance_token")
            return str(self.follow("instance", instance, "category_token")["name"])

        return self._categories.get(annotation["instance_token"], found)

    def ego_pose(self, data: Row) -> Tensor:
        """``T_world_ego`` (4, 4) of a sample_data record."""
        return self.ego_poses([data])[0]

    def ego_poses(self, data: Sequence[Row]) -> Tensor:
        """``T_world_ego`` (n, 4, 4) of sample_data records."""
        poses = [self.follow("sample_data", row, "ego_pose_token") for row in data]
        return poses_from_records(poses, lambda i: self.where("ego_pose", poses[i]["token"]))

    def scene_poses(self, scene: str) -> tuple[Tensor, Tensor]:
        """Times (ns) and ego poses of a whole scene, one per stamp."""
        return self._scene_poses.get(scene, self._poses_of)

    def _poses_of(self, scene: str) -> tuple[Tensor, Tensor]:
        found: dict[int, Row] = {}
        for token in self.samples_of_scene[scene]:
            for row in self.data_of_sample(token):
                found.setdefault(nanoseconds(row), row)
        if not found:
            raise DataError(f"{self.where('scene')}: no row leads to the samples of the scene {scene!r}")
        times = sorted(found)
        return torch.tensor(times), self.ego_poses([found[t] for t in times])

    @cached_property
    def samples_of_scene(self) -> dict[str, list[str]]:
        """Samples of every scene, in time order."""
        out: dict[str, list[str]] = defaultdict(list)
        for token in self.samples:
            out[self.get("sample", token)["scene_token"]].append(token)
        return out

    def box_velocity(self, annotation: Row, max_gap: float = 1.5) -> list[float]:
        """World velocity of an annotation by central difference of its neighbours, NaN where there are none.

        The rule of the official devkit: with both neighbours twice the time gap is allowed.

        Raises:
            DataError: a neighbour is missing, or of another instance.
        """
        unknown = [float("nan")] * 3
        has_prev, has_next = annotation["prev"] != "", annotation["next"] != ""
        if not has_prev and not has_next:
            return unknown
        first = self._neighbour(annotation, "prev") if has_prev else annotation
        last = self._neighbour(annotation, "next") if has_next else annotation
        t0, t1 = (self.follow("sample_annotation", a, "sample_token")["timestamp"] for a in (first, last))
        seconds = (t1 - t0) * 1e-6
        if seconds <= 0 or seconds > max_gap * (2 if has_prev and has_next else 1):
            return unknown
        pairs = zip(first["translation"], last["translation"], strict=True)
        return [(b - a) / seconds for a, b in pairs]

    def _neighbour(self, annotation: Row, field: str) -> Row:
        """The annotation of the same instance before (``prev``) or after (``next``)."""
        found = self.follow("sample_annotation", annotation, field)
        if found["instance_token"] != annotation["instance_token"]:
            raise DataError(
                f"{self.where('sample_annotation', annotation['token'])}: {field}: leads from instance "
                f"{annotation['instance_token']!r} to annotation {found['token']!r} of instance "
                f"{found['instance_token']!r}"
            )
        return found
