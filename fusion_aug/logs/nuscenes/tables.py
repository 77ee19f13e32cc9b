"""The 13 JSON tables of a nuScenes log, and what is asked of them. No table is in memory as a whole, see ``table``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calib.nuscenes import poses_from_records
from fusion_aug.errors import DataError
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.core.tree import Tree
from fusion_aug.logs.nuscenes.fields import check_row
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
KEPT_NAMES = 4096
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
        self._start = str(self.folder / "_")[:-1]  # of names of tables
        self._tables: dict[str, Table] = {}
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
        return f"{self._start}{table}.json: {token}" if token else f"{self._start}{table}.json"

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
            DataError: see ``samples_of_scene``.
        """
        return [token for chain in self.samples_of_scene.values() for token in chain]

    @cached_property
    def samples_of_scene(self) -> dict[str, list[str]]:
        """Samples of every scene that has some, in time order.

        Raises:
            DataError: a chain leads to no row, to a sample of another scene or round in a circle, or ends before the
                last sample of its scene; the message names table, row and field.
        """
        out: dict[str, list[str]] = {}
        for scene in self.rows("scene"):
            chain = dict.fromkeys(self._chain(scene))
            if chain and scene["last_sample_token"] not in chain:
                raise DataError(
                    f"{self.where('scene', scene['token'])}: the chain of samples does not reach the last one"
                )
            if chain:
                out[scene["token"]] = list(chain)
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

    @cached_property
    def channels(self) -> list[str]:
        """All channels, in the order of the table of sensors."""
        return [str(row["channel"]) for row in self.rows("sensor")]

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

    def categories(self, annotations: Sequence[Row]) -> list[str]:
        """Names of the categories of sample_annotation records."""
        held = self._categories.held([row["instance_token"] for row in annotations])
        return [self.category(row) for row in annotations] if held is None else held

    def ego_pose(self, data: Row) -> Tensor:
        """``T_world_ego`` (4, 4) of a sample_data record."""
        return self.ego_poses([data])[0]

    def ego_poses(self, data: Sequence[Row]) -> Tensor:
        """``T_world_ego`` (n, 4, 4) of sample_data records."""
        poses: dict[str, Row] = {}  # each once, though many records name it
        for row in data:
            if row["ego_pose_token"] not in poses:
                poses[row["ego_pose_token"]] = self.follow("sample_data", row, "ego_pose_token")
        rows, number = list(poses.values()), {token: i for i, token in enumerate(poses)}
        found = poses_from_records(rows, lambda i: self.where("ego_pose", rows[i]["token"]))
        return torch.from_numpy(found.numpy()[[number[row["ego_pose_token"]] for row in data]])

    def records_around(self, sample: str, gap: int) -> dict[int, Row]:
        """The first record of each stamp (ns), in order of time: of a sample, and of those before and after it.

        So many of them that there is a record ``gap`` ns before the sample's first and one after its last, where the
        scene has such.
        """
        scene = self.get("sample", sample)["scene_token"]
        chain, own = self.samples_of_scene.get(scene, []), self._stamps(sample)
        if not chain:
            raise DataError(f"{self.where('scene')}: no row leads to the samples of the scene {scene!r}")
        place, near = chain.index(sample) if sample in chain else len(chain), [own]
        for other in reversed(chain[:place]):
            near.insert(0, self._stamps(other))
            if near[0] and min(near[0]) <= min(own) - gap:
                break
        for other in chain[place + 1 :]:
            near.append(self._stamps(other))
            if near[-1] and max(near[-1]) >= max(own) + gap:
                break
        found: dict[int, Row] = {}
        for stamps in reversed(near):  # so that the first are those that stay
            found |= stamps
        return dict(sorted(found.items()))

    def _stamps(self, sample: str) -> dict[int, Row]:
        """The first record of a sample at each of its stamps (ns)."""
        return {nanoseconds(row): row for row in reversed(self.data_of_sample(sample))}
