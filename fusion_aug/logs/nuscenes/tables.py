"""The 13 JSON tables of a nuScenes log, indexed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from calib.nuscenes import pose_from_record
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import read_json
from fusion_aug.logs.core.tree import Tree
from fusion_aug.logs.nuscenes.splits import SPLITS, own_splits
from fusion_aug.logs.nuscenes.versions import find_version
from fusion_aug.sample.sensors import matches

TABLES = (
    "category", "attribute", "visibility", "instance", "sensor", "calibrated_sensor", "ego_pose", "log", "scene",
    "sample", "sample_data", "sample_annotation", "map",
)  # fmt: skip
Row = dict[str, Any]
# Fields that are read, and their types; every table has a token.
NUMBER = (int, float)
FIELDS: dict[str, dict[str, Any]] = {
    "category": {"name": str},
    "instance": {"category_token": str},
    "sensor": {"channel": str, "modality": str},
    "calibrated_sensor": {"sensor_token": str, "translation": list, "rotation": list, "camera_intrinsic": list},
    "ego_pose": {"translation": list, "rotation": list},
    "scene": {"name": str, "first_sample_token": str, "last_sample_token": str},
    "sample": {"timestamp": NUMBER, "prev": str, "next": str, "scene_token": str},
    "sample_data": {
        "sample_token": str, "ego_pose_token": str, "calibrated_sensor_token": str, "timestamp": NUMBER,
        "is_key_frame": bool, "filename": str, "prev": str, "next": str,
    },
    "sample_annotation": {
        "sample_token": str, "instance_token": str, "translation": list, "rotation": list, "size": list, "prev": str,
        "next": str,
    },
}  # fmt: skip
MICRO = 1000  # ns per microsecond, nuScenes' unit of time
MAX_STAMP = 2**63 / MICRO


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and abs(value) < MAX_STAMP


def _three_numbers(value: list[Any]) -> bool:
    return len(value) == 3 and all(isinstance(v, NUMBER) and not isinstance(v, bool) for v in value)


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

    @cached_property
    def splits(self) -> dict[str, list[str]]:
        """Splits of the user's own: name -> names of their scenes."""
        return own_splits(self.path(SPLITS))

    def path(self, table: str) -> Path:
        """File of a table."""
        return self.tree.path(f"{table}.json", str(self.folder), self.folder)

    @cache  # noqa: B019  (one Tables object lives as long as its log)
    def rows(self, table: str) -> list[Row]:
        """All rows of a table."""
        data = read_json(self.path(table))
        if not isinstance(data, list) or not all(isinstance(r, dict) and "token" in r for r in data):
            raise DataError(f"{self.folder / f'{table}.json'}: expected a list of records with a token each")
        for row in data:
            self._check(table, row)
        if len({r["token"] for r in data}) < len(data):
            raise DataError(f"{self.where(table)}: two records have the same token")
        return data

    def _check(self, table: str, row: Row) -> None:
        for key, kind in FIELDS.get(table, {}).items():
            if not isinstance(row.get(key), kind) or (kind is NUMBER and not _is_finite(row[key])):
                what = "is missing" if key not in row else f"is not {'a number' if kind is NUMBER else kind.__name__}"
                raise DataError(f"{self.where(table, str(row['token']))}: {key} {what}")
        if table == "sample_annotation" and not _three_numbers(row["size"]):
            raise DataError(f"{self.where(table, str(row['token']))}: size: expected 3 numbers")

    @cache  # noqa: B019
    def by_token(self, table: str) -> dict[str, Row]:
        """Rows of a table by token."""
        return {r["token"]: r for r in self.rows(table)}

    def get(self, table: str, token: str) -> Row:
        """One row.

        Raises:
            DataError: there is none.
        """
        try:
            return self.by_token(table)[token]
        except KeyError:
            raise DataError(f"{self.where(table)}: token {token!r} is missing") from None

    def where(self, table: str, token: str = "") -> str:
        """File and record, for messages."""
        return f"{self.folder / f'{table}.json'}" + (f": {token}" if token else "")

    @cached_property
    def data_of_sample(self) -> dict[str, list[Row]]:
        """Records of every sample, keyframes and sweeps, in time order, without those that are excluded."""
        out: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(self.rows("sample_data"), key=lambda r: r["timestamp"]):
            if not self.exclude or not self.is_excluded(row):
                out[row["sample_token"]].append(row)
        return out

    def is_excluded(self, data: Row) -> bool:
        """Whether a sample_data record is of a channel, or has a file, that is left out."""
        return matches(self.channel(data)[0], self.exclude) or matches(data["filename"], self.exclude)

    @cached_property
    def annotations_of_sample(self) -> dict[str, list[Row]]:
        """Annotations of every sample."""
        out: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows("sample_annotation"):
            out[row["sample_token"]].append(row)
        return out

    @cached_property
    def samples(self) -> list[str]:
        """Tokens of all samples: scene by scene, in time order."""
        out = []
        for scene in self.rows("scene"):
            token = scene["first_sample_token"]
            seen = set()
            while token:
                if token in seen:
                    raise DataError(f"{self.where('sample', token)}: next: the chain of samples goes round in a circle")
                seen.add(token)
                out.append(token)
                token = self.get("sample", token)["next"]
            if seen and scene["last_sample_token"] not in seen:
                raise DataError(
                    f"{self.where('scene', scene['token'])}: the chain of samples does not reach the last one"
                )
        return out

    @cached_property
    def picture_sizes(self) -> dict[str, tuple[Any, Any]]:
        """(height, width) of the first picture of every record of calibrated_sensor."""
        sizes: dict[str, tuple[Any, Any]] = {}
        for row in self.rows("sample_data"):
            sizes.setdefault(row["calibrated_sensor_token"], (row.get("height"), row.get("width")))
        return sizes

    def channel(self, data: Row) -> tuple[str, str]:
        """Channel and modality of a sample_data record."""
        mounted = self.get("calibrated_sensor", data["calibrated_sensor_token"])
        sensor = self.get("sensor", mounted["sensor_token"])
        return sensor["channel"], sensor["modality"]

    def ego_pose(self, data: Row) -> Tensor:
        """``T_world_ego`` (4, 4) of a sample_data record."""
        token = data["ego_pose_token"]
        return pose_from_record(self.get("ego_pose", token), self.where("ego_pose", token))

    @lru_cache(maxsize=4)  # noqa: B019
    def scene_poses(self, scene: str) -> tuple[Tensor, Tensor]:
        """Times (ns) and ego poses of a whole scene, one per stamp."""
        found: dict[int, Row] = {}
        for token in self.samples_of_scene[scene]:
            for row in self.data_of_sample[token]:
                found.setdefault(nanoseconds(row), row)
        if not found:
            raise DataError(f"{self.where('scene')}: no row leads to the samples of the scene {scene!r}")
        times = sorted(found)
        return torch.tensor(times), torch.stack([self.ego_pose(found[t]) for t in times])

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
        """
        unknown = [float("nan")] * 3
        has_prev, has_next = annotation["prev"] != "", annotation["next"] != ""
        if not has_prev and not has_next:
            return unknown
        first = self.get("sample_annotation", annotation["prev"]) if has_prev else annotation
        last = self.get("sample_annotation", annotation["next"]) if has_next else annotation
        t0, t1 = (self.get("sample", a["sample_token"])["timestamp"] for a in (first, last))
        seconds = (t1 - t0) * 1e-6
        if seconds <= 0 or seconds > max_gap * (2 if has_prev and has_next else 1):
            return unknown
        pairs = zip(first["translation"], last["translation"], strict=True)
        return [(b - a) / seconds for a, b in pairs]
