"""SemanticKITTI: writer.

Clouds are written in the nominal mounting of the scanner, their labels beside them row by row. Calibration, poses and
times belong to a sequence and are written at the end, with a row for every scan that is written, in the order of the
scans, as the published API reads them. A copy k of a sequence is a sequence of its own, ``00__k``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.kitti import CAMERAS, TR
from calib.se3 import same_pose
from fusion_aug.core.compose import leaves
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.logs.core.bake import bake
from fusion_aug.logs.core.capture_writer import ONE_STAMP_EFFECTS, CaptureTimeWriter
from fusion_aug.logs.core.files import copy_file, inside, write_picture
from fusion_aug.logs.core.new_files import write_new_text
from fusion_aug.logs.core.point_labels import label_file
from fusion_aug.logs.core.residual import residual
from fusion_aug.logs.core.sidecar import StoredColumns, write_sidecar
from fusion_aug.logs.kitti.writer import MIRRORED
from fusion_aug.logs.semantickitti.calibration import (
    VELODYNE,
    WORLD,
    T_camera_velodyne,
    changed_rows,
    is_same,
    matrices_of,
    read_rows,
    write_calibration,
)
from fusion_aug.logs.semantickitti.classes import LAYOUT
from fusion_aug.logs.semantickitti.labels import as_held, check_classes, renamed
from fusion_aug.logs.semantickitti.reader import CLOUD
from fusion_aug.logs.semantickitti.sequences import CALIBRATION, CLOUDS, LABELS, POSES, TIMES
from fusion_aug.logs.semantickitti.series import pose_line, time_line
from fusion_aug.sample import Sample
from fusion_aug.streams import Points
from fusion_aug.streams.source import Source
from fusion_aug.transforms.scene import MirrorScene

NO_POSES = f"no {POSES} in {{}}, and so no ego stream there"
NO_TIMES = f"no {TIMES} in {{}}: scans there are taken to be 0.1 s apart"
NO_LABELS = "scans without a label file in {}: their points have no label column"
IN_ORDER = (
    "poses.txt and times.txt get a row for every scan that is written, in their order, which is how the published API "
    "reads them; who reads rows by the number of a scan needs whole sequences"
)


class SemanticKittiWriter(CaptureTimeWriter):
    """Writes velodyne, labels, pictures, calib.txt, poses.txt and times.txt; everything else goes to the sidecar."""

    unsupported_effects: ClassVar[Mapping[str, tuple[str, str]]] = {
        **ONE_STAMP_EFFECTS,
        "distortion": (
            "the format's camera matrix holds no lens distortion",
            "undistort the pictures first, or write the folder format",
        ),
    }
    copied_whole: ClassVar[tuple[str, ...]] = ("**/sequences/*/calib.txt",)
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {"ego": ("velocity", "angular_velocity")}

    def __init__(self, log: Any, out: Path, **options: Any):
        super().__init__(log, out, **options)
        check_classes(log.classes)

    def cameras(self, sample: Sample) -> list[str]:
        """The cameras that a calibration file has a row for."""
        return [name for name in CAMERAS if name in sample.rig.sensors]

    def notes(self, sample: Sample, pipeline: Transform) -> list[str]:
        """Which sequences lack what, how rows go with scans of a part of a sequence, and what a mirror does."""
        scenes = list(dict.fromkeys(map(self.log.scene_of, self.log.ids)))
        files = self.log.sequences
        lacking = {
            NO_POSES: [s for s in scenes if POSES not in files[s].tables],
            NO_TIMES: [s for s in scenes if TIMES not in files[s].tables],
            NO_LABELS: [s for s in scenes if any(n not in files[s].by_scan[LABELS] for n in files[s].scans)],
        }
        told = [what.format(", ".join(names)) for what, names in lacking.items() if names]
        part = len(self.log.ids) < sum(len(files[s].scans) for s in scenes) and len(lacking[NO_POSES]) < len(scenes)
        mirrors = any(isinstance(leaf, MirrorScene) and leaf.p > 0 for leaf in leaves(pipeline))
        names = renamed(self.log.classes)
        told += [names] if names else []
        return told + [IN_ORDER] * part + [MIRRORED] * (mirrors and "image_2" in sample.streams)

    def as_read_back(self, sample: Sample, source: Sample, *, standalone: bool = False) -> Sample:
        """Return the sample with what its files hold: points without a label get the class that files have for them."""
        sample = super().as_read_back(sample, source, standalone=standalone)
        cloud = sample.streams.get(CLOUDS)
        if not isinstance(cloud, Points) or "label" not in cloud.values:
            return sample
        return sample.with_streams({**sample.streams, CLOUDS: as_held(cloud, self.log.options)})

    def stage(self, sample: Sample, source: Sample, out_id: str, folder: Path) -> dict[str, Any]:
        """Write cloud, labels and pictures of one scan, and its sidecar.

        Returns:
            ``scene``, ``source_scene`` and ``scan``; ``calibration``, the rows of it that changed; ``pose`` and
            ``time``, their rows where they changed; and with ``lossy`` the ``residual``.
        """
        scene = self.log.scene_of(source.id)
        out_scene = scene + out_id[len(source.id) :]
        scan = self.log.sequences[scene].scans[self.log.locate(source.id)[1]]
        sample = self.as_read_back(sample, source)
        target = inside(folder, f"{self.log.prefix}{out_scene}", "sequence")
        self._cloud(sample, source, target, scan)
        for name in CAMERAS:
            if name in sample.streams:
                old = self.log.file(source.id, name)
                suffix = ".png" if old is None else old.suffix
                write_picture(sample[name], 0, target / name / f"{scan}{suffix}", self.link)
        stored: StoredColumns = {CLOUDS: (*CLOUD.columns, *LAYOUT.columns), **dict.fromkeys((*CAMERAS, "ego"))}
        write_sidecar(sample, stored, out_id, folder, self.link)
        row = {"scene": out_scene, "source_scene": scene, "scan": scan, **self._rows(sample, source, scene)}
        return row | ({"residual": residual(sample, self.cameras(sample))} if self.lossy else {})

    def _cloud(self, sample: Sample, source: Sample, target: Path, scan: str) -> None:
        """Write the scan and the labels of its points; each is a copy of its file where that still holds."""
        if CLOUDS not in sample.streams:
            raise DataError(f"sample {source.id!r}: has no stream {CLOUDS!r}, and the format no scan without a cloud")
        cloud = bake(sample, source, CLOUDS)
        path, labels = target / CLOUDS / f"{scan}.bin", target / LABELS / f"{scan}.label"
        old = label_file(cloud, 0, LAYOUT.name)
        if cloud.sources is not None:
            copy_file(cloud.sources[0], path, self.link)
        else:
            cloud = cloud.realized()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(CLOUD.encode(cloud.values))
        if old is not None:
            copy_file(old, labels, self.link)
        elif "label" in cloud.values:
            labels.parent.mkdir(parents=True, exist_ok=True)
            LAYOUT.written(cloud.values, labels, f"sample {source.id!r}: {CLOUDS}")

    def _rows(self, sample: Sample, source: Sample, scene: str) -> dict[str, Any]:
        """What changed of the tables of the sequence, for ``finish``."""
        path = self.log.calibration(scene)
        changed: dict[str, Tensor] = {}
        if path is not None and not (sample.rig is source.rig and self.log.options.rig is None):
            changed = changed_rows(sample, source, path)
        now, before = int(sample[CLOUDS].capture_times[0]), source.ref.time
        out: dict[str, Any] = {"calibration": {n: m.tolist() for n, m in changed.items()}}
        out["time"] = None if now == before else now
        out["pose"] = None
        if path is not None and WORLD in sample.rig.frames and POSES in self.log.sequences[scene].tables:
            pose = sample.rig.T(WORLD, VELODYNE, sample.ref.time)
            if TR in changed or not same_pose(pose, source.rig.T(WORLD, VELODYNE, before)):
                matrices = matrices_of(read_rows(path), path) | changed
                out["pose"] = pose_line(pose, T_camera_velodyne(matrices, path))
        return out

    def finish(self, rows: Sequence[dict[str, Any]], ids: Sequence[tuple[str, str]]) -> None:
        """Write calibration, poses and times of every sequence, of which one is in memory at a time."""
        places: dict[str, list[int]] = {}
        targets: dict[str, Path] = {}
        for place, row in enumerate(rows):
            scene = str(row["scene"])
            targets[scene] = targets.get(scene) or self.target(f"{self.log.prefix}{scene}", rows, "scene")
            places.setdefault(scene, []).append(place)
        for scene, own in places.items():
            parts = sorted((rows[place] for place in own), key=lambda row: (int(row["scan"]), row["scan"]))
            self._calibration(parts, targets[scene] / CALIBRATION)
            self._poses(parts, targets[scene] / POSES)
            self._times(parts, targets[scene] / TIMES)

    def _calibration(self, parts: Sequence[Mapping[str, Any]], path: Path) -> None:
        before = self.log.calibration(parts[0]["source_scene"])
        if before is None:
            return
        changes = [{n: torch.tensor(m, dtype=torch.float64) for n, m in part["calibration"].items()} for part in parts]
        others = [p["scan"] for p, own in zip(parts, changes, strict=True) if not is_same(changes[0], own)]
        if others:
            raise DataError(
                f"{path}: scans {parts[0]['scan']} and {others[0]} would need calibrations of their own, and a "
                f"sequence has one; draw what moves scene, pictures and mountings once per sequence (per_scene: true)"
            )
        if changes[0]:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_calibration(changes[0], before, path)
        else:
            copy_file(Source(before, "text"), path, self.link)

    def _poses(self, parts: Sequence[Mapping[str, Any]], path: Path) -> None:
        if POSES in self.log.sequences[parts[0]["source_scene"]].tables:
            self._table(parts, POSES, [part["pose"] for part in parts], path)

    def _times(self, parts: Sequence[Mapping[str, Any]], path: Path) -> None:
        scene = parts[0]["source_scene"]
        lines = [None if part["time"] is None else time_line(int(part["time"])) for part in parts]
        if TIMES in self.log.sequences[scene].tables:
            self._table(parts, TIMES, lines, path)
        elif any(line is not None for line in lines):
            stamps = dict(zip(self.log.sequences[scene].scans, self.log.stamps(scene).tolist(), strict=True))
            pairs = zip(lines, parts, strict=True)
            write_new_text(path, "".join(f"{line or time_line(stamps[part['scan']])}\n" for line, part in pairs))

    def _table(self, parts: Sequence[Mapping[str, Any]], name: str, lines: Sequence[str | None], path: Path) -> None:
        """Write a table of a sequence; rows that did not change keep their text.

        Args:
            parts: of the scans, in order. name: of the table. lines: their new rows, None where the source's holds.
        """
        scene = parts[0]["source_scene"]
        rows, scans = self.log.table(scene, name), self.log.sequences[scene].scans
        if rows.whole and all(line is None for line in lines) and [p["scan"] for p in parts] == list(scans):
            copy_file(Source(rows.path, "text"), path, self.link)
            return
        old = dict(zip(scans, rows.lines, strict=True))
        pairs = zip(lines, parts, strict=True)
        write_new_text(path, "".join(f"{line or old[part['scan']].strip()}\n" for line, part in pairs))


__all__ = ["SemanticKittiWriter"]
