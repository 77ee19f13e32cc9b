"""Checks of a rig as a whole."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.nearest_names import listed
from calib.rig import AXIS_CONVENTIONS, Rig
from calib.se3 import check_se3
from calib.se3_arrays import determinants
from calib.sensors import CameraSensor


def validate(rig: Rig, where: str = "rig") -> Rig:
    """Check a rig as a whole and return it.

    Args:
        rig: what to check.
        where: the file, for messages.

    Raises:
        CalibrationError: a rotation is not orthonormal, a parent or a sensor's frame is missing, frames form a
            cycle, a focal length is not positive, or mirror partners do not name each other.
    """
    _check_poses(rig, where)
    for name, frame in rig.frames.items():
        if frame.axis_convention not in AXIS_CONVENTIONS:
            raise CalibrationError(
                f"{where}: frames.{name}.axis_convention: {frame.axis_convention!r} is not one of "
                f"{', '.join(AXIS_CONVENTIONS)}"
            )
        if frame.mirror_of is not None and frame.mirror_of not in rig.frames:
            raise CalibrationError(f"{where}: frames.{name}.mirror_of: {_no_frame(frame.mirror_of, rig)}")
        if frame.parent is not None and frame.parent not in rig.frames:
            raise CalibrationError(f"{where}: frames.{name}.parent: {_no_frame(frame.parent, rig)}")
    for name in rig.frames:
        try:
            rig.root_of(name)
        except CalibrationError as error:
            raise CalibrationError(f"{where}: {error}") from None
    for name, sensor in rig.sensors.items():
        if sensor.frame not in rig.frames:
            raise CalibrationError(f"{where}: sensors.{name}.frame: {_no_frame(sensor.frame, rig)}")
        if sensor.kind == "tactile" and rig.frames[sensor.frame].axis_convention != "camera":
            raise CalibrationError(
                f"{where}: frames.{sensor.frame}.axis_convention: the frame of a tactile sensor must be camera"
            )
        if sensor.mirror_of is not None:
            partner = rig.sensors.get(sensor.mirror_of)
            if partner is None or partner.mirror_of != name:
                raise CalibrationError(
                    f"{where}: sensors.{name}.mirror_of: {sensor.mirror_of!r} does not name {name!r} as its partner"
                )
        if isinstance(sensor, CameraSensor):
            _validate_camera(sensor, f"{where}: sensors.{name}")
    return rig


def _validate_camera(camera: CameraSensor, where: str) -> None:
    K, lens, A = (t.detach().cpu().numpy() for t in (camera.model.K, camera.model.distortion, camera.A))
    height, width = camera.model.size
    if not np.isfinite(K).all() or not np.isfinite(lens).all():
        raise CalibrationError(f"{where}.K: the intrinsics hold NaN or infinity")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise CalibrationError(f"{where}.K: focal lengths must be positive, got {float(K[0, 0])}, {float(K[1, 1])}")
    if K[1, 0] != 0 or K[2, 0] != 0 or K[2, 1] != 0 or K[2, 2] != 1:
        raise CalibrationError(f"{where}.K: the intrinsics must be upper triangular with a last row 0 0 1")
    if height <= 0 or width <= 0 or min(camera.size) <= 0:
        raise CalibrationError(f"{where}.size: image sizes must be positive, got {camera.model.size}, {camera.size}")
    if not abs(determinants(A)[0]) >= 1e-12:  # also where it is NaN
        raise CalibrationError(f"{where}.A: the pixel map is singular")


def _no_frame(word: str, rig: Rig) -> str:
    """That there is no such frame, and those that there are, the nearest names first."""
    return f"there is no frame {word!r} (there are {listed(word, rig.frames)})"


def _check_poses(rig: Rig, where: str) -> None:
    """Check the poses of all frames at once, and where that fails one by one, for the name."""
    poses = {
        n: (f.pose if isinstance(f.pose, Tensor) else f.pose.known()).reshape(-1, 4, 4) for n, f in rig.frames.items()
    }
    try:
        check_se3(torch.cat(list(poses.values())), where)
    except CalibrationError:
        for name, own in poses.items():
            check_se3(own, f"{where}: frames.{name}")
        raise
