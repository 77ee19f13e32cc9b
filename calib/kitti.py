"""KITTI object-detection ``calib/*.txt``.

Frames: ``velodyne`` is the reference; ``camera`` is the unrectified camera 0, ``rectified`` the rectified one, in which
labels are given; ``image_0`` .. ``image_3`` are its children. A projection matrix P_i = K_i [I | t] holds the camera's
offset from camera 0 in its fourth column (Geiger et al. 2013, section III).
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from calib.cameras import Pinhole, is_intrinsics, split_pixel_map
from calib.errors import CalibrationError
from calib.rig import Frame, Rig
from calib.se3 import se3
from calib.sensors import CameraSensor, LidarSensor
from calib.validation import validate

REQUIRED_ROWS = {"P0": (3, 4), "P1": (3, 4), "P2": (3, 4), "P3": (3, 4), "R0_rect": (3, 3), "Tr_velo_to_cam": (3, 4)}
OPTIONAL_ROWS = {"Tr_imu_to_velo": (3, 4)}
CAMERAS = ("image_0", "image_1", "image_2", "image_3")
# Velodyne HDL-64E S2: 64 rings, 2 degrees up to 24.8 degrees down.
HDL64_ELEVATIONS = tuple(math.radians(2.0 - 26.8 * i / 63) for i in range(64))


def read_kitti_calib(path: str | Path) -> dict[str, Tensor]:
    """The matrices of a calibration file by name, float64.

    Raises:
        CalibrationError: a row is missing, is not numbers, has the wrong length, or holds NaN.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise CalibrationError(f"{path}: is not a text file") from None
    rows = dict(line.split(":", 1) for line in lines if ":" in line)
    out = {}
    for name, shape in (REQUIRED_ROWS | OPTIONAL_ROWS).items():
        if name not in rows:
            if name in OPTIONAL_ROWS:
                continue
            raise CalibrationError(f"{path}: row {name} is missing")
        try:
            numbers = torch.tensor([float(x) for x in rows[name].split()], dtype=torch.float64)
        except ValueError:
            raise CalibrationError(f"{path}: {name}: not a row of numbers") from None
        if len(numbers) != shape[0] * shape[1]:
            raise CalibrationError(f"{path}: {name}: expected {shape[0] * shape[1]} numbers, got {len(numbers)}")
        if not bool(torch.isfinite(numbers).all()):
            raise CalibrationError(f"{path}: {name}: holds NaN or infinity")
        out[name] = numbers.reshape(shape)
    return out


def write_kitti_calib(matrices: dict[str, Tensor], path: str | Path) -> None:
    """Write matrices in KITTI's order, with 17 significant digits so that nothing is lost."""
    order = [*REQUIRED_ROWS, *OPTIONAL_ROWS]
    lines = [f"{n}: {' '.join(f'{v:.16e}' for v in matrices[n].flatten().tolist())}" for n in order if n in matrices]
    Path(path).write_text("\n".join(lines) + "\n", encoding="ascii")


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


def kitti_rig(matrices: dict[str, Tensor], size: tuple[int, int], where: str) -> Rig:
    """The rig of a KITTI frame.

    Args:
        matrices: what ``read_kitti_calib`` gave.
        size: (height, width) of the images, pixels.
        where: the file, for messages.

    Raises:
        CalibrationError: a rotation or an intrinsic matrix is not one.
    """
    tr = matrices["Tr_velo_to_cam"]
    velo_to_cam = se3(nearest_rotation(tr[:, :3], f"{where}: Tr_velo_to_cam"), tr[:, 3])
    rectify = se3(nearest_rotation(matrices["R0_rect"], f"{where}: R0_rect"))
    frames = {
        "velodyne": Frame(),
        "camera": Frame(parent="velodyne", pose=torch.linalg.inv(velo_to_cam), axis_convention="camera"),
        "rectified": Frame(parent="camera", pose=torch.linalg.inv(rectify), axis_convention="camera"),
    }
    sensors: dict[str, CameraSensor | LidarSensor] = {
        "velodyne": LidarSensor(frame="velodyne", elevations=HDL64_ELEVATIONS, max_range=120.0, spin=-1)
    }
    if "Tr_imu_to_velo" in matrices:
        imu = matrices["Tr_imu_to_velo"]
        pose = se3(nearest_rotation(imu[:, :3], f"{where}: Tr_imu_to_velo"), imu[:, 3])
        frames["imu"] = Frame(parent="velodyne", pose=pose)
    for i, name in enumerate(CAMERAS):
        P = matrices[f"P{i}"]
        K = P[:, :3]
        if not is_intrinsics(K):
            K, A = split_pixel_map(K, size)
        else:
            A = torch.eye(3, dtype=torch.float64)
        offset = torch.linalg.solve(P[:, :3], P[:, 3])
        frames[name] = Frame(parent="rectified", pose=se3(translation=-offset), axis_convention="camera")
        model = Pinhole(K=K / K[2, 2], size=size)
        sensors[name] = CameraSensor(frame=name, model=model, A=A, size=size)
    return validate(Rig(frames, sensors), where)
