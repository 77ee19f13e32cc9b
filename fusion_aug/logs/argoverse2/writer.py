"""Argoverse 2 sensor dataset: writer.

Clouds are written in the vehicle's frame, in float32; the scanners keep their places relative to the points. Points in
cuboids are counted again. A mirror swaps the names of left and right cameras, and their files with them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor
from calib.se3 import quaternion_from_rotation
from fusion_aug.logs.argoverse2.feather import read_table, write_table
from fusion_aug.logs.argoverse2.reader import CLOUD, COLUMNS, EGO, WORLD, sweep_id
from fusion_aug.logs.argoverse2.tables import POSE, SIZE
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.capture_writer import ONE_STAMP_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, inside, write_picture
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_ids, write_sidecar
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera, Points

Row = dict[str, Any]


class ArgoverseWriter(CaptureTimeWriter):
    """Writes sweeps, pictures and the tables of every log."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **ONE_STAMP_EFFECTS,
        "homography": (
            "a perspective of the image fits no fx, fy, cx, cy",
            "use Resize, Crop or FlipImage",
        ),
        "skew": (
            "intrinsics.feather has no place for skew, which a rotated image needs",
            "use Resize, Crop or FlipImage",
        ),
    }

    steps: ClassVar[Mapping[str, float]] = {"intensity": 1.0, "time_offset": 1e-9}
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "boxes": ("velocity",),
        "ego": ("velocity", "angular_velocity"),
    }

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras whose pictures the log holds."""
        mounts = self.log.mounted_rig(self.log.scene_of(sample.id)).sensors
        return [n for n in sample.of_type(Camera) if isinstance(mounts.get(n), CameraSensor)]

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write one sweep, its pictures (JPEG) and its sidecar below the folder of its log.

        Returns:
            ``scene`` and ``source_scene``, ``same`` (the calibration did not change), ``id``, rows of the tables
            (``mounted``, ``intrinsics``, ``poses``, ``boxes``), and with ``lossy`` the ``residual``.
        """
        sample = self.as_read_back(sample, source)
        scene = self.log.scene_of(source.id)
        out_scene = scene + out_id[len(source.id) :]
        target = inside(folder, out_scene, "log id")
        self._cloud(sample, source, target / "sensors" / "lidar" / f"{sample.ref.time}.feather")
        for name in self.cameras(sample):
            for i, time in enumerate(sample[name].capture_times.tolist()):
                write_picture(sample[name], i, target / "sensors" / "cameras" / name / f"{time}.jpg", self.link)
        stored: StoredColumns = {CLOUD: COLUMNS, **dict.fromkeys((*self.cameras(sample), "boxes", "ego"))}
        write_sidecar(sample, stored, out_id, folder, self.link)
        rows: dict[str, Any] = {"scene": out_scene, "source_scene": scene, "same": sample.rig is source.rig}
        rows["id"] = sweep_id(out_scene, sample.ref.time)
        rows |= self._calibration(sample, scene) | {"poses": self._poses(sample), "boxes": self._boxes(sample, source)}
        if self.lossy:
            rows["residual"] = residual(sample, self.cameras(sample), without_skew)
        return rows

    def _cloud(self, sample: Sample, source: Sample, path: Path) -> None:
        cloud = bake(sample, source, CLOUD)
        if cloud.sources is not None:
            copy_file(cloud.sources[0], path, self.link)
            return
        values = cloud.realized().values
        xyz = values["xyz"].detach().cpu().to(torch.float32).numpy()
        offset = np.round(values["time_offset"].cpu().to(torch.float64).numpy() * 1e9).astype(np.int32)
        intensity = values["intensity"].cpu().round().clamp(0, 255).to(torch.uint8).numpy()
        laser = values["ring"].cpu().to(torch.uint8).numpy()
        columns = {c: np.ascontiguousarray(xyz[:, i]) for i, c in enumerate("xyz")}
        write_table(columns | {"intensity": intensity, "laser_number": laser, "offset_ns": offset}, path)

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
        return {"mounted": mounted, "intrinsics": inner}

    @staticmethod
    def _poses(sample: Sample) -> list[list[Any]]:
        """Stamps and poses of the vehicle, at all times at which the sample knows its pose."""
        track = sample.rig.frames[EGO].pose
        poses = zip(track.times.tolist(), track.poses, strict=True)  # type: ignore[union-attr]
        return [[time, *pose_numbers(pose)] for time, pose in poses]

    def _boxes(self, sample: Sample, source: Sample) -> list[list[Any]] | None:
        if "boxes" not in sample.streams:
            return None
        boxes = sample.boxes()
        counts: list[int] = [0] * boxes.rows
        if CLOUD in sample.streams:
            cloud = bake(sample, source, CLOUD).realized()
            assert isinstance(cloud, Points)
            inside = points_in_boxes(cloud["xyz"].cpu(), boxes["pose"], boxes["size"])
            counts = [len(rows) for rows in inside]
        columns = zip(boxes["instance"], boxes["category"], boxes["size"].tolist(), boxes["pose"], counts, strict=True)
        return [
            [sample.ref.time, str(track), str(category), *size, *pose_numbers(pose), count]
            for track, category, size, pose, count in columns
        ]

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the tables of every log, and copy its map."""
        logs: dict[str, list[dict[str, Any]]] = {}
        written: dict[str, str] = {}
        for part, (out_id, _) in zip(rows, ids, strict=True):
            logs.setdefault(part["scene"], []).append(part)
            written[part["id"]] = out_id
        write_ids(self.out, written)
        for scene, parts in logs.items():
            target, origin = self.out / scene, self.log.folders[parts[0]["source_scene"]]
            if all(p["same"] for p in parts):
                for path in sorted((origin / "calibration").glob("*.feather")):
                    (target / "calibration").mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target / "calibration" / path.name)
            else:
                self._write_calibration(parts[0], origin / "calibration", target / "calibration")
            self._write_poses(parts, target / "city_SE3_egovehicle.feather")
            self._write_boxes(parts, target / "annotations.feather")
            if (origin / "map").is_dir():
                shutil.copytree(origin / "map", target / "map", dirs_exist_ok=True)

    @staticmethod
    def _write_calibration(part: dict[str, Any], origin: Path, target: Path) -> None:
        table = columns_of(part["mounted"], ("sensor_name", *POSE))
        write_table(table, target / "egovehicle_SE3_sensor.feather")
        before = read_table(None, origin / "intrinsics.feather", ("sensor_name",))
        names = ("sensor_name", "fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
        table = columns_of(part["intrinsics"], names)
        # the lens that the pictures were freed of stays what it was
        row = {n: i for i, n in enumerate(before["sensor_name"].tolist())}
        lens: dict[str, Any] = {
            k: before[k][[row[n] for n in table["sensor_name"].tolist()]] for k in ("k1", "k2", "k3") if k in before
        }
        sizes = {k: table.pop(k).astype(np.uint16) for k in ("height_px", "width_px")}
        write_table({**table, **lens, **sizes}, target / "intrinsics.feather")

    @staticmethod
    def _write_poses(parts: list[dict[str, Any]], path: Path) -> None:
        poses = {row[0]: row for part in parts for row in part["poses"]}
        write_table(columns_of([poses[t] for t in sorted(poses)], ("timestamp_ns", *POSE)), path)

    @staticmethod
    def _write_boxes(parts: list[dict[str, Any]], path: Path) -> None:
        names = ("timestamp_ns", "track_uuid", "category", *SIZE, *POSE, "num_interior_pts")
        if all(part["boxes"] is not None for part in parts):
            write_table(columns_of([row for part in parts for row in part["boxes"]], names), path)


WHOLE, TEXT = ("timestamp_ns", "num_interior_pts"), ("sensor_name", "track_uuid", "category")


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
