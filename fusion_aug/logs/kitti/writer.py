"""KITTI object detection: writer.

Rules of the labels after an augmentation:
* 2-D box: the upright rectangle around the mapped corners, cut at the canvas (0 to width - 1).
* truncation: 1 - (1 - before) * (area inside / area); an object of which less than 5 % of that area, or less than
  2 pixels of width or height, is left on the canvas is removed. DontCare regions stay while any pixel of them does.
* alpha = rotation_y - atan2(x, z).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from calib import Rig
from calib.kitti import CAMERAS, write_kitti_calib
from calib.se3 import invert
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.capture_writer import NO_STAMP_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, write_picture
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_sidecar
from fusion_aug.logs.kitti.reader import labels_from_boxes
from fusion_aug.sample import Sample
from fusion_aug.streams import Boxes2D, rectangle_corners, strings
from fusion_aug.streams.columns import take_rows
from fusion_aug.streams.source import Source

MIN_SHARE = 0.05
MIN_SIDE = 2.0
STORED: StoredColumns = {"velodyne": ("xyz", "intensity"), **dict.fromkeys(("image_2", "image_3", "boxes", "boxes_2d"))}


class KittiWriter(CaptureTimeWriter):
    """Writes calib, velodyne, images and labels; everything else goes to the sidecar."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **NO_STAMP_EFFECTS,
        "box_tilt": (
            "KITTI labels hold a yaw only, so readers in the LiDAR frame would see upright boxes on a tilted scene",
            "rotate by yaw_deg alone",
        ),
        "distortion": (
            "the format's camera matrix holds no lens distortion",
            "undistort the pictures first, or write the folder format",
        ),
    }

    def cameras(self, sample: Sample) -> list[str]:
        """The four cameras of a calibration file."""
        return list(CAMERAS)

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample with the boxes that its label file holds; as it is where the source's file is copied."""
        sample = super().as_read_back(sample, source, standalone=standalone)
        labelled = {"boxes", "boxes_2d"} <= set(sample.streams)
        return with_written_labels(sample) if labelled and not same_labels(sample, source) else sample

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write calib, velodyne, images and labels of one frame, and its sidecar.

        The source's own text files are copied where neither rig nor boxes changed.

        Returns:
            with ``lossy`` the ``residual``, else nothing.
        """
        sample = self.as_read_back(sample, source)
        part, _, number = out_id.partition("/")

        def path(kind: str, suffix: str) -> Path:
            return folder / part / kind / f"{number}{suffix}"

        if "velodyne" in sample.streams:
            self._cloud(sample, source, path("velodyne", ".bin"))
        for name in ("image_2", "image_3"):
            if name in sample.streams:
                write_picture(sample[name], 0, path(name, ".png"), self.link)
        self._texts(sample, source, path("calib", ".txt"), path("label_2", ".txt"))
        write_sidecar(sample, STORED, out_id, folder, self.link)
        return {"residual": residual(sample, self.cameras(sample))} if self.lossy else {}

    def _texts(self, sample: Sample, source: Sample, calib: Path, labels: Path) -> None:
        """Calibration and labels; the source's own files where nothing in them changed."""
        if sample.rig is source.rig and self.log.options.rig is None:
            copy_file(Source(self.log.path(source.id, "calib", ".txt"), "text"), calib, self.link)
        else:
            calib.parent.mkdir(parents=True, exist_ok=True)
            write_kitti_calib(calib_matrices(sample.rig), calib)
        if "boxes" not in sample.streams or "boxes_2d" not in sample.streams:
            return
        labels.parent.mkdir(parents=True, exist_ok=True)
        if same_labels(sample, source):
            copy_file(Source(self.log.path(source.id, "label_2", ".txt"), "text"), labels, self.link)
        else:
            labels.write_text("".join(f"{line}\n" for line in label_lines(sample)), encoding="utf-8")

    def _cloud(self, sample: Sample, source: Sample, path: Path) -> None:
        cloud = bake(sample, source, "velodyne")
        if cloud.sources is not None:
            copy_file(cloud.sources[0], path, self.link)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        values = cloud.realized().values
        columns = torch.cat([values["xyz"], values["intensity"][:, None]], 1).to(torch.float32)
        path.write_bytes(columns.detach().cpu().numpy().astype("<f4").tobytes())

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the lists of ``ImageSets``: a copy is in the lists of its source."""
        for name, members in self.log.splits.items():
            known = set(members)
            numbers = [out.partition("/")[2] for out, source in ids if source in known]
            target = self.out / "ImageSets" / f"{name}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("".join(f"{n}\n" for n in numbers), encoding="utf-8")


def calib_matrices(rig: Rig) -> dict[str, Tensor]:
    """The seven matrices of a calibration file, for a LiDAR at the reference frame (points are baked)."""
    out = {}
    for i, name in enumerate(CAMERAS):
        camera = rig.camera(name)
        T_cam_rect = invert(rig.T("rectified", name))
        out[f"P{i}"] = camera.A @ camera.model.K @ T_cam_rect[:3]
    out["R0_rect"] = invert(rig.T("camera", "rectified"))[:3, :3]
    out["Tr_velo_to_cam"] = invert(rig.T("velodyne", "camera"))[:3]
    if "imu" in rig.frames:
        out["Tr_imu_to_velo"] = rig.T("velodyne", "imu")[:3]
    return out


def same_labels(sample: Sample, source: Sample) -> bool:
    """Whether neither the calibration nor a box of a sample is another than in its source."""
    return sample.rig is source.rig and all(sample[n] is source.streams.get(n) for n in ("boxes", "boxes_2d"))


def with_written_labels(sample: Sample) -> Sample:
    """The sample with the boxes that a label file holds, in its order: cut at the canvas, without those that left it.

    ``instance`` is the number of the line, as the reader gives it.
    """
    boxes, flat = sample.boxes(), sample["boxes_2d"]
    assert isinstance(flat, Boxes2D)
    rectangles, share = cut_rectangles(flat, sample.rig.camera(flat.instance("boxes_2d")).size)
    solid_row = {str(k): i for i, k in enumerate(boxes["instance"])}
    solids = [solid_row.get(str(k)) for k in flat["instance"]]
    vague = torch.from_numpy(flat["category"] == "DontCare")
    large = (rectangles[:, 2:] - rectangles[:, :2] >= MIN_SIDE).all(1)
    keep = torch.where(vague, share > 0, (share >= MIN_SHARE) & large & torch.tensor([i is not None for i in solids]))
    rows = keep.nonzero()[:, 0]
    lines = strings(map(str, range(len(rows))))
    numbered = [(solids[row], lines[k]) for k, row in enumerate(rows.tolist()) if not vague[row]]
    unset = torch.full_like(share, -1.0)  # of DontCare regions, which hold a rectangle only
    truncated = torch.where(vague, unset, 1 - (1 - flat["truncated"]) * share)
    occluded = torch.where(vague, unset.to(torch.int64), flat["occluded"])
    changed = {"corners": rectangle_corners(rectangles), "truncated": truncated, "occluded": occluded}
    flat = flat.with_values(**changed).select(keep).with_values(instance=lines)
    solid = take_rows(boxes.values, torch.tensor([i for i, _ in numbered], dtype=torch.int64))
    solid["instance"] = strings(line for _, line in numbered)
    boxes = replace(boxes, values=solid, offsets=torch.tensor([0, len(numbered)]))
    return sample.with_streams({**sample.streams, "boxes": boxes, "boxes_2d": flat})


def label_lines(sample: Sample) -> list[str]:
    """Lines of the label file of a sample with the boxes that it holds."""
    boxes, flat = sample.boxes(), sample["boxes_2d"]
    assert isinstance(flat, Boxes2D)
    numbers = labels_from_boxes(invert(sample.rig.T("velodyne", "rectified")) @ boxes["pose"], boxes["size"])
    alpha = numbers[:, 6] - torch.atan2(numbers[:, 3], numbers[:, 5])
    alpha = torch.atan2(torch.sin(alpha), torch.cos(alpha))
    solid_row = {str(k): i for i, k in enumerate(boxes["instance"])}
    lines = []
    for row, (category, instance) in enumerate(zip(flat["category"], flat["instance"], strict=True)):
        if category == "DontCare":
            head, tail = "-1 -1 -10", "-1 -1 -1 -1000 -1000 -1000 -10"
        else:
            solid = solid_row[str(instance)]
            truncated, occluded = float(flat["truncated"][row]), int(flat["occluded"][row])
            head = f"{_text(truncated)} {occluded} {_text(float(alpha[solid]))}"
            tail = " ".join(_text(v) for v in numbers[solid].tolist())
        score = str(flat["score"][row])
        rectangle = " ".join(_text(v) for v in flat.rectangles()[row].tolist())
        lines.append(f"{category} {head} {rectangle} {tail}" + (f" {score}" if score else ""))
    return lines


def cut_rectangles(flat: Boxes2D, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rectangles (n, 4) cut at the canvas, and the share (n,) of each one's area that is left."""
    whole = flat.rectangles()
    limit = torch.tensor([size[1] - 1.0, size[0] - 1.0], dtype=torch.float64).repeat(2)
    cut = torch.minimum(whole.clamp(min=0), limit)

    def area(r: Tensor) -> Tensor:
        return (r[:, 2] - r[:, 0]).clamp(min=0) * (r[:, 3] - r[:, 1]).clamp(min=0)

    full = area(whole)
    return cut, torch.where(full > 0, area(cut) / full.clamp(min=1e-9), torch.zeros_like(full))


def _text(value: float) -> str:
    return np.format_float_positional(round(value, 6) + 0.0, trim="-")
