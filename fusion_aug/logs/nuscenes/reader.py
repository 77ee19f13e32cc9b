"""nuScenes: reader.

One sample is a keyframe with its sweeps. Streams are named by channel; ``boxes`` are in the reference frame, the ego
vehicle at the LiDAR keyframe's stamp; ``ego`` holds pose and twist at every record's stamp. Every camera has its own
stamp and ego pose, so the way from LiDAR to camera leads through the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.nuscenes import poses_from_records
from calib.regular_files import is_there
from calib.se3 import invert
from calib.se3_arrays import product
from fusion_aug.errors import ConfigError, DataError
from fusion_aug.logs.core.contents import Part, Unreached
from fusion_aug.logs.core.kept import Kept
from fusion_aug.logs.core.log import Format, LogOptions, Option
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.core.tracks import bare_sample
from fusion_aug.logs.nuscenes.box_motion import box_velocities
from fusion_aug.logs.nuscenes.clouds import LIDAR_COLUMNS, RADAR_COLUMNS
from fusion_aug.logs.nuscenes.conditions import conditions_of
from fusion_aug.logs.nuscenes.contents import NO_FILES, NO_RECORD, NO_ROW, OTHER_VERSION, OWN_FOLDER
from fusion_aug.logs.nuscenes.ego import ego_around
from fusion_aug.logs.nuscenes.files import Files
from fusion_aug.logs.nuscenes.grids import GRID, LogWithGrids
from fusion_aug.logs.nuscenes.mounts import Mounts
from fusion_aug.logs.nuscenes.roads import LogWithRoads
from fusion_aug.logs.nuscenes.splits import official_splits
from fusion_aug.logs.nuscenes.tables import KEPT_NAMES, LABEL_TABLES, TABLES, Row, Tables, nanoseconds
from fusion_aug.logs.nuscenes.unreached import unreached_rows
from fusion_aug.logs.nuscenes.versions import version_folders
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.sample.manifest import NAME as MANIFEST
from fusion_aug.sample.sensors import matches
from fusion_aug.streams import Boxes3D, Camera, LazyColumns, Lidar, Radar, Stream, strings
from fusion_aug.streams.source import Source

# Middle of the share of an object that is visible, by visibility token.
VISIBILITY = {"1": 0.2, "2": 0.5, "3": 0.7, "4": 0.9}
VISIBLE = 0.9  # where an annotation says nothing of it


NUSCENES_OPTIONS = {
    "version": Option("folder of the tables (v1.0-mini), where the root holds several"),
    "exclude": Option("channels, files or occupancy, or shell patterns of them, neither read nor written", many=True),
}


class NuscenesLog(LogWithRoads, LogWithGrids):
    """A nuScenes folder, or one of Lyft.

    ``log.select`` takes sample tokens, scene names or tokens, splits (train, val, mini_train, mini_val, test, and those
    of a ``splits.json`` beside the tables), or shell patterns.
    """

    calibration_per_scene = True
    joins_samples = False  # from tables

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        exclude = options.exclude
        names = [exclude] if isinstance(exclude, str) else exclude or []
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"log.exclude: expected names or shell patterns, got {exclude!r}")
        self.tables = Tables(self.tree, options.version, names)
        self.files = Files(self.tables)
        self._mounts = Mounts(self.tables)
        self._starts: Kept[str, tuple[int, Tensor]] = Kept(KEPT_NAMES)
        if not (self.root / MANIFEST).is_file():  # an output lacks what its run left out
            self._check_excluded()
            if self.classes is not None:
                categories = {str(row["name"]) for row in self.tables.rows("category")}
                self.classes.refuse_unknown(categories, self.tables.where("category"))

    def _check_excluded(self) -> None:
        """Refuse patterns of ``log.exclude`` that match nothing."""
        channels = self.tables.channels if self.tables.exclude else []
        for pattern in self.tables.exclude:
            if any(matches(name, [pattern]) for name in (*channels, GRID)):
                continue
            tables = ("sample_data", *(t for t in LABEL_TABLES if is_there(self.tables.path(t))))
            if not any(matches(row["filename"], [pattern]) for t in tables for row in self.tables.rows(t)):
                raise ConfigError(
                    f"log.exclude: {pattern!r} matches no channel and no file of {self.root}; its channels are "
                    f"{', '.join(channels)}"
                )

    @property
    def all_ids(self) -> Sequence[str]:
        """Tokens of all samples, scene by scene."""
        everything = self.tables.samples
        if not everything:
            raise DataError(f"{self.tables.where('sample')}: there are no samples")
        return everything

    def names_of(self, sample_id: str) -> list[str]:
        """A sample is called by its token, by its scene's name and token, and by the splits that the scene is in."""
        return [sample_id, *self._names_of_scene[self.scene_of(sample_id)]]

    def conditions(self, sample_id: str) -> dict[str, str]:
        """Weather and time of day of a sample, by which donors are chosen; "" where nothing tells."""
        scene = self.tables.get("scene", self.scene_of(sample_id))
        return conditions_of(scene, self.tables.get("log", scene["log_token"]))

    @cached_property
    def _names_of_scene(self) -> dict[str, list[str]]:
        out = {}
        for row in self.tables.rows("scene"):
            token, name = row["token"], str(row["name"])
            own = [split for split, scenes in self.tables.splits.items() if name in scenes]
            out[token] = [name, token, *dict.fromkeys((*official_splits(name), *own))]
        return out

    def box_place(self, sample_id: str, stream: str, box: str) -> str:
        """The annotation."""
        return self.tables.where("sample_annotation", box)

    def part_of(self, path: str) -> Part | None:
        """The part of the format that a file is: one that a record names, of another version, or any other."""
        part, folder = super().part_of(path), path.partition("/")[0]
        if folder in self._other_versions and path.endswith(".json"):
            return OTHER_VERSION
        if folder in LABEL_TABLES and not (self.files.may_hold(path) and self.files.samples_of(path)):
            return NO_ROW
        if path in (f"{self.tables.folder.name}/{t}.json" for t in LABEL_TABLES if t not in self.files.labels.there):
            return NO_FILES
        if self.files.may_hold(path):
            return part or OWN_FOLDER if self.files.samples_of(path) else NO_RECORD
        return part

    @cached_property
    def _other_versions(self) -> set[str]:
        return {p.name for p in version_folders(self.tree) if p != self.tables.folder}

    def fields(self) -> dict[str, set[str]]:
        """Fields of the 13 tables, and of those of labels of points."""
        folder = self.tables.folder.name
        return {f"{folder}/{t}.json": self.tables.rows(t).fields for t in (*TABLES, *self.files.labels.there)}

    def unreached(self) -> dict[str, Unreached]:
        """Rows of the tables that no chain of samples leads to."""
        folder = self.tables.folder.name
        return {f"{folder}/{table}.json": rows for table, rows in unreached_rows(self.files).items()}

    def is_selected_file(self, path: str) -> bool:
        """Whether a file is one of the selected samples, or of all, as tables and maps are."""
        samples = self.files.samples_of(path)
        return not samples or any(sample in self._selected for sample in samples)

    @cached_property
    def _selected(self) -> frozenset[str]:
        return frozenset(self.ids)

    def scene_of(self, sample_id: str) -> str:
        """Scene token of a sample."""
        return str(self.tables.get("sample", sample_id)["scene_token"])

    def read(self, sample_id: str) -> Sample:
        """Read one sample."""
        tables, scene = self.tables, self.scene_of(sample_id)
        channels: dict[str, list[Row]] = {}
        for row in tables.data_of_sample(sample_id):
            channels.setdefault(tables.channel(row)[0], []).append(row)
        if not channels:
            raise DataError(f"{tables.where('sample_data')}: sample {sample_id!r} has no data")
        order = [name for name in tables.channels if name in channels]
        key = self._key_row(channels, sample_id)
        track, ego = ego_around(tables, sample_id, [r for n in order for r in channels[n]])
        rig = self.with_rig_file(self._mounts.rig([_key_or_first(channels[n]) for n in order], track))
        ref = Ref("ego", nanoseconds(key))
        T_world_ref = rig.T("world", "ego", ref.time)
        streams: dict[str, Stream] = {n: self._stream(n, channels[n]) for n in order}
        streams["boxes"] = self._boxes(sample_id, T_world_ref, ref.time)
        streams["ego"] = ego
        start, anchor = self._starts.get(scene, self._start)
        meta = SampleMeta(
            id=sample_id, scene=scene, ref=ref, rig=rig, true_rig=rig, anchor=anchor, start=start,
            clock=tables.channel(key)[0],
        )  # fmt: skip
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.tree)

    def boxes_and_ego(self, sample_id: str) -> Sample:
        """The annotations of a sample and the vehicle's pose at its LiDAR keyframe, from the tables alone."""
        scene, key = self.scene_of(sample_id), self._first_row(sample_id)
        ref, (_, ego) = Ref("ego", nanoseconds(key)), ego_around(self.tables, sample_id, [key])
        T_world_ref = ego.values["pose"][0]
        boxes = self._boxes(sample_id, T_world_ref, ref.time)
        return bare_sample(sample_id, scene, ref, "world", T_world_ref, {"boxes": boxes, "ego": ego})

    def _key_row(self, channels: dict[str, list[Row]], sample_id: str) -> Row:
        """The LiDAR keyframe of a sample, else its first keyframe."""
        keys = [r for rows in channels.values() for r in rows if r["is_key_frame"]]
        if not keys:
            raise DataError(f"{self.tables.where('sample_data')}: sample {sample_id!r} has no keyframe")
        lidars = [r for r in keys if self.tables.channel(r)[1] == "lidar"]
        return (lidars or keys)[0]

    def _first_row(self, sample_id: str) -> Row:
        channels: dict[str, list[Row]] = {}
        for row in self.tables.data_of_sample(sample_id):
            channels.setdefault(self.tables.channel(row)[0], []).append(row)
        return self._key_row(channels, sample_id)

    def _start(self, scene: str) -> tuple[int, Tensor]:
        """Time (ns) and ego pose (4, 4) of the first keyframe of a scene."""
        first = self._first_row(self.tables.samples_of_scene[scene][0])
        return nanoseconds(first), self.tables.ego_pose(first)

    def _stream(self, name: str, rows: list[Row]) -> Stream:
        modality = self.tables.channel(rows[0])[1]
        times, tokens = torch.tensor([nanoseconds(r) for r in rows]), tuple(r["token"] for r in rows)
        common: dict[str, Any] = {"frame": name, "capture_times": times, "records": tokens}
        paths = [self.files.path(r) for r in rows]
        if modality == "camera":
            sizes = [self._mounts.size(r) for r in rows]
            pairs = zip(paths, sizes, strict=True)
            return Camera(items=tuple(Source(p, "image", options={"size": s}) for p, s in pairs), **common)
        if modality == "lidar":
            sources = [Source(p, "nuscenes_lidar") for p in paths]
            labels = self.files.labels
            extra = [labels.sources(r["token"]) for r in rows] if labels.there else []
            values = LazyColumns(sources, (*LIDAR_COLUMNS, *labels.columns), extra)
            return Lidar(values=values, motion="compensated", **labels.about, **common)
        sources = [Source(p, "nuscenes_radar") for p in paths]
        return Radar(values=LazyColumns(sources, RADAR_COLUMNS), **common)

    def _boxes(self, sample_id: str, T_world_ref: Tensor, time: int) -> Boxes3D:
        tables = self.tables
        rows = tables.annotations_of_sample(sample_id)
        where = tables.where("sample_annotation")
        poses = poses_from_records(rows, lambda i: f"{where}: {rows[i]['token']}").numpy()
        sizes = np.array([r["size"] for r in rows], np.float64).reshape(-1, 3)
        velocity = product(box_velocities(tables, rows)[:, None], T_world_ref[:3, :3].numpy())[:, 0]
        visible = [VISIBILITY.get(str(r.get("visibility_token")), VISIBLE) for r in rows]
        return Boxes3D(
            frame=REF,
            capture_times=torch.tensor([time]),
            values={
                "pose": torch.from_numpy(product(invert(T_world_ref).numpy(), poses)),
                "size": torch.from_numpy(sizes[:, [1, 0, 2]].copy()),  # nuScenes lists width, length, height
                "velocity": torch.from_numpy(velocity),
                "category": strings(tables.categories(rows)),
                "instance": strings([r["instance_token"] for r in rows]),
                "record": strings([r["token"] for r in rows]),
                "visible": torch.tensor(visible, dtype=torch.float64),
            },
        )


def _key_or_first(rows: list[Row]) -> Row:
    """The keyframe of a channel, else its first record."""
    return next((r for r in rows if r["is_key_frame"]), rows[0])
