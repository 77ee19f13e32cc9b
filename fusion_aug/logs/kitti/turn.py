"""Where a turned scene goes in KITTI's calibration: into P (``log.turn=projection``) or into Tr (``extrinsics``).

With L = R0 Tr, a pixel is dehom(P L X). The points of a scene that was moved by H are X' = H X, and there is no file
that serves all readers:

* ``projection``: R0 and Tr stay, P' = F P (L H L^-1)^-1 with F the flip of the canvas under a mirror. It serves
  detectors that take headings in the LiDAR's frame from rotation_y, as if Tr were nominal (mmdetection3d, OpenPCDet).
* ``extrinsics``: L' = D L H^-1 (D mirrors the camera's x where H does), and P keeps intrinsics and baseline. It serves
  readers that split P (monocular, stereo) or divide by the nominal depth (OpenPCDet's filter of the view).

Rotations in the files are printed with few digits. A rig has the nearest true rotations; what is written is meant for
readers that use the numbers as they are, so it is made of the source's own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from calib.kitti import CAMERAS, IMU, OWN_TR, PROJECTIONS, R0, TR, KittiRow, kitti_matrices, true_chain, true_pose
from calib.se3 import invert, same_pose
from fusion_aug.logs.kitti.reader import EXTRINSICS
from fusion_aug.sample import Sample
from fusion_aug.transforms.scene import scene_motion

EYE = torch.eye(4, dtype=torch.float64)
CAMERA_MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64))
ROUNDING = 1e-12  # share of the largest entry of a matrix that products of matrices are off by


@dataclass(frozen=True, eq=False)
class TurnedCalibration:
    """The calibration file of an augmented frame.

    Attributes:
        sample, source: the frame and what it was made from.
        rows: of the source's file.
        turn: one of ``TURNS``.
        where: the source's file, for messages.
    """

    sample: Sample
    source: Sample
    rows: Sequence[KittiRow]
    turn: str
    where: str

    @cached_property
    def given(self) -> dict[str, Tensor]:
        """Matrices of the source: the numbers of its file, or of the rig file where that says otherwise."""
        given = kitti_matrices(self.rows, self.where)
        for name, parent, child in ((TR, "velodyne", "camera"), (R0, "camera", "rectified")):
            pose = invert(self.source.rig.T(parent, child))
            if not same_pose(true_pose(given, name, self.where), pose):
                given[name] = pose[:3, :3] if name == R0 else pose[:3]
        return given

    @cached_property
    def motion(self) -> Tensor:
        """H (4, 4), the motion of the scene."""
        return scene_motion(self.sample.meta.history)

    @cached_property
    def mirror(self) -> Tensor:
        """D (4, 4), what the mirror does to a camera."""
        return CAMERA_MIRROR if float(torch.linalg.det(self.motion[:3, :3])) < 0 else EYE

    def moved(self, L: Tensor) -> Tensor:
        """L' (4, 4) that is written for a chain L from the LiDAR to rectified axes."""
        if self.turn != EXTRINSICS:
            return L
        scale = torch.linalg.det(self.motion[:3, :3]).abs() ** (1 / 3)
        similar = torch.diag(torch.stack([scale, scale, scale, torch.ones_like(scale)]))
        return similar @ self.mirror @ L @ torch.linalg.inv(self.motion)

    @cached_property
    def T_velo_rectified(self) -> Tensor:
        """(4, 4), the rectified axes of the written labels in the nominal LiDAR frame."""
        return invert(self.moved(invert(self.source.rig.T("velodyne", "rectified"))))

    @property
    def rectified_motion(self) -> Tensor:
        """(4, 4), from the rectified axes of the source's labels to those of the written ones."""
        return invert(self.T_velo_rectified) @ self.motion @ self.source.rig.T("velodyne", "rectified")

    @cached_property
    def changed(self) -> dict[str, Tensor]:
        """The matrices that differ from the source's."""
        given = self.given
        plain = kitti_matrices(self.rows, self.where)
        out = {name: given[name] for name in (R0, TR) if not torch.equal(given[name], plain[name])}
        if self.turn == EXTRINSICS and not same_pose(self.motion, EYE):
            D = self.mirror[:3, :3]
            out[R0] = D @ given[R0] @ D
            for name in (TR, *(n for n in OWN_TR.values() if n in given)):
                out[name] = (torch.linalg.inv(_square(out[R0])) @ self.moved(self._chain(name)))[:3]
        for camera, row in PROJECTIONS.items():
            if row in given and camera in self.sample.rig.sensors:
                P = self._projection(camera)
                if float((P - given[row]).abs().max()) > 10 * ROUNDING * float(P.abs().max()):
                    out[row] = P
        rigs = self.sample.rig, self.source.rig
        if IMU in given and not same_pose(*(rig.T("velodyne", "imu") for rig in rigs)):
            out[IMU] = self.sample.rig.T("velodyne", "imu")[:3]
        named = {row.name for row in self.rows}
        return {name: m for name, m in out.items() if name in named}

    def _chain(self, name: str) -> Tensor:
        """R0 Tr (4, 4) in the source's numbers; ``name`` is the row of Tr."""
        return _square(self.given[R0]) @ _square(self.given[name])

    def _projection(self, camera: str) -> Tensor:
        """P' (3, 4) of a camera, for the chain L' that is written.

        The rig sees points as ``M X'``; made of the file's own numbers, its chain would be ``L = L_rig C``.
        """
        name = OWN_TR[camera] if OWN_TR[camera] in self.given else TR
        L = self._chain(name)
        C = self.motion @ invert(true_chain(self.given, name, self.where)) @ L @ torch.linalg.inv(self.motion)
        sensor = self.sample.rig.camera(camera)
        M = sensor.A @ sensor.model.K @ invert(self.sample.rig.T("velodyne", camera))[:3]
        return _tidy(M @ C @ torch.linalg.inv(self.moved(L)))


def _tidy(P: Tensor) -> Tensor:
    """A projection matrix without the rounding of products: 0 is 0, and the row of a depth in metres has length 1."""
    P = torch.where(P.abs() < ROUNDING * P.abs().max(), torch.zeros_like(P), P)
    length = torch.linalg.norm(P[2, :3])
    return P / length if abs(float(length) - 1) < 1e3 * ROUNDING else P


def _square(matrix: Tensor) -> Tensor:
    out = EYE.clone()
    out[: matrix.shape[0], : matrix.shape[1]] = matrix
    return out


def cameras_of(sample: Sample) -> list[str]:
    """The cameras of a sample that calibration files have a row for."""
    return [name for name in CAMERAS if name in sample.rig.sensors]


__all__ = ["TurnedCalibration", "cameras_of"]
