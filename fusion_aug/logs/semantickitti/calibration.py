"""Calibration of a sequence: ``calib.txt`` with the rows P0 to P9 and Tr.

With L = Tr a pixel is dehom(P L X): it is KITTI's calibration without a rectification, since pictures are rectified and
Tr leads to the axes of the rectified first camera. A moved scene goes into Tr, as with ``log.turn=extrinsics`` of
KITTI: nothing in this format takes headings in nominal axes, and so this serves readers that multiply P and Tr and
those that take intrinsics from P alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from calib import Frame, Rig
from calib.kitti import (
    PROJECTIONS,
    R0,
    SHAPES,
    TR,
    KittiRow,
    kitti_matrices,
    kitti_rig,
    read_kitti_rows,
    true_pose,
    velodyne,
    write_kitti_calib,
)
from calib.trajectory import MovingPose
from fusion_aug.errors import CalibrationError, DataError
from fusion_aug.logs.kitti.canvas import DEFAULT_SIZE, assumed_size
from fusion_aug.logs.kitti.reader import EXTRINSICS
from fusion_aug.logs.kitti.turn import TurnedCalibration
from fusion_aug.sample import Sample

VELODYNE, LIDAR, WORLD = "velodyne", "lidar", "world"
OWN_TR = "Tr"  # what this format calls the row that object detection calls Tr_velo_to_cam
OF_OBJECTS = {*SHAPES} - {*PROJECTIONS.values()}  # rows of object detection, which mean nothing here
RECTIFICATION = KittiRow(R0, f"{R0}:", "1 0 0 0 1 0 0 0 1")  # there is none
SAME = 1e-9  # share of the largest entry of a matrix by which two of them may differ


def read_rows(path: Path) -> list[KittiRow]:
    """The rows of ``calib.txt`` under the names of object detection, and the rectification, which is none.

    Rows that this format does not have keep their text and get names that nothing reads.

    Raises:
        CalibrationError: it cannot be read, or Tr is missing.
    """
    rows = []
    for row in read_kitti_rows(path):
        foreign = f"{row.name} of another format" if row.name in OF_OBJECTS else row.name
        rows.append(row._replace(name=TR if row.name == OWN_TR else foreign))
    if not any(row.name == TR and row.text for row in rows):
        raise CalibrationError(f"{path}: row {OWN_TR} is missing or not set")
    return [*rows, RECTIFICATION]


def matrices_of(rows: Sequence[KittiRow], path: Path) -> dict[str, Tensor]:
    """The matrices of rows.

    Raises:
        CalibrationError: a row is not twelve numbers, or Tr is not set; it is called as the file does.
    """
    try:
        return kitti_matrices(rows, str(path))
    except CalibrationError as error:
        raise CalibrationError(str(error).replace(TR, OWN_TR)) from None


def T_camera_velodyne(matrices: Mapping[str, Tensor], path: Path) -> Tensor:
    """Tr (4, 4) with the rotation nearest to its printed one."""
    try:
        return true_pose(matrices, TR, str(path))
    except CalibrationError as error:
        raise CalibrationError(str(error).replace(TR, OWN_TR)) from None


def rig_of(path: Path | None, sizes: Mapping[str, tuple[int, int]]) -> Rig:
    """The rig of a sequence, without the pose of the velodyne.

    Args:
        path: of the calibration; None without one, and so without cameras.
        sizes: camera -> (height, width) of its pictures, where the sequence has some.

    Raises:
        CalibrationError: a row is damaged. DataError: there are pictures of a camera that has no row.
    """
    scanner = velodyne(LIDAR)
    if path is None:
        rig = Rig({VELODYNE: Frame()}, {})
    else:
        matrices = matrices_of(read_rows(path), path)
        other = next(iter(sizes.values()), None)  # the benchmark's cameras have one size
        known = {n: other or assumed_size(matrices[row]) for n, row in PROJECTIONS.items() if row in matrices}
        known |= sizes
        T_camera_velodyne(matrices, path)
        rig = kitti_rig(matrices, DEFAULT_SIZE, str(path), known)
        lacking = next((n for n in sizes if n not in rig.sensors), None)
        if lacking is not None:
            raise DataError(
                f"{path}: row {PROJECTIONS[lacking]} is missing or not set, and there are pictures of {lacking}"
            )
    return Rig({**rig.frames, LIDAR: Frame(parent=VELODYNE)}, {**rig.sensors, VELODYNE: scanner})


def with_pose(rig: Rig, pose: MovingPose) -> Rig:
    """The rig with the pose of the velodyne in the world."""
    moving = replace(rig.frames[VELODYNE], parent=WORLD, pose=pose)
    return replace(rig, frames={WORLD: Frame(axis_convention="world"), **rig.frames, VELODYNE: moving})


def changed_rows(sample: Sample, source: Sample, path: Path) -> dict[str, Tensor]:
    """The rows of the source's calibration that differ in an augmented sample, under the names of object detection.

    Args:
        sample, source: of which the rigs are compared. path: of the source's file.
    """
    turned = TurnedCalibration(sample, source, read_rows(path), EXTRINSICS, str(path))
    changed = dict(turned.changed)
    rectification = changed.pop(R0, None)
    if rectification is not None and not torch.equal(rectification, torch.eye(3, dtype=torch.float64)):
        Tr = changed.get(TR, turned.given[TR])  # of a rig file that moves the rectified axes: there is one row for both
        changed[TR] = rectification @ Tr
    return changed


def write_calibration(changed: Mapping[str, Tensor], before: Path, path: Path) -> None:
    """Write a calibration file: its source's rows with some of them changed.

    Args:
        changed: what ``changed_rows`` gave. before: the source's file. path: of the new one.
    """
    write_kitti_calib(changed, path, [row for row in read_rows(before) if row.name != R0])


def is_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two samples changed the same rows alike."""
    if one.keys() != other.keys():
        return False
    return all(float((m - other[n]).abs().max()) <= SAME * float(m.abs().max()) for n, m in one.items())
