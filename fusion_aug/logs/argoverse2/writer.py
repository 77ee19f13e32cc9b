"""Argoverse 2 sensor dataset: writer.

Clouds are written in the vehicle's frame, in float32; the scanners keep their places relative to the points. Official
counts of points in cuboids change by what our count changes. A mirror swaps the names of left and right cameras, and
their files with them. Rows of tables keep the columns that the format does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from calib.regular_files import is_there
from calib.se3 import quaternion_from_rotation
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.clouds import COLUMNS, own_columns, write_cloud
from fusion_aug.logs.argoverse2.contents import SIDE_FILES
from fusion_aug.logs.argoverse2.feather import read_arrow, with_own_columns, write_table
from fusion_aug.logs.argoverse2.folders import sweep_id
from fusion_aug.logs.argoverse2.maps import copy_files, write_moved_maps
from fusion_aug.logs.argoverse2.reader import CLOUD, EGO, WORLD
from fusion_aug.logs.argoverse2.tables import BOXES, CAMERAS, INTRINSICS, LABELS, MOUNTS, POSE, TRACK
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.box_counts import counts_after
from fusion_aug.logs.core.capture_writer import LINKED_KEYFRAME_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, inside, write_picture
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_ids, write_sidecar
from fusion_aug.logs.core.vector_maps import MAP, holds
from fusion_aug.sample import Sample
from fusion_aug.sample.history import source_name
from fusion_aug.streams import Camera, LazyColumns, Points
from fusion_aug.transforms.scene import MirrorScene, world_motion

TABLES = (TRACK, LABELS, MOUNTS, CAMERAS)


class ArgoverseWriter(CaptureTimeWriter):
    """Writes sweeps, pictures and the tables of every log."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **LINKED_KEYFRAME_EFFECTS,
        "homography": (
            "a perspective of the image fits no fx, fy, cx, cy",
            "use Resize, Crop or FlipImage",
        ),
        "skew": (
            "intrinsics.feather has no place for skew, which a rotated image needs",
            "use Resize, Crop or FlipImage",
        ),
    }

    copied_whole: ClassVar[tuple[str, ...]] = ("**/*.feather", "**/map/log_map_archive_*.json")
    steps: ClassVar[Mapping[str, float]] = {"intensity": 1.0, "time_offset": 1e-9}
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "boxes": ("velocity",),
        "ego": ("velocity", "angular_velocity"),
    }

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras whose pictures the log holds."""
        mounts = self.log.mounted_rig(self.log.scene_of(sample.id)).sensors
        return [n for n in sample.of_type(Camera) if isinstance(mounts.get(n), CameraSensor)]

    def notes(self, sample: Sample, pipeline: Transform) -> list[str]:
        """That maps follow where the pipeline mirrors or scales."""
        moves = [t for t in leaves(pipeline) if t.p > 0 and (isinstance(t, MirrorScene) or "scale" in t.effects())]
        if not moves or not self.log.map_files(self.log.scene_of(sample.id)):
            return []
        names = ", ".join(dict.fromkeys(type(t).__name__ for t in moves))
        return [f"maps follow {names}: their vectors are moved, lanes change sides in a mirror, and the ground raster "
                f"is flipped and has another img_Sim2_city.json, by which its cells must be looked up"]  # fmt: skip

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one sweep, its pictures (JPEG) and its sidecar below the folder of its log.

        Returns:
            ``scene`` and ``source_scene``, ``same`` (the calibration did not change), ``untouched`` (nor did a cloud),
            ``id``, ``world`` (the map of the city, or None), rows of the tables (``mounted``, ``intrinsics``,
            ``poses``, ``boxes``), ``names`` (sensor -> its name in the source), and with ``lossy`` the ``residual``.
        """
        sample = self.as_read_back(sample, source)
        scene = self.log.scene_of(source.id)
        out_scene = scene + out_id[len(source.id) :]
        target = inside(folder, out_scene, "log id")
        W = world_motion(sample.history)
        if W is not None:
            self.log.check_maps(scene)
        own = [c for c in _in_file(source) if c in sample[CLOUD].values]
        copied = self._cloud(sample, source, own, target / "sensors" / "lidar" / f"{sample.ref.time}.feather")
        for name in self.cameras(sample):
            for i, time in enumerate(sample[name].capture_times.tolist()):
                write_picture(sample[name], i, target / "sensors" / "cameras" / name / f"{time}.jpg", self.link)
        stored: StoredColumns = {CLOUD: (*COLUMNS, *own), **dict.fromkeys((*self.cameras(sample), "boxes", "ego"))}
        if MAP in sample.streams and self._files_hold_map(sample, scene, W):
            stored = {**stored, MAP: None}
        write_sidecar(sample, stored, out_id, folder, self.link)
        same = sample.rig is source.rig
        rows: dict[str, Any] = {"scene": out_scene, "source_scene": scene, "same": same, "untouched": same and copied}
        rows |= {"id": sweep_id(out_scene, sample.ref.time), "world": None if W is None else W.tolist()}
        rows |= self._calibration(sample, scene) | {"poses": self._poses(sample), "boxes": self._boxes(sample, source)}
        if self.lossy:
            rows["residual"] = residual(sample, self.cameras(sample), without_skew)
        return rows

    def _files_hold_map(self, sample: Sample, scene: str, W: Tensor | None) -> bool:
        """Whether the map of a sample is what its files give; of another place or scale they give another cut."""
        T = sample.rig.T(WORLD, EGO, sample.ref.time)
        return holds(self.log.map_stream(scene, T, sample.ref.time, None if W is None else W.numpy()), sample[MAP])

    def _cloud(self, sample: Sample, source: Sample, own: list[str], path: Path) -> bool:
        """Write the sweep; whether it is a copy of its file."""
        cloud = bake(sample, source, CLOUD)
        if cloud.sources is not None:
            copy_file(cloud.sources[0], path, self.link)
            return True
        before = source[CLOUD]
        files = before.sources if isinstance(before, Points) else None
        write_cloud(cloud, own, None if files is None else files[0].path, path, self.log.options.unlabelled)
        return False

    def _calibration(self, sample: Sample, scene: str) -> dict[str, Any]:
        """Rows of the two calibration tables, of the sensors that the log knows."""
        known = self.log.mounted_rig(scene)
        frames = [n for n, f in known.frames.items() if n not in (WORLD, EGO, CLOUD)]
        mounted = [[n, *pose_numbers(sample.rig.T(EGO, n))] for n in frames]
        inner = []
        for name, sensor in known.sensors.items():
            if isinstance(sensor, CameraSensor):
                camera = sample.rig.camera(name)
                K = without_skew(camera.A @ camera.model.K)
                inner.append([name, *(float(K[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))), *camera.size])
        names = {n: source_name(n, sample.history) for n in frames}
        return {"mounted": mounted, "intrinsics": inner, "names": names}

    @staticmethod
    def _poses(sample: Sample) -> list[list[Any]]:
        """Stamps and poses of the vehicle, at all times at which the sample knows its pose."""
        track = sample.rig.frames[EGO].pose
        poses = zip(track.times.tolist(), track.poses, strict=True)  # type: ignore[union-attr]
        return [[time, *pose_numbers(pose)] for time, pose in poses]

    def _boxes(self, sample: Sample, source: Sample) -> dict[str, list[Any]] | None:
        """Rows of the cuboids, and the row of the source behind each."""
        if "boxes" not in sample.streams:
            return None
        boxes, table = sample.boxes(), self.log.annotations(self.log.scene_of(source.id))
        official = {r: int(table["num_interior_pts"][int(r)]) for r in source.boxes()["record"].tolist()}
        same = sample["boxes"] is source["boxes"] and sample[CLOUD] is source[CLOUD]
        counts = official if same else counts_after(sample, source, (CLOUD,), official)
        records = boxes["record"].tolist()
        columns = zip(boxes["instance"], boxes["category"], boxes["size"].tolist(), boxes["pose"], records, strict=True)
        rows = [
            [sample.ref.time, str(track), str(category), *size, *pose_numbers(pose), counts[record]]
            for track, category, size, pose, record in columns
        ]
        return {"rows": rows, "records": [int(r) if r in official else None for r in records]}

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the tables and maps of every log, of which one is in memory at a time."""
        logs: dict[str, list[int]] = {}
        targets: dict[str, Path] = {}
        written: dict[str, str] = {}
        for place, (part, (out_id, _)) in enumerate(zip(rows, ids, strict=True)):
            scene = part["scene"]
            targets[scene] = targets.get(scene) or self.target(scene, rows, "scene")
            logs.setdefault(scene, []).append(place)
            written[part["id"]] = out_id
        write_ids(self.out, written)
        for scene, places in logs.items():
            self._finish_log([rows[place] for place in places], targets[scene])

    def _finish_log(self, parts: list[dict[str, Any]], target: Path) -> None:
        """Write the tables and maps of one log."""
        scene = parts[0]["source_scene"]
        paths = {n: self.log.tree.path(n, scene, self.log.folders[scene]) for n in (*TABLES, *SIDE_FILES)}
        before = {n: read_arrow(None, paths[n]) for n in TABLES if is_there(paths[n])}
        stamps = dict(zip(before[TRACK]["timestamp_ns"].to_pylist(), range(before[TRACK].num_rows), strict=True))
        poses = [row for _, row in sorted({row[0]: row for part in parts for row in part["poses"]}.items())]
        self._table(target / TRACK, poses, ("timestamp_ns", *POSE), before[TRACK], [stamps.get(r[0]) for r in poses])
        if all(part["boxes"] is not None for part in parts):
            cuboids = [row for part in parts for row in part["boxes"]["rows"]]
            records = [record for part in parts for record in part["boxes"]["records"]]
            self._table(target / LABELS, cuboids, BOXES, before[LABELS], records)
        for name, key, columns in ((MOUNTS, "mounted", ("sensor_name", *POSE)), (CAMERAS, "intrinsics", INTRINSICS)):
            sensors = {n: i for i, n in enumerate(before[name]["sensor_name"].to_pylist())}
            if all(p["same"] for p in parts):
                copy_files([paths[name]], target / "calibration")
            else:  # what is known of a camera besides, such as the lens that its pictures were freed of, follows them
                inner = parts[0][key]
                own = [sensors[parts[0]["names"].get(row[0], row[0])] for row in inner]
                self._table(target / name, inner, columns, before[name], own)
        if all(p["untouched"] for p in parts):
            copy_files([paths[n] for n in SIDE_FILES if is_there(paths[n])], target)
        self._maps(parts, target / "map")

    @staticmethod
    def _table(
        path: Path, rows: list[list[Any]], names: Sequence[str], before: Any, records: Sequence[int | None]
    ) -> None:
        """Write rows of known columns, with what the source's table has besides them."""
        write_table(with_own_columns(columns_of(rows, names), before, records), path)

    def _maps(self, parts: list[dict[str, Any]], target: Path) -> None:
        """Write the maps of a log, which follow a mirror or a scale of the city."""
        scene, worlds = parts[0]["source_scene"], [p["world"] for p in parts]
        files = self.log.map_files(scene)
        if files and any(w != worlds[0] for w in worlds):
            raise DataError(
                f"{scene}: its sweeps were mirrored or scaled apart, and one map cannot follow them; draw the motion "
                f"once per log (scope: scene)"
            )
        if worlds[0] is None:
            copy_files(files, target)
        else:
            write_moved_maps(files, target, np.array(worlds[0]))


WHOLE = ("timestamp_ns", "num_interior_pts", "height_px", "width_px")
TEXT = ("sensor_name", "track_uuid", "category")


def columns_of(rows: list[list[Any]], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Rows as typed columns, also where there are none."""
    kinds = {n: np.int64 if n in WHOLE else np.str_ if n in TEXT else np.float64 for n in names}
    return {n: np.array([row[i] for row in rows], kinds[n]) for i, n in enumerate(names)}


def without_skew(matrix: Tensor) -> Tensor:
    """What the intrinsics table holds of a 3x3."""
    K = matrix / matrix[2, 2]
    held = torch.eye(3, dtype=torch.float64)
    held[0, 0], held[1, 1], held[:2, 2] = K[0, 0], K[1, 1], K[:2, 2]
    return held


def pose_numbers(T: Tensor) -> list[float]:
    """qw qx qy qz tx ty tz."""
    return [*quaternion_from_rotation(T[:3, :3]).tolist(), *T[:3, 3].tolist()]


def _in_file(source: Sample) -> list[str]:
    """Columns besides those of the format that the cloud's own file holds; a sidecar may hold further ones."""
    values = source[CLOUD].values if isinstance(source[CLOUD], Points) else {}
    own = [c for c in values if c not in COLUMNS]
    held = own_columns(values.sources[0].path) if own and isinstance(values, LazyColumns) else own
    return [c for c in own if c in held]
