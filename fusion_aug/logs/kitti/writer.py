"""KITTI object detection: writer. ``turn`` says where a turned scene goes, ``written_labels`` what labels hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from calib.kitti import CAMERAS, read_kitti_rows, write_kitti_calib
from calib.se3 import same_pose
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.logs.core.bake import bake, bake_map
from fusion_aug.logs.core.capture_writer import NO_STAMP_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, read_text, write_picture
from fusion_aug.logs.core.flat_clouds import on_new_rays
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.logs.core.residual import box_tilt_deg, residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_sidecar
from fusion_aug.logs.kitti.labels import read_lines
from fusion_aug.logs.kitti.planes import moved_plane
from fusion_aug.logs.kitti.reader import CALIBRATION, PLANES, PROJECTION
from fusion_aug.logs.kitti.turn import EYE, TurnedCalibration
from fusion_aug.logs.kitti.view import seen_points
from fusion_aug.logs.kitti.written_labels import LabelFile
from fusion_aug.sample import Sample
from fusion_aug.streams import Radar
from fusion_aug.streams.source import Source
from fusion_aug.transforms.scene import MirrorScene
from fusion_aug.transforms.scene.scene import SceneTransform

VIEW_CAMERA = "image_2"
SERVES = {
    "projection": (
        "log.turn=projection: the motion of the scene is in P, so boxes, points and pixels agree in detectors "
        "(mmdetection3d, OpenPCDet). For OpenPCDet set FOV_POINTS_ONLY: False, as its filter divides by the nominal "
        "depth; log.crop_to_view=true writes only the points in view. Readers that split P into intrinsics and "
        "baseline (monocular, stereo) need log.turn=extrinsics"
    ),
    "extrinsics": (
        "log.turn=extrinsics: the motion of the scene is in Tr_velo_to_cam, for readers that split P into intrinsics "
        "and baseline (monocular, stereo). Detectors that take headings in the LiDAR's frame from rotation_y "
        "(mmdetection3d, OpenPCDet) would be off by the drawn yaw; they need log.turn=projection"
    ),
}
TILT_TOLD = 1.0  # degrees; the benchmark has 0.4
TILTED = (
    "the cameras' y axis is {:.1f} degrees off the LiDAR's z axis: labels are upright along the one, and scenes turn "
    "about the other, so boxes of moved scenes lie askew by up to {:.1f} degrees (box_tilt_deg in the manifest says by "
    "how much); log.turn=extrinsics keeps them as they are"
)
MIRRORED = (
    "a mirrored frame keeps the names of its cameras, so that image_2 is the right-hand one there: the baseline from "
    "image_2 to image_3 is below 0"
)


class KittiWriter(CaptureTimeWriter):
    """Writes calib, velodyne, images, labels and planes; everything else goes to the sidecar."""

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
    copied_whole: ClassVar[tuple[str, ...]] = ("*/calib/*.txt",)
    loss_reasons: ClassVar[Mapping[str, str]] = {
        **CaptureTimeWriter.loss_reasons,
        "velodyne": f"out of view of {VIEW_CAMERA} (log.crop_to_view)",
        **dict.fromkeys(("boxes", "boxes_2d"), "left the picture"),
    }

    def __init__(self, log: Any, out: Path, **options: Any):
        super().__init__(log, out, **options)
        self._splits = log.splits  # before the first byte is written

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras that a calibration file has a row for."""
        return [name for name in CAMERAS if name in sample.rig.sensors]

    def notes(self, sample: Sample, pipeline: Transform) -> list[str]:
        """Whom the output serves, and which camera is the right-hand one after a mirror."""
        steps = [leaf for leaf in leaves(pipeline) if leaf.p > 0]
        moves = any(isinstance(leaf, SceneTransform) for leaf in steps)
        mirrors = any(isinstance(leaf, MirrorScene) for leaf in steps)
        up = sample.rig.T("velodyne", "rectified")[:3, 1]
        tilt = float(torch.rad2deg(torch.acos((-up[2]).clamp(-1, 1))))
        tilts = moves and self.log.options.turn == PROJECTION and tilt > TILT_TOLD
        told = [TILTED.format(tilt, 2 * tilt)] * tilts
        return [SERVES[self.log.options.turn]] * moves + told + [MIRRORED] * mirrors

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample with what its files hold: the points that are asked for, and its labels."""
        sample = self._with_written_cloud(super().as_read_back(sample, source, standalone=standalone), source)
        labels = self._labels(sample, source)
        return sample if labels is None else labels.as_read_back()

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write calib, velodyne, images, labels and plane of one frame, and its sidecar.

        The source's own text files are copied where nothing in them changed.

        Returns:
            the ``residual`` where boxes were tilted or with ``lossy``, else nothing.
        """
        written = self.as_read_back(sample, source)
        part, _, number = out_id.partition("/")

        def path(kind: str, suffix: str = ".txt") -> Path:
            return folder / part / kind / f"{number}{suffix}"

        if "velodyne" in written.streams:
            self._cloud(written, source, path("velodyne", ".bin"))
        for name in CAMERAS:
            if name in written.streams:
                old = self.log.file(source.id, name)
                write_picture(written[name], 0, path(name, ".png" if old is None else old.suffix), self.link)
        calibration = self._calibration(sample, source)
        if calibration is None:
            self._copy(source, CALIBRATION, path(CALIBRATION))
        else:
            target = path(CALIBRATION)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_kitti_calib(calibration.changed, target, calibration.rows)
        self._write_labels(sample, source, path(self.log.label_folder(source.id)))
        if self.log.file(source.id, PLANES) is not None:
            self._plane(sample, source, path(PLANES))
        stored: StoredColumns = {
            "velodyne": self.log.layout.columns, **dict.fromkeys((*CAMERAS, "boxes", "boxes_2d"))
        }  # fmt: skip
        write_sidecar(written, stored, out_id, folder, self.link)
        return self._residual(sample, source)

    def _calibration(self, sample: Sample, source: Sample) -> TurnedCalibration | None:
        """The calibration to write; None where the source's file still holds."""
        if sample.rig is source.rig and self.log.options.rig is None:
            return None
        path = self._source_file(source, CALIBRATION)
        return TurnedCalibration(sample, source, read_kitti_rows(path), self.log.options.turn, str(path))

    def _labels(self, sample: Sample, source: Sample) -> LabelFile | None:
        """The labels to write; None where there are none, or where the source's file still holds."""
        if not has_labels(sample, source):
            return None
        named = [(sample.streams.get(n), source.streams.get(n)) for n in ("boxes", "boxes_2d")]
        same = sample.rig is source.rig and all(now is before for now, before in named)
        if same and self.log.classes is None and not source.meta.left_out:
            return None
        calibration = self._calibration(sample, source)
        axes = source.rig.T("velodyne", "rectified") if calibration is None else calibration.T_velo_rectified
        path = self._source_file(source, self.log.label_folder(source.id))
        return LabelFile(sample, source, read_lines(read_text(path), str(path)), axes)

    def _write_labels(self, sample: Sample, source: Sample, path: Path) -> None:
        labels = self._labels(sample, source)
        if labels is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(labels.text, encoding="utf-8")
        elif has_labels(sample, source):
            self._copy(source, self.log.label_folder(source.id), path)

    def _with_written_cloud(self, sample: Sample, source: Sample) -> Sample:
        """The sample with the rows and the Doppler of its cloud that a file holds."""
        cloud = sample.streams.get("velodyne")
        crop = self.log.options.crop_to_view
        if cloud is None or not len(cloud) or not (crop or isinstance(cloud, Radar)):
            return sample
        if isinstance(cloud, Radar):
            moved = bake_map(sample, source, "velodyne", 0)
            cloud = cloud if moved is None else on_new_rays(cloud, moved)
        if crop:
            if VIEW_CAMERA not in sample.rig.sensors:
                raise DataError(f"sample {source.id!r}: log.crop_to_view: the calibration has no {VIEW_CAMERA}")
            if not self.log.is_canvas_known(source, VIEW_CAMERA):
                raise DataError(
                    f"sample {source.id!r}: log.crop_to_view: there is no picture of {VIEW_CAMERA}, so that nothing "
                    f"says how large its view is; keep the pictures (one is enough where all are of one size)"
                )
            seen = seen_points(sample, bake(sample, source, "velodyne").realized(), VIEW_CAMERA)
            cloud = cloud.realized().select(seen)  # type: ignore[attr-defined]
        return sample.with_streams({**sample.streams, "velodyne": cloud})

    def _cloud(self, sample: Sample, source: Sample, path: Path) -> None:
        cloud = bake(sample, source, "velodyne")
        if cloud.sources is not None:
            copy_file(cloud.sources[0], path, self.link)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.log.layout.encode(cloud.realized().values))

    def _plane(self, sample: Sample, source: Sample, path: Path) -> None:
        calibration = self._calibration(sample, source)
        motion = EYE if calibration is None else calibration.rectified_motion
        if same_pose(motion, EYE):
            self._copy(source, PLANES, path)
            return
        before = self._source_file(source, PLANES)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(moved_plane(read_text(before), motion, before), encoding="utf-8")

    def _residual(self, sample: Sample, source: Sample) -> dict[str, Any]:
        """What the files leave out: the tilt of boxes in the axes of the labels, rectangles that nobody measured and
        that so stay where they were, and with ``lossy`` what lenses do.
        """
        labels = self._labels(sample, source)
        out = residual(sample, self.cameras(sample)) if self.lossy else {}
        if labels is not None:
            out["box_tilt_deg"] = box_tilt_deg(sample, -labels.T_velo_rectified[:3, 1])
            if labels.left_behind:
                out["rectangles_left_behind"] = labels.left_behind
        return {"residual": out} if self.lossy or any(out.values()) else {}

    def _source_file(self, source: Sample, folder: str) -> Path:
        path = self.log.file(source.id, folder)
        if path is None:
            raise DataError(f"{self.log.root}: {source.id}: its file in {folder} is gone")
        return Path(path)

    def _copy(self, source: Sample, folder: str, path: Path) -> None:
        copy_file(Source(self._source_file(source, folder), "text"), path, self.link)

    def finish(self, rows: Iterable[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write the lists of ``ImageSets``: a copy is in the lists of its source."""
        for name, members in self._splits.items():
            known = set(members)
            numbers = [out.partition("/")[2] for out, source in ids if source in known]
            target = self.out / "ImageSets" / f"{name}.txt"
            write_new_text(target, "".join(f"{n}\n" for n in numbers))


def has_labels(sample: Sample, source: Sample) -> bool:
    """Whether a sample has what a label file needs: boxes in space, and on the picture where its source has some."""
    needed = {"boxes"} | ({"boxes_2d"} & set(source.streams))
    return needed <= set(sample.streams) and "boxes" in source.streams
