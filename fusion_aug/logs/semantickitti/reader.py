"""SemanticKITTI: reader.

Streams: ``velodyne`` (frame ``lidar``; with ``label`` and ``instance`` where the scan has a label file), one of
pictures for every folder ``image_0`` .. ``image_9``, and ``ego`` where the sequence has poses. The reference frame is
the velodyne's, and so is the body whose pose ``ego`` holds: T_world_velodyne = Tr^-1 pose Tr, as the published API has
it. The benchmark's scans are compensated for the vehicle's motion.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from calib import Rig, Trajectory
from calib.kitti import CAMERAS
from calib.regular_files import status
from calib.se3 import invert
from fusion_aug.errors import DataError
from fusion_aug.logs.core.files import image_size
from fusion_aug.logs.core.flat_clouds import FlatLayout
from fusion_aug.logs.core.log import Format, LogOptions
from fusion_aug.logs.core.sidecar import merge_sidecar
from fusion_aug.logs.core.tracks import bare_sample
from fusion_aug.logs.core.twist import twist_at
from fusion_aug.logs.kitti.canvas import first_size
from fusion_aug.logs.semantickitti.calibration import (
    LIDAR,
    VELODYNE,
    WORLD,
    T_camera_velodyne,
    matrices_of,
    read_rows,
    rig_of,
    with_pose,
)
from fusion_aug.logs.semantickitti.classes import LAYOUT, NAMES, OUTLIER
from fusion_aug.logs.semantickitti.sequences import CALIBRATION, CLOUDS, LABELS, POSES, TIMES, Sequences
from fusion_aug.logs.semantickitti.series import POSE_NUMBERS, Rows, near, poses_of, stamps_by_number, stamps_of
from fusion_aug.logs.semantickitti.series import read_rows as read_table
from fusion_aug.sample import Ref, Sample, SampleMeta
from fusion_aug.streams import Camera, EgoPose, LazyColumns, Lidar, Stream
from fusion_aug.streams.source import Source

CLOUD = FlatLayout(("x", "y", "z", "intensity"))
WIDTHS = {POSES: POSE_NUMBERS, TIMES: 1}
KEPT = 4  # sequences whose tables are in memory


class SemanticKittiLog(Sequences):
    """A folder of ``sequences`` in KITTI's odometry layout, or the folder above ``dataset/sequences``.

    ``log.select`` takes ids (``00/000008``), sequences, the published splits (train, valid, test), or shell patterns.
    """

    calibration_per_scene = True
    joins_samples = False  # from the tables of the sequence

    def __init__(self, root: str | Path, options: LogOptions, format: Format):
        super().__init__(root, options, format)
        if self.classes is not None:
            self.classes.refuse_unknown([name for name in NAMES if name], "the published semantic-kitti.yaml")

    # --- tables of a sequence -----------------------------------------------------------------------------------------
    @lru_cache(maxsize=2 * KEPT)  # noqa: B019
    def table(self, scene: str, name: str) -> Rows | None:
        """Rows of a table of all scans, ``poses.txt`` or ``times.txt``; None where the sequence has none."""
        files = self.sequences[scene]
        return read_table(files.tables[name], WIDTHS[name], files.scans) if name in files.tables else None

    @lru_cache(maxsize=KEPT)  # noqa: B019
    def stamps(self, scene: str) -> Tensor:
        """Times (n,) int64 ns of all scans; where there is no ``times.txt``, 0.1 s times their numbers."""
        rows = self.table(scene, TIMES)
        return stamps_by_number(self.sequences[scene].scans) if rows is None else stamps_of(rows)

    @lru_cache(maxsize=KEPT)  # noqa: B019
    def poses(self, scene: str) -> Tensor | None:
        """``T_world_velodyne`` (n, 4, 4) of all scans; None where the sequence has no poses."""
        rows = self.table(scene, POSES)
        if rows is None:
            return None
        path = self.calibration(scene)
        if path is None:
            folder = self.sequences[scene].folder
            raise DataError(f"{folder / CALIBRATION}: is missing, and {POSES} holds poses of a camera; add it")
        Tr = T_camera_velodyne(matrices_of(read_rows(path), path), path)
        return invert(Tr) @ poses_of(rows) @ Tr

    def calibration(self, scene: str) -> Path | None:
        """Calibration of a sequence; None where it has none."""
        return self.sequences[scene].tables.get(CALIBRATION)

    # --- samples ------------------------------------------------------------------------------------------------------
    def read(self, sample_id: str) -> Sample:
        """Read one scan."""
        scene, place = self.locate(sample_id)
        stamps, poses = self.stamps(scene), self.poses(scene)
        around, own = near(stamps, place), stamps[place : place + 1]
        pictures = {n: path for n in CAMERAS if (path := self.file(sample_id, n)) is not None}
        sizes = {n: image_size(path) for n, path in pictures.items()}
        rig = self._rig(scene, sizes, None if poses is None else Trajectory(stamps[around], poses[around]))
        streams: dict[str, Stream] = {CLOUDS: self._cloud(sample_id, own)}
        for name, path in pictures.items():
            source = Source(path, "image", options={"size": sizes[name]})
            streams[name] = Camera(frame=name, capture_times=own, items=(source,))
        if poses is not None:
            streams["ego"] = _ego(stamps, poses, place)
        meta = SampleMeta(
            id=sample_id, scene=scene, ref=Ref(VELODYNE, int(own)), rig=rig, true_rig=rig, clock=CLOUDS,
            anchor=torch.eye(4, dtype=torch.float64) if poses is None else poses[0], start=int(stamps[0]),
        )  # fmt: skip
        return merge_sidecar(Sample(metas=(meta,), streams=streams), self.tree)

    def boxes_and_ego(self, sample_id: str) -> Sample:
        """The pose of a scan, from the tables of its sequence alone; there are no boxes."""
        scene, place = self.locate(sample_id)
        stamps, poses = self.stamps(scene), self.poses(scene)
        if poses is None:
            return super().boxes_and_ego(sample_id)
        ref = Ref(VELODYNE, int(stamps[place]))
        return bare_sample(sample_id, scene, ref, WORLD, poses[place], {"ego": _ego(stamps, poses, place)})

    def _cloud(self, sample_id: str, own: Tensor) -> Lidar:
        """The scan, with labels where it has a file of them; its size is compared with that of the cloud."""
        path, labels = self.file(sample_id, CLOUDS), self.file(sample_id, LABELS)
        assert path is not None
        source, columns = CLOUD.source(path), CLOUD.columns
        if labels is None:
            values = LazyColumns([source], columns)
            return Lidar(frame=LIDAR, capture_times=own, values=values, motion="compensated")
        points, size = source.rows() or 0, _size(labels)
        if 4 * points != size:
            raise DataError(
                f"{labels}: holds {size // 4} labels of 4 bytes ({size} bytes) for the {points} points of {path.name}; "
                f"take both from the same release"
            )
        values = LazyColumns([source], (*columns, *LAYOUT.columns), [LAYOUT.source(labels)])
        return Lidar(
            frame=LIDAR, capture_times=own, values=values, motion="compensated", air_label=OUTLIER, label_names=NAMES
        )

    @lru_cache(maxsize=KEPT)  # noqa: B019
    def _mounted(self, scene: str, sizes: tuple[tuple[str, tuple[int, int]], ...]) -> Rig:
        """The rig of a sequence; ``sizes`` are (height, width) of the pictures of its cameras."""
        return rig_of(self.calibration(scene), dict(sizes))

    def _rig(self, scene: str, sizes: Mapping[str, tuple[int, int]], pose: Trajectory | None) -> Rig:
        path = self.calibration(scene)
        if path is None and sizes:
            lacking = self.sequences[scene].folder / CALIBRATION
            raise DataError(f"{lacking}: is missing, and there are pictures of {next(iter(sizes))}; add it")
        others = {} if path is None else {n: s for n, (s, _) in self._first_pictures(scene).items() if s is not None}
        rig = self._mounted(scene, tuple(sorted({**others, **sizes}.items())))
        return self.with_rig_file(rig if pose is None else with_pose(rig, pose))

    @lru_cache(maxsize=KEPT)  # noqa: B019
    def _first_pictures(self, scene: str) -> dict[str, tuple[tuple[int, int] | None, list[Path]]]:
        """Camera -> (height, width) of its first whole picture in a sequence, and what was looked at."""
        by_scan = self.sequences[scene].by_scan
        return {n: first_size(by_scan[n][s] for s in sorted(by_scan[n])) for n in CAMERAS if by_scan[n]}

    def files_beside(self) -> set[Path]:
        """Also the pictures that say how large the canvas is in scans without any."""
        scenes = dict.fromkeys(self.scene_of(i) for i in self.ids)
        looked_at = {p for scene in scenes for _, paths in self._first_pictures(scene).values() for p in paths}
        return super().files_beside() | looked_at


def _ego(stamps: Tensor, poses: Tensor, place: int) -> EgoPose:
    """Pose and speed of one scan, of those of its sequence."""
    around, own = near(stamps, place), stamps[place : place + 1]
    velocity, angular = twist_at(own, stamps[around], poses[around])
    values = {"pose": poses[place : place + 1], "velocity": velocity, "angular_velocity": angular}
    return EgoPose(frame=WORLD, child=VELODYNE, capture_times=own, values=values)


def _size(path: Path) -> int:
    """Bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return status(path).st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


__all__ = ["SemanticKittiLog"]
