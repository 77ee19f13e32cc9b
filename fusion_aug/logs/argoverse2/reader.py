"""Argoverse 2 sensor dataset: reader.

One sample is a LiDAR sweep with the pictures that lie nearest to it in time. Clouds are in the vehicle's frame at the
sweep's stamp, motion compensated, from two scanners: ``lidar`` has an ``origin`` column that says which, so that rays
start at the right one. The pictures are undistorted already: their camera is the pinhole K, and k1 to k3 describe the
lens that they were freed of (Argoverse 2 user guide; its own API does not use them).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from calib import CameraSensor, Frame, Rig, Sensor, Trajectory, validate
from calib.lidar_models import lidar_of_model
from calib.regular_files import is_there
from calib.sensors import pinhole_sensor
from calib.sides import other_side
from fusion_aug.errors import DataError
from fusion_aug.logs.argoverse2.clouds import COLUMNS, own_columns
from fusion_aug.logs.argoverse2.feather import read_table
from fusion_aug.logs.argoverse2.folders import ArgoverseFolders
from fusion_aug.logs.argoverse2.maps import VECTOR
from fusion_aug.logs.argoverse2.tables import (
    BOXES,
    CAMERAS,
    INTRINSICS,
    LABELS,
    MOUNTS,
    POSE,
    SIZE,
    TRACK,
    poses_of,
    track_velocities,
)
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.core.tracks import bare_sample
from fusion_aug.logs.core.twist import twist_at
from fusion_aug.logs.core.vector_maps import MAP, needs_map
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.streams import Boxes3D, Camera, EgoPose, LazyColumns, Lidar, Stream, strings
from fusion_aug.streams.source import Source

EGO, WORLD, CLOUD = "egovehicle", "city", "lidar"
SCANNERS = ("up_lidar", "down_lidar")  # lasers 0 to 31 and 32 to 63
DEVICE = "VLP-32C"  # both of them
MARGIN = 60_000_000  # ns: poses of the log around a sample, for what is looked up between records


class ArgoverseLog(ArgoverseFolders):
    """A folder of Argoverse 2 logs, or of splits of them, or one log.

    ``log.select`` takes sample ids (``val/LOG/STAMP``), log ids, splits, or shell patterns.
    """

    calibration_per_scene = True
    joins_samples = False  # from tables

    # --- tables of a log ----------------------------------------------------------------------------------------------
    def _needed(self, scene: str, table: str, of: str) -> Path:
        """File of a table that a log needs.

        Raises:
            DataError: it is missing.
        """
        path = self.tree.path(table, scene, self.folders[scene])
        if not path.is_file():
            raise DataError(
                f"{path if path.parent.is_dir() else path.parent}: is missing, so nothing is known of {of}; add it, or "
                f"leave the log out with log.select (on_error=skip goes on without it)"
            )
        return path

    @lru_cache(maxsize=4)  # noqa: B019
    def ego_poses(self, scene: str) -> tuple[Tensor, Tensor]:
        """Stamps (ns, sorted) and ``T_city_egovehicle`` (n, 4, 4) of a log."""
        path = self._needed(scene, TRACK, "the vehicle's poses")
        table = read_table(None, path, ("timestamp_ns", *POSE))
        order = np.argsort(table["timestamp_ns"], kind="stable")
        return torch.from_numpy(table["timestamp_ns"][order].astype(np.int64)), poses_of(table, path)[order]

    @lru_cache(maxsize=4)  # noqa: B019
    def annotations(self, scene: str) -> dict[str, np.ndarray] | None:
        """All cuboids of a log; None where it has none (the test split)."""
        path = self.tree.path(LABELS, scene, self.folders[scene])
        return read_table(None, path, BOXES) if is_there(path) else None

    @lru_cache(maxsize=4)  # noqa: B019
    def mounted_rig(self, scene: str) -> Rig:
        """Frames and sensors of a log; the vehicle's own pose is not in it."""
        path = self._needed(scene, MOUNTS, "the log's sensors")
        table = read_table(None, path, ("sensor_name", *POSE))
        poses = dict(zip(table["sensor_name"].tolist(), poses_of(table, path), strict=True))
        frames = {WORLD: Frame(axis_convention="world"), EGO: Frame(parent=WORLD), CLOUD: Frame(parent=EGO)}
        sensors: dict[str, Sensor] = {CLOUD: lidar_of_model(DEVICE, CLOUD, max_range=225.0)}
        if CLOUD in poses:
            raise DataError(f"{path}: sensor_name: {CLOUD!r} is what the joint cloud is called here")
        path = self._needed(scene, CAMERAS, "the log's cameras")
        inner = read_table(None, path, INTRINSICS)
        cameras = set(inner["sensor_name"].tolist())
        for i, name in enumerate(inner["sensor_name"].tolist()):
            if name not in poses:
                raise DataError(f"{path}: {name}: has no row in egovehicle_SE3_sensor.feather")
            fx, fy, cx, cy = (float(inner[c][i]) for c in INTRINSICS[1:5])
            K = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)
            size = (int(inner["height_px"][i]), int(inner["width_px"][i]))
            if fx == 0 or fy == 0 or min(size) < 1:
                raise DataError(f"{path}: {name}: a focal length or a size is zero")
            partner = other_side(name, cameras)
            sensors[name] = pinhole_sensor(name, K, size, partner if partner != name else None)
        for name, pose in poses.items():
            frames[name] = Frame(parent=EGO, pose=pose, axis_convention="camera" if name in cameras else "body")
        for name in SCANNERS:
            if name in frames:
                sensors[name] = lidar_of_model(DEVICE, name, max_range=225.0)
        return Rig(frames, sensors)

    # --- samples ------------------------------------------------------------------------------------------------------
    def read(self, sample_id: str) -> Sample:
        """Read one sample."""
        scene, stamp = self.locate(sample_id)
        files, (times, track) = self.files(scene), self.ego_poses(scene)
        number = int(np.searchsorted(files.sweeps, stamp))
        pictures = {n: s[files.sweeps_of(s) == number] for n, s in files.pictures.items()}
        pictures = {n: s for n, s in pictures.items() if len(s)}
        own = torch.tensor(sorted({stamp, *(int(t) for s in pictures.values() for t in s)}))
        near = (times >= int(own[0]) - MARGIN) & (times <= int(own[-1]) + MARGIN)
        missing = ~torch.isin(own, times)
        if bool(missing.any()):
            where = files.folder / "city_SE3_egovehicle.feather"
            raise DataError(f"{where}: there is no pose at {int(own[missing][0])} ns, of sample {sample_id!r}")
        mounts = self.mounted_rig(scene)
        moving = Frame(parent=WORLD, pose=Trajectory.from_unsorted(times[near], track[near]))
        rig = validate(self.with_rig_file(Rig({**mounts.frames, EGO: moving}, mounts.sensors)), str(files.folder))
        streams: dict[str, Stream] = {CLOUD: self._cloud(files.folder, stamp)}
        for name, stamps in pictures.items():
            if not isinstance(rig.sensors.get(name), CameraSensor):
                raise DataError(
                    f"{files.folder}/calibration/intrinsics.feather: has no row of the camera {name!r}, which has "
                    f"pictures; add one, give the camera in log.rig, or move its pictures elsewhere"
                )
            streams[name] = _pictures(files.folder, name, stamps, rig.camera(name).model.size)
        T_world_ref = rig.T(WORLD, EGO, stamp)
        boxes = self._boxes(scene, stamp, T_world_ref)
        if boxes is not None:
            streams["boxes"] = boxes
        velocity, angular = twist_at(own, times, track)
        values = {"pose": track[torch.searchsorted(times, own)], "velocity": velocity, "angular_velocity": angular}
        streams["ego"] = EgoPose(frame=WORLD, child=EGO, capture_times=own, values=values)
        anchor = track[int(torch.searchsorted(times, int(files.sweeps[0])))]
        meta = SampleMeta(
            id=sample_id, scene=scene, ref=Ref(EGO, stamp), rig=rig, true_rig=rig, anchor=anchor, clock=CLOUD,
            start=int(files.sweeps[0]),
        )  # fmt: skip
        road = self.map_stream(scene, T_world_ref, stamp)
        sample = Sample(metas=(meta,), streams=streams if road is None else {**streams, MAP: road})
        return needs_map(merge_sidecar(sample, self.tree), self.map_range, f"{files.folder / 'map' / VECTOR}")

    def boxes_and_ego(self, sample_id: str) -> Sample:
        """The cuboids of a sweep and the vehicle's pose at its stamp, from the tables of the log alone."""
        scene, stamp = self.locate(sample_id)
        times, track = self.ego_poses(scene)
        at = torch.tensor([stamp])
        k = torch.searchsorted(times, at).clamp(max=len(times) - 1)
        if int(times[k]) != stamp:
            raise DataError(f"{self.folders[scene] / TRACK}: there is no pose at {stamp} ns, of sample {sample_id!r}")
        velocity, angular = twist_at(at, times, track)
        values = {"pose": track[k], "velocity": velocity, "angular_velocity": angular}
        streams: dict[str, Stream] = {"ego": EgoPose(frame=WORLD, child=EGO, capture_times=at, values=values)}
        boxes = self._boxes(scene, stamp, track[k[0]])
        streams |= {} if boxes is None else {"boxes": boxes}
        return bare_sample(sample_id, scene, Ref(EGO, stamp), WORLD, track[k[0]], streams)

    def _cloud(self, folder: Path, stamp: int) -> Lidar:
        source = Source(folder / "sensors" / "lidar" / f"{stamp}.feather", "argoverse_cloud")
        columns = LazyColumns([source], (*COLUMNS, *own_columns(source.path)))
        return Lidar(
            frame=CLOUD, capture_times=torch.tensor([stamp]), values=columns,
            motion="compensated", origins=SCANNERS,
        )  # fmt: skip

    def _boxes(self, scene: str, stamp: int, T_world_ref: Tensor) -> Boxes3D | None:
        table = self.annotations(scene)
        if table is None:
            return None
        rows = np.flatnonzero(table["timestamp_ns"] == stamp)
        path = self.folders[scene] / "annotations.feather"
        mine = {k: v[rows] for k, v in table.items()}
        velocity = self.velocities(scene)[torch.from_numpy(rows)] @ T_world_ref[:3, :3]
        return Boxes3D(
            frame=REF,
            capture_times=torch.tensor([stamp]),
            values={
                "pose": poses_of(mine, path),
                "size": torch.from_numpy(np.stack([mine[c] for c in SIZE], 1).astype(np.float64)),
                "velocity": velocity,
                "category": strings(mine["category"]),
                "instance": strings(mine["track_uuid"]),
                "record": strings(map(str, rows)),
            },
        )

    @lru_cache(maxsize=4)  # noqa: B019
    def velocities(self, scene: str) -> Tensor:
        """World velocity (n, 3) of every cuboid, by central differences along its track; NaN for a single one."""
        table, (times, track) = self.annotations(scene), self.ego_poses(scene)
        assert table is not None
        stamps = torch.from_numpy(table["timestamp_ns"].astype(np.int64))
        at = torch.searchsorted(times, stamps).clamp(max=len(times) - 1)
        path = self.folders[scene] / "annotations.feather"
        place = (track[at] @ poses_of(table, path))[:, :3, 3]
        return track_velocities(table["track_uuid"], stamps, place)


def _pictures(folder: Path, name: str, stamps: np.ndarray, size: tuple[int, int]) -> Camera:
    paths = [folder / "sensors" / "cameras" / name / f"{t}.jpg" for t in stamps.tolist()]
    items = tuple(Source(p, "image", options={"size": size}) for p in paths)
    return Camera(frame=name, capture_times=torch.from_numpy(stamps), items=items)


__all__ = ["ArgoverseLog"]
