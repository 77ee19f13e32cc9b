"""KITTI object detection: reader.

Streams: ``velodyne`` (frame ``lidar``), ``image_2`` and, where there, ``image_3``, ``boxes`` (in the reference frame),
``boxes_2d`` (of image_2, DontCare among them). The reference frame is the velodyne's. Labels are in rectified camera
coordinates: location is the centre of the bottom face, rotation_y is a rotation about the camera's y axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib import Frame, Rig
from calib.kitti import kitti_rig, read_kitti_calib
from calib.se3 import se3
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import image_size, read_text
from fusion_aug.logs.core.log import Log
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.sample import REF, Ref, Sample, SampleMeta
from fusion_aug.streams import Boxes2D, Boxes3D, Camera, LazyColumns, Lidar, Stream, rectangle_corners, strings
from fusion_aug.streams.source import Source, decoder

SUBSETS = ("training", "testing")
STAMP = torch.zeros(1, dtype=torch.int64)  # the object benchmark has no times
FIELDS = 15
DEFAULT_SIZE = (375, 1242)  # of the benchmark's images, for frames without any


@decoder("kitti_cloud")
def decode_cloud(path: Path, raw: bytes, options: dict[str, Any]) -> dict[str, Tensor]:
    """x y z intensity (0 to 1), float32."""
    if not raw:
        raise DataError(f"{path}: the cloud is empty")
    if len(raw) % 16:
        raise DataError(f"{path}: the cloud is truncated: {len(raw)} bytes are not a multiple of 16")
    values = torch.from_numpy(np.frombuffer(raw, "<f4").reshape(-1, 4).copy())
    return {"xyz": values[:, :3].contiguous(), "intensity": values[:, 3].contiguous()}


class KittiLog(Log):
    """A KITTI object-detection tree: ``training`` and ``testing``, each with calib, velodyne, image_2, label_2.

    ``log.select`` takes ids (``training/000008``), numbers, the name of a list in ``ImageSets``, or shell patterns.
    """

    @cached_property
    def all_ids(self) -> list[str]:
        """Ids of all frames, ``training/000008``."""
        found = []
        for part in SUBSETS:
            for folder, suffix in (("velodyne", ".bin"), ("image_2", ".png"), ("image_3", ".png")):
                found += [f"{part}/{p.stem}" for p in (self.root / part / folder).glob(f"*{suffix}")]
        if not found:
            above = " (give the folder above)" if self.root.name in SUBSETS else ""
            raise DataError(
                f"{self.root}: no frames: expected training/velodyne/*.bin or training/image_2/*.png{above}"
            )
        return sorted(set(found))

    @cached_property
    def splits(self) -> dict[str, list[str]]:
        """Lists of ``ImageSets`` by name, as ids."""
        out = {}
        for path in sorted((self.root / "ImageSets").glob("*.txt")):
            part = "testing" if path.stem.startswith("test") else "training"
            out[path.stem] = [f"{part}/{number}" for number in read_text(path).split()]
        return out

    @cached_property
    def _splits_of(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for name, ids in self.splits.items():
            for i in ids:
                out.setdefault(i, []).append(name)
        return out

    def names_of(self, sample_id: str) -> list[str]:
        """A frame is called by its id, its number, and the splits it is in."""
        return [sample_id, sample_id.partition("/")[2], *self._splits_of.get(sample_id, [])]

    def inputs(self) -> Iterator[Path]:
        """Every file of every selected frame, and the lists."""
        kinds = (("calib", ".txt"), ("velodyne", ".bin"), ("image_2", ".png"), ("image_3", ".png"), ("label_2", ".txt"))
        yield from (self.path(i, folder, suffix) for i in self.ids for folder, suffix in kinds)
        yield from (self.root / "ImageSets" / f"{name}.txt" for name in self.splits)

    def path(self, sample_id: str, folder: str, suffix: str) -> Path:
        """File of one frame."""
        part, _, number = sample_id.partition("/")
        return self.root / part / folder / f"{number}{suffix}"

    def read(self, sample_id: str) -> Sample:
        """Read one frame."""
        if sample_id not in self.all_ids:
            raise DataError(f"{self.root}: there is no frame {sample_id!r}")
        calib = self.path(sample_id, "calib", ".txt")
        pictures = {n: self.path(sample_id, n, ".png") for n in ("image_2", "image_3")}
        pictures = {n: p for n, p in pictures.items() if p.is_file()}
        size = next((image_size(p) for p in pictures.values()), DEFAULT_SIZE)
        rig = kitti_rig(read_kitti_calib(calib), size, str(calib))
        lidar = replace(rig.sensors["velodyne"], frame="lidar")
        rig = replace(rig, frames={**rig.frames, "lidar": Frame(parent="velodyne")}).with_sensor("velodyne", lidar)
        rig = self.with_rig_file(rig)
        streams: dict[str, Stream] = {}
        cloud = self.path(sample_id, "velodyne", ".bin")
        if cloud.is_file():
            lazy = LazyColumns([Source(cloud, "kitti_cloud")], ["xyz", "intensity"])
            streams["velodyne"] = Lidar(frame="lidar", capture_times=STAMP, values=lazy)
        for name, path in pictures.items():
            source = Source(path, "image", options={"size": size})
            streams[name] = Camera(frame=name, capture_times=STAMP, items=(source,))
        labels = self.path(sample_id, "label_2", ".txt")
        if labels.is_file():
            streams["boxes"], streams["boxes_2d"] = read_labels(labels, rig)
        meta = SampleMeta(
            id=sample_id, scene=sample_id, ref=Ref("velodyne", 0), rig=rig, true_rig=rig, clock="velodyne"
        )
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.root)


def read_labels(path: Path, rig: Rig) -> tuple[Boxes3D, Boxes2D]:
    """Boxes in space (reference frame) and on image_2; ``instance`` is the line number and links the two."""
    rows: list[list[str]] = []
    for number, line in enumerate(read_text(path).splitlines()):
        fields = line.split()
        if not fields:
            continue
        if len(fields) not in (FIELDS, FIELDS + 1):
            raise DataError(f"{path}: line {number + 1}: expected {FIELDS} fields, got {len(fields)}")
        rows.append([str(number), *fields])
    try:
        numbers = torch.tensor([[float(x) for x in r[2:16]] for r in rows], dtype=torch.float64).reshape(-1, 14)
    except ValueError as error:
        raise DataError(f"{path}: a label is not a number ({error})") from None
    if not bool(torch.isfinite(numbers).all()):
        raise DataError(f"{path}: a label holds NaN or infinity")
    instances, categories = strings(r[0] for r in rows), strings(r[1] for r in rows)
    flat = Boxes2D(
        frame="image_2",
        camera="image_2",
        capture_times=STAMP,
        values={
            "corners": rectangle_corners(numbers[:, 3:7]),
            "category": categories,
            "instance": instances,
            "truncated": numbers[:, 0],
            "occluded": numbers[:, 1].to(torch.int64),
            "score": strings(r[16] if len(r) > 16 else "" for r in rows),
        },
    )
    solid = categories != "DontCare"
    pose, size = boxes_from_labels(numbers[torch.from_numpy(solid)])
    known = torch.full((int(solid.sum()), 3), float("nan"), dtype=torch.float64)
    space = Boxes3D(
        frame=REF,
        capture_times=STAMP,
        values={
            "pose": rig.T("velodyne", "rectified") @ pose,
            "size": size,
            "velocity": known,
            "category": categories[solid],
            "instance": instances[solid],
        },
    )
    return space, flat


def boxes_from_labels(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """``T_rectified_box`` (n, 4, 4) and (length, width, height) (n, 3) from the 14 numbers of each label."""
    h, w, length, x, y, z, ry = numbers[:, 7:14].unbind(1)
    c, s, o = torch.cos(ry), torch.sin(ry), torch.zeros_like(ry)
    # columns: forward, left and up of the box in camera axes
    rotation = torch.stack([c, s, o, o, o, -torch.ones_like(ry), -s, c, o], 1).reshape(-1, 3, 3)
    return se3(rotation, torch.stack([x, y - h / 2, z], 1)), torch.stack([length, w, h], 1)


def labels_from_boxes(pose: Tensor, size: Tensor) -> Tensor:
    """The seven numbers h w l x y z ry (n, 7) of ``T_rectified_box``."""
    forward = pose[:, :3, 0]
    ry = torch.atan2(-forward[:, 2], forward[:, 0])
    length, w, h = size.unbind(1)
    centre = pose[:, :3, 3]
    # the centre of the bottom face; a label of a tilted box would mean the point straight below its centre
    bottom = centre + torch.stack([torch.zeros_like(h), h / 2, torch.zeros_like(h)], 1)
    return torch.cat([torch.stack([h, w, length], 1), bottom, ry[:, None]], 1)
