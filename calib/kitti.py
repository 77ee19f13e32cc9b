"""KITTI ``calib/*.txt``, of the object and the tracking benchmark and of what people convert to them.

Frames: ``velodyne`` is the reference; ``camera`` is the unrectified camera 0, ``rectified`` the rectified one, in which
labels are given; ``image_0`` .. ``image_9`` are its children. A projection matrix P_i = K_i [I | t] holds the camera's
offset from camera 0 in its fourth column (Geiger et al. 2013, section III). A P_i that also holds a rotation, as a
turned scene has it (``log.turn=projection``), is split into intrinsics and pose.

A row without numbers, or with zeros alone, is not set: there is no such camera.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from calib.cameras import Pinhole, flip_u, is_intrinsics, split_pixel_map
from calib.errors import CalibrationError
from calib.lidar_models import lidar_of_model
from calib.regular_files import read_regular_text
from calib.rig import Frame, Rig
from calib.se3 import se3
from calib.sensors import CameraSensor, LidarSensor, Sensor
from calib.validation import validate

CAMERAS = tuple(f"image_{i}" for i in range(10))
PROJECTIONS = {name: f"P{i}" for i, name in enumerate(CAMERAS)}
# of a camera with a LiDAR-to-camera row of its own, as conversions of Waymo have them
OWN_TR = {name: f"Tr_velo_to_cam_{i}" for i, name in enumerate(CAMERAS)}
R0, TR, IMU = "R0_rect", "Tr_velo_to_cam", "Tr_imu_to_velo"
ORDER = (*PROJECTIONS.values(), R0, TR, *OWN_TR.values(), IMU)
OTHER_NAMES = {"R_rect": R0, "Tr_velo_cam": TR, "Tr_imu_velo": IMU}  # of the tracking benchmark
SHAPES = {name: (3, 3) if name == R0 else (3, 4) for name in ORDER}
Size = tuple[int, int]  # (height, width), pixels
AFFINE = 1e-9  # share of a last row up to which a matrix leaves depths alone
# Velodyne HDL-64E S2: 64 rings, 2 degrees up to 24.8 degrees down.
HDL64_ELEVATIONS = tuple(math.radians(2.0 - 26.8 * i / 63) for i in range(64))
SCAN_LEVELS = 100  # steps of intensities in the files


def velodyne(frame: str) -> LidarSensor:
    """The LiDAR of KITTI and SemanticKITTI at a frame."""
    return lidar_of_model("HDL-64E", frame, elevations=HDL64_ELEVATIONS, intensity_levels=SCAN_LEVELS)


class KittiRow(NamedTuple):
    """A row of a calibration file.

    Attributes:
        name: as the object benchmark calls it. label: as the file does, with the colon that it may have.
        text: the numbers as they are written.
    """

    name: str
    label: str
    text: str


def read_kitti_rows(path: str | Path) -> list[KittiRow]:
    """The rows of a calibration file as they are, in its order; the colon after a name may be missing.

    Raises:
        CalibrationError: it cannot be read.
    """
    path = Path(path)
    try:
        lines = read_regular_text(path, "utf-8-sig").splitlines()
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: is not a text file") from None
    rows = []
    for line in lines:
        label, colon, text = line.partition(":")
        if not colon:
            label, _, text = line.strip().partition(" ")
        name = label.strip()
        if name:
            rows.append(KittiRow(OTHER_NAMES.get(name, name), name + colon, text.strip()))
    return rows


def read_kitti_calib(path: str | Path) -> dict[str, Tensor]:
    """The matrices of a calibration file by name, float64; without rows that are not set.

    Raises:
        CalibrationError: R0_rect or Tr_velo_to_cam is missing, or a row is not numbers, of wrong length, or holds NaN.
    """
    return kitti_matrices(read_kitti_rows(path), str(path))


def kitti_matrices(rows: Sequence[KittiRow], where: str) -> dict[str, Tensor]:
    """The matrices of the rows of a file, see ``read_kitti_calib``."""
    out: dict[str, Tensor] = {}
    for name, _, text in rows:
        if name not in SHAPES or not text:
            continue
        try:
            numbers = torch.tensor([float(x) for x in text.split()], dtype=torch.float64)
        except ValueError:
            raise CalibrationError(f"{where}: {name}: not a row of numbers") from None
        wanted = math.prod(SHAPES[name])
        if len(numbers) != wanted:
            raise CalibrationError(f"{where}: {name}: expected {wanted} numbers, got {len(numbers)}")
        if not bool(torch.isfinite(numbers).all()):
            raise CalibrationError(f"{where}: {name}: holds NaN or infinity")
        if bool(numbers.any()):
            out[name] = numbers.reshape(SHAPES[name])
    own = next((out[name] for name in OWN_TR.values() if name in out), None)
    if TR not in out and own is not None:
        out[TR] = own  # labels are in the axes of the first camera
    for name in (R0, TR):
        if name not in out:
            raise CalibrationError(f"{where}: row {name} is missing or not set")
    return out


def write_kitti_calib(matrices: Mapping[str, Tensor], path: str | Path, rows: Sequence[KittiRow] = ()) -> None:
    """Write matrices in KITTI's order, with 17 significant digits so that nothing is lost.

    Args:
        matrices: name as the object benchmark has it -> matrix.
        path: of the file.
        rows: of the source. What is not among the matrices stays as it is written, other rows and comments come last.
    """
    table = {row.name: row for row in rows if row.name in ORDER}
    for name, matrix in matrices.items():
        label = table[name].label if name in table else f"{name}:"
        table[name] = KittiRow(name, label, " ".join(f"{v:.16e}" for v in matrix.flatten().tolist()))
    others = [row for row in rows if row.name not in ORDER]
    lines = [f"{row.label} {row.text}".rstrip() for row in (*(table[n] for n in ORDER if n in table), *others)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def nearest_rotation(matrix: Tensor, what: str, tolerance: float = 1e-3) -> Tensor:
    """The rotation closest to a 3x3 matrix that was printed with few digits.

    Raises:
        CalibrationError: it is further than ``tolerance`` from one.
    """
    u, _, vt = torch.linalg.svd(matrix)
    rotation: Tensor = u @ vt
    if float((rotation - matrix).abs().max()) > tolerance or float(torch.linalg.det(rotation)) < 0:
        raise CalibrationError(f"{what}: is not a rotation matrix")
    return rotation


def kitti_rig(
    matrices: Mapping[str, Tensor],
    size: Size,
    where: str,
    sizes: Mapping[str, Size] = MappingProxyType({}),
) -> Rig:
    """The rig of a KITTI frame.

    Args:
        matrices: what ``read_kitti_calib`` gave.
        size: (height, width) of the images, pixels.
        where: the file, for messages.
        sizes: camera -> (height, width), of those whose images are of another size.

    Raises:
        CalibrationError: a rotation or an intrinsic matrix is not one.
    """
    rectify = true_pose(matrices, R0, where)
    T_velo_camera = torch.linalg.inv(true_pose(matrices, TR, where))
    frames = {
        "velodyne": Frame(),
        "camera": Frame(parent="velodyne", pose=T_velo_camera, axis_convention="camera"),
        "rectified": Frame(parent="camera", pose=torch.linalg.inv(rectify), axis_convention="camera"),
    }
    sensors: dict[str, Sensor] = {"velodyne": velodyne("velodyne")}
    if IMU in matrices:
        frames["imu"] = Frame(parent="velodyne", pose=true_pose(matrices, IMU, where))
    for name, row in PROJECTIONS.items():
        if row not in matrices:
            continue
        own_size = sizes.get(name, size)
        K, A, pose = split_projection(matrices[row], own_size, f"{where}: {row}")
        if OWN_TR[name] in matrices:  # the camera's own rectified axes, seen from those of the labels
            to_own = true_chain(matrices, OWN_TR[name], where)
            pose = rectify @ torch.linalg.inv(T_velo_camera) @ torch.linalg.inv(to_own) @ pose
        frames[name] = Frame(parent="rectified", pose=pose, axis_convention="camera")
        sensors[name] = CameraSensor(frame=name, model=Pinhole(K=K, size=own_size), A=A, size=own_size)
    return validate(Rig(frames, sensors), where)


def true_pose(matrices: Mapping[str, Tensor], name: str, where: str) -> Tensor:
    """(4, 4) of a row: the rotation nearest to its numbers, and its translation.

    Raises:
        CalibrationError: it is no rotation.
    """
    rotation = nearest_rotation(matrices[name][:, :3], f"{where}: {name}")
    return se3(rotation, None if name == R0 else matrices[name][:, 3])


def true_chain(matrices: Mapping[str, Tensor], name: str, where: str) -> Tensor:
    """(4, 4) from the LiDAR to rectified axes, R0 Tr with true rotations; ``name`` is the row of Tr."""
    return true_pose(matrices, R0, where) @ true_pose(matrices, name, where)


def split_projection(P: Tensor, size: tuple[int, int], where: str) -> tuple[Tensor, Tensor, Tensor]:
    """Split a projection matrix into intrinsics, pixel map and pose.

    A matrix that leaves depths alone (its last row is 0 0 1) has the axes of its parent, and what is not intrinsics is
    the pixel map. Any other is intrinsics times a rotation; where it mirrors, the canvas is flipped.

    Args:
        P: (3, 4). size: (height, width), pixels. where: file and row, for messages.

    Returns:
        K (3, 3) with 1 as last entry, A (3, 3), and ``T_parent_camera`` (4, 4).

    Raises:
        CalibrationError: the matrix has no centre of projection.
    """
    M, eye = P[:, :3], torch.eye(3, dtype=torch.float64)
    if float(torch.linalg.cond(M)) > 1e12:
        raise CalibrationError(f"{where}: is not a projection matrix: its first three columns are singular")
    centre = -torch.linalg.solve(M, P[:, 3])
    if is_intrinsics(M):
        return M, eye, se3(translation=centre)
    if float(M[2, :2].abs().max()) <= AFFINE * float(M[2].abs().max()):
        K, A = split_pixel_map(M, size)
        return K / K[2, 2], A, se3(translation=centre)
    A = flip_u(size[1]).clone() if float(torch.linalg.det(M)) < 0 else eye
    K, R = intrinsics_and_rotation(A @ M)
    return K / K[2, 2], A, se3(R.T, centre)


def intrinsics_and_rotation(M: Tensor) -> tuple[Tensor, Tensor]:
    """Return M = K R with K (3, 3) upper triangular, its diagonal positive, and R (3, 3) a rotation; det(M) > 0."""
    turned = torch.flip(M, (0,)).T  # RQ by QR of the matrix turned about (Golub and Van Loan 2013, section 5.2)
    q, r = torch.linalg.qr(turned)
    K, R = torch.flip(r.T, (0, 1)), torch.flip(q.T, (0,))
    signs = torch.sign(torch.diagonal(K))
    return torch.triu(K * signs), signs[:, None] * R
