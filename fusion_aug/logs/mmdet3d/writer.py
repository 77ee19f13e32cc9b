"""mmdetection3d info files: writer. Clouds keep the LiDAR's nominal frame; info files keep their layout."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.se3 import as_f64, invert
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.capture_writer import ONE_STAMP_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, inside, write_picture
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_sidecar
from fusion_aug.logs.mmdet3d.infos import CameraInfo, Info, SweepInfo
from fusion_aug.logs.mmdet3d.reader import LIDAR, VEHICLE, WORLD, feature_names, lidar_yaw_pose, sweep_times
from fusion_aug.ops.points import points_in_boxes
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera

MAX_WIDTH = 64  # numbers per point


REMEDY = "augment that log and create the info from it, or use it in training"


class Mmdet3dWriter(CaptureTimeWriter):
    """Writes clouds, pictures and info files."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **ONE_STAMP_EFFECTS,
        "time": ("an info names its sweeps and pictures by the stamps of the log that it was made from", REMEDY),
        "sampling": ("an info names the sweeps and pictures of the log that it was made from, all of them", REMEDY),
        "homography": (
            "a perspective of the image fits no cam2img, since the depth that readers divide by would change",
            "use Resize, Crop, FlipImage or RotateImage",
        ),
        "distortion": ("cam2img holds no lens distortion", "undistort the pictures first, or write the folder format"),
        "box_tilt": ("bbox_3d holds a yaw only", "use yaw_deg alone"),
    }

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras that the info names."""
        return [n for n, s in sample.of_type(Camera).items() if s.records]

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write clouds (float32, in the LiDAR's nominal frame) and pictures of one sample, and its sidecar.

        Returns:
            the row of the info file: paths, calibration, poses, boxes (n, 7), velocities (n, 2) m/s and LiDAR points
            per box; with ``lossy`` the ``residual``.
        """
        sample = self.as_read_back(sample, source)
        file, number = self.log.locate(source.id)
        suffix = out_id[len(source.id) :]
        info = file.info(number)
        paths = self._files(sample, source, info, suffix, folder)
        cameras = self.cameras(sample)
        stored: StoredColumns = {LIDAR: ["xyz", *feature_names(MAX_WIDTH)], **dict.fromkeys((*cameras, "boxes"))}
        write_sidecar(sample, stored, out_id, folder, self.link)
        T_ego_vehicle = info.T_ego_lidar @ invert(lidar_yaw_pose(info))
        camera_rows = {n: self._camera(sample, n, paths[n], T_ego_vehicle) for n in cameras}
        place = sample.rig.T(WORLD, VEHICLE, sample.ref.time) @ invert(T_ego_vehicle)
        row = {
            "file": file.path.name, "number": number, "same": sample.rig is source.rig, "token": info.token + suffix,
            "lidar": paths[LIDAR], "T_world_ego": place.tolist(), "cameras": camera_rows,
            "sweeps": self._sweeps(sample, info, paths),
        }  # fmt: skip
        row |= self._boxes(sample, source, info)
        return row | ({"residual": residual(sample, cameras)} if self.lossy else {})

    def _files(self, sample: Sample, source: Sample, info: Info, suffix: str, folder: Path) -> dict[str, str]:
        """Write clouds and pictures; returns their paths in the info by camera, LIDAR, or stamp of the sweep."""
        cloud, out = bake(sample, source, LIDAR), {}
        named_paths = dict(zip(map(str, sweep_times(info)), (s.path for s in info.sweeps), strict=True)) | {
            LIDAR: info.lidar
        }
        for i, record in enumerate(cloud.records):
            key = LIDAR if int(cloud.capture_times[i]) == info.time else str(int(cloud.capture_times[i]))
            # a sweep is shared by several samples, which may be moved differently: each gets its own
            path = _suffixed(record, suffix if key == LIDAR else f"__{info.token}{suffix}")
            target = inside(folder, path, "lidar_path")
            if cloud.sources is not None:
                copy_file(cloud.sources[i], target, self.link)
            else:
                columns = cloud.realized_items()[i]
                names = [n for n in feature_names(MAX_WIDTH) if n in columns]
                table = torch.cat([columns["xyz"], *(columns[n][:, None] for n in names)], 1).to(torch.float32)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(table.detach().cpu().numpy().astype("<f4").tobytes())
            out[key] = path_in_style_of(named_paths[key], record, path)
        for name in self.cameras(sample):
            old = next(n for n in source.of_type(Camera) if source[n].records == sample[name].records)
            record = sample[name].records[0]
            path = _suffixed(_renamed(record, old, name), suffix)
            write_picture(sample[name], 0, inside(folder, path, "img_path"), self.link)
            out[name] = path_in_style_of(info.cameras[old].path, record, path)
        return out

    @staticmethod
    def _camera(sample: Sample, name: str, path: str, T_ego_vehicle: Tensor) -> list[Any]:
        sensor, time = sample.rig.camera(name), int(sample[name].capture_times[0])
        K = sensor.A @ sensor.model.K
        there = sample.rig.T(WORLD, VEHICLE, time) @ invert(T_ego_vehicle)
        return [
            path,
            (K / K[2, 2]).tolist(),
            (T_ego_vehicle @ sample.rig.T(VEHICLE, name)).tolist(),
            there.tolist(),
            time,
        ]

    @staticmethod
    def _sweeps(sample: Sample, info: Info, paths: dict[str, str]) -> list[list[Any]]:
        """Path, time and pose in the nominal frame of the keyframe's LiDAR, in the info's order."""
        T_vehicle_lidar = lidar_yaw_pose(info)
        out = []
        for time in sweep_times(info):
            T = sample.rig.T(VEHICLE, VEHICLE, time, sample.ref.time)
            out.append([paths[str(time)], time, (invert(T_vehicle_lidar) @ T @ T_vehicle_lidar).tolist()])
        return out

    def _boxes(self, sample: Sample, source: Sample, info: Info) -> dict[str, Any]:
        boxes = sample.boxes()
        T = invert(lidar_yaw_pose(info))
        pose = T @ boxes["pose"]
        yaw = torch.atan2(pose[:, 1, 0], pose[:, 0, 0])
        velocity = (boxes["velocity"] @ T[:3, :3].T)[:, :2]
        key = bake(sample, source, LIDAR).take_items(torch.tensor([sample.key_item(LIDAR)])).realized()
        counts = [len(r) for r in points_in_boxes(key["xyz"].cpu(), pose, boxes["size"])]
        table = torch.cat([pose[:, :3, 3], boxes["size"], yaw[:, None]], 1)
        return {"boxes": table.tolist(), "velocity": velocity.tolist(), "counts": counts}

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the info files."""
        written: dict[str, list[Any]] = {}
        for row in rows:
            file = self.log.files[Path(row["file"]).stem]
            before = file.info(row["number"])
            cameras = {
                n: CameraInfo(p, as_f64(K), as_f64(T), as_f64(W), time)
                for n, (p, K, T, W, time) in row["cameras"].items()
            }
            sweeps = [SweepInfo(p, time, as_f64(T)) for p, time, T in row["sweeps"]]
            info = Info(
                row["token"], before.time, row["lidar"], before.width, before.T_ego_lidar, as_f64(row["T_world_ego"]),
                as_f64(row["boxes"]).reshape(-1, 7), before.names, as_f64(row["velocity"]).reshape(-1, 2), cameras,
                sweeps,
            )  # fmt: skip
            written.setdefault(row["file"], []).append(file.changed(row["number"], info, row["counts"]))
        for name, samples in written.items():
            file = self.log.files[Path(name).stem]
            for number, sample in enumerate(samples):
                if "sample_idx" in sample:
                    sample["sample_idx"] = number
            part = self.out / f"{name}.part"
            part.write_bytes(pickle.dumps(file.with_rows(samples), protocol=4))
            part.replace(self.out / name)


def path_in_style_of(named: str, found: str, new: str) -> str:
    """Return a new path in the style of the old one: with the same prefix, or as a bare name."""
    if named.endswith(found):
        return named[: len(named) - len(found)] + new
    return Path(new).name if "/" not in named else new


def _suffixed(path: str, suffix: str) -> str:
    file = Path(path)
    ending = ".pcd.bin" if file.name.endswith(".pcd.bin") else file.suffix
    return str(file.with_name(file.name[: len(file.name) - len(ending)] + suffix + ending))


def _renamed(path: str, old: str, new: str) -> str:
    """The path of a picture under another camera, as after a mirror."""
    if old == new:
        return path
    return "/".join(new if p == old else p.replace(f"__{old}__", f"__{new}__") for p in Path(path).parts)
