"""mmdetection3d info files: writer. Clouds keep the LiDAR's nominal frame; info files keep their layout."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.se3 import as_f64, invert
from fusion_aug.core.transform import Transform
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.box_counts import counts_after
from fusion_aug.logs.core.capture_writer import ONE_STAMP_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, inside, write_picture
from fusion_aug.logs.core.new_files import new_file, write_new_bytes
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_sidecar
from fusion_aug.logs.core.writer import Problem
from fusion_aug.logs.mmdet3d.contents import MASK_FIELDS, STEPS
from fusion_aug.logs.mmdet3d.fields import changes_of, wrong_fields
from fusion_aug.logs.mmdet3d.files import InfoFile
from fusion_aug.logs.mmdet3d.infos import CameraInfo, Info, SweepInfo
from fusion_aug.logs.mmdet3d.masks import as_masks_are_held, label_columns, masks_of, write_mask
from fusion_aug.logs.mmdet3d.moved import (
    cloud_and_boxes_are_the_same,
    flat_streams,
    renumbered,
    steps_map,
    with_written_rectangles,
)
from fusion_aug.logs.mmdet3d.planning import PLANNING
from fusion_aug.logs.mmdet3d.reader import FLAT, LIDAR, VEHICLE, WORLD, lidar_yaw_pose, sweep_times
from fusion_aug.logs.mmdet3d.rows import Changes
from fusion_aug.sample import Sample
from fusion_aug.streams import Camera

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

    copied_whole: ClassVar[tuple[str, ...]] = ("**.pkl",)

    def can_express(self, transform: Transform, sample: Sample | None = None) -> list[Problem]:
        """What readers would read wrongly, fields of the info files among it that nobody knows how to change along."""
        found = super().can_express(transform, sample)
        changes = changes_of(transform)
        harmless = {*self.log.left_out, *self.log.kept}
        for file in self.log.selected_files if changes else ():
            wrong = [n for n in wrong_fields(file.fields, changes, file.without_rule) if n not in harmless]
            if wrong:
                names = f"[{','.join(wrong)}]"
                found.append(
                    Problem(
                        "info_fields", f"{file.path.name}: {', '.join(wrong)}",
                        f"no rule says how this changes along with {', '.join(dict.fromkeys(changes.values()))}",
                        f"log.leave_out={names} takes it out, log.keep={names} keeps what holds all the same",
                    )
                )  # fmt: skip
        return found

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """The sample with the rectangles that are left in pictures, and with boxes numbered from 0."""
        sample = super().as_read_back(sample, source, standalone=standalone)
        masks, unlabelled = masks_of(self.log, source.id), self.log.options.unlabelled
        cloud = as_masks_are_held(sample[LIDAR], masks, source.ref.time, unlabelled)  # type: ignore[arg-type]
        sample = sample.with_streams({**sample.streams, LIDAR: cloud})
        return renumbered(with_written_rectangles(sample, source))

    def loss_reason(self, stream: str) -> str:
        """Rectangles leave the picture."""
        return "left the picture" if stream.endswith(f"/{FLAT}") else super().loss_reason(stream)

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras that the info names."""
        return [n for n, s in sample.of_type(Camera).items() if s.records]

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write clouds (float32, in the LiDAR's nominal frame) and pictures of one sample, and its sidecar.

        Returns:
            the row of the info file: paths, calibration, poses, boxes (n, 7), velocities (n, 2) m/s and LiDAR points
            per box; with ``lossy`` the ``residual``.
        """
        made, sample = sample, self.as_read_back(sample, source)
        file, number = self.log.locate(source.id)
        suffix = out_id[len(source.id) :]
        info = file.info(number)
        paths = self._files(sample, source, info, suffix, folder)
        cameras = self.cameras(sample)
        masks = masks_of(self.log, source.id)
        columns = (*self.log.layout(info, source[LIDAR].records[0]).columns, *label_columns(masks))
        flat = [name for name, _ in flat_streams(sample)]
        stored: StoredColumns = {LIDAR: columns, **dict.fromkeys((*cameras, *flat, "boxes"))}
        write_sidecar(sample, stored, out_id, folder, self.link)
        T_ego_vehicle = info.T_ego_lidar @ invert(lidar_yaw_pose(info))
        camera_rows = {n: self._camera(sample, n, paths[n], T_ego_vehicle) for n in cameras}
        place = sample.rig.T(WORLD, VEHICLE, sample.ref.time) @ invert(T_ego_vehicle)
        row = {
            "file": file.path.stem, "number": number, "token": info.token + suffix,
            "lidar": paths[LIDAR], "T_world_ego": place.tolist(), "cameras": camera_rows,
            "sweeps": self._sweeps(sample, info, paths), "flat": _flat(made, source),
        }  # fmt: skip
        if any(name in file.fields for name in (*STEPS, *PLANNING)):
            steps = steps_map(made.history, info)
            row["steps"] = None if steps is None else steps.tolist()
        row |= _boxes(made, source, info, file.official(number))
        row["masks"] = {f: paths[f] for f in MASK_FIELDS if f in paths}
        return row | ({"residual": residual(sample, cameras)} if self.lossy else {})

    def _files(self, sample: Sample, source: Sample, info: Info, suffix: str, folder: Path) -> dict[str, str]:
        """Write clouds and pictures; returns their paths in the info by camera, LIDAR, or stamp of the sweep."""
        cloud, out = bake(sample, source, LIDAR), {}
        layout = self.log.layout(info, source[LIDAR].records[0])
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
                write_new_bytes(target, layout.encode(columns))
            out[key] = path_in_style_of(named_paths[key], record, path)
            for mask in (masks := masks_of(self.log, source.id) if key == LIDAR else []):
                path = _suffixed(mask.record, suffix)
                target = inside(folder, path, mask.field)
                write_mask(mask, masks, cloud, i, target, self.link, self.log.options.unlabelled)
                out[mask.field] = path_in_style_of(mask.named, mask.record, path)
        for name in self.cameras(sample):
            old = next(n for n in source.of_type(Camera) if source[n].records == sample[name].records)
            record = sample[name].records[0]
            place = _renamed(record, old, name)
            if place == record and old != name:  # its folder is the camera's, under another name
                place = str(Path(source[name].records[0]).with_name(Path(record).name))
            path = _suffixed(place, suffix)
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
            list(sensor.size),
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

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the info files."""
        written: dict[str, list[Any]] = {}
        for row in rows:
            file = self.log.files[row["file"]]
            number = row["number"]
            before = file.info(number)
            info, changes = _info(row, before), _changes(row, file, before.names, self.log.kept)
            written.setdefault(row["file"], []).append(file.changed(number, info, changes, self.log.left_out))
        for name, samples in written.items():
            file = self.log.files[name]
            for number, sample in enumerate(samples):
                if "sample_idx" in sample:
                    sample["sample_idx"] = number
            target = self.out / file.path.relative_to(self.log.root)
            part = target.with_name(f"{target.name}.part")
            with new_file(part, "wb") as target_file:
                pickle.dump(file.with_rows(samples, self.log.left_out), target_file, protocol=4)
            part.replace(target)


def _flat(sample: Sample, source: Sample) -> dict[str, Any]:
    """Number of a box -> camera and rectangle in its picture; None of boxes that left it."""
    before = {str(k): None for _, flat in flat_streams(source) for k in flat["instance"]}
    left = {
        str(k): [flat.camera, rectangle.tolist()]
        for _, flat in flat_streams(with_written_rectangles(sample, source))
        for k, rectangle in zip(flat["instance"], flat.rectangles(), strict=True)
    }
    return before | left


def _boxes(sample: Sample, source: Sample, info: Info, official: dict[str, int]) -> dict[str, Any]:
    """Boxes in the LiDAR's nominal frame: table (n, 7), velocities (n, 2) m/s, classes, places, counts of points."""
    boxes = sample.boxes()
    T = invert(lidar_yaw_pose(info))
    pose = T @ boxes["pose"]
    yaw = torch.atan2(pose[:, 1, 0], pose[:, 0, 0])
    velocity = (boxes["velocity"] @ T[:3, :3].T)[:, :2]
    counts = official
    if official and not cloud_and_boxes_are_the_same(sample, source):
        counts = counts_after(sample, source, [LIDAR], official)
    table = torch.cat([pose[:, :3, 3], boxes["size"], yaw[:, None]], 1)
    records = [str(r) for r in boxes["record"]]
    return {
        "boxes": table.tolist(), "velocity": velocity.tolist(), "names": [str(c) for c in boxes["category"]],
        "records": [int(r) for r in records], "counts": [counts.get(r) for r in records],
    }  # fmt: skip


def _info(row: dict[str, Any], before: Info) -> Info:
    """What ``stage`` returned, as a sample of an info file in place of another one."""
    cameras = {
        n: CameraInfo(p, as_f64(K), as_f64(T), as_f64(W), time, (size[0], size[1]))
        for n, (p, K, T, W, time, size) in row["cameras"].items()
    }
    sweeps = [SweepInfo(p, time, as_f64(T)) for p, time, T in row["sweeps"]]
    flat = {int(k): (found[0], as_f64(found[1])) for k, found in row["flat"].items() if found is not None}
    return Info(
        row["token"], before.time, row["lidar"], before.width, before.T_ego_lidar, as_f64(row["T_world_ego"]),
        as_f64(row["boxes"]).reshape(-1, 7), row["names"], as_f64(row["velocity"]).reshape(-1, 2), cameras, sweeps,
        flat,
    )  # fmt: skip


def _changes(row: dict[str, Any], file: InfoFile, before: Sequence[str], kept: Sequence[str]) -> Changes:
    """What ``stage`` returned of boxes and steps; ``before`` are the classes of the boxes of the source."""
    same = [name == before[k] for k, name in zip(row["records"], row["names"], strict=True)]
    labels = [None if s else file.label_of(n) for s, n in zip(same, row["names"], strict=True)]
    left = {int(k) for k, found in row["flat"].items() if found is None}
    steps = row.get("steps")
    matrix, masks = None if steps is None else as_f64(steps), row.get("masks", {})
    return Changes(row["records"], row["counts"], labels, left, matrix, tuple(kept), masks)


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
