"""Camera chains and inertial units of Kalibr and OpenVINS (camchain.yaml, kalibr_imucam_chain.yaml) as rig files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from calib.errors import CalibrationError
from calib.se3 import as_f64, check_se3, invert, quaternion_from_rotation

LENSES = {"radtan": "brown_conrady", "equidistant": "kannala_brandt", "none": "pinhole"}
OTHER_LENSES = ("omni", "eucm", "ds", "fov")  # of Kalibr, which no camera model here is
ENDINGS = ("image_raw", "image_rect", "image_color", "image", "compressed")
IMU = "imu"
CAMERA_FIELDS = frozenset(
    ("camera_model", "distortion_model", "distortion_coeffs", "intrinsics", "resolution", "rostopic", "T_cam_imu",
     "T_imu_cam", "T_cn_cnm1", "timeshift_cam_imu")
)  # fmt: skip
IGNORED = {  # what a recording needs nothing of
    "cam_overlaps": "which cameras see the same is not used",
    "line_delay": "give the camera's readout in the rig file",
}
NOISE = {  # of an inertial unit: name in the file -> field of the sensor
    "gyroscope_noise_density": "gyro_noise", "gyroscope_random_walk": "gyro_bias_walk",
    "accelerometer_noise_density": "accel_noise", "accelerometer_random_walk": "accel_bias_walk",
}  # fmt: skip
SAME = 1e-3  # metres, and 1 for directions: how far two poses of one camera in a file may be apart


def is_camchain(data: Any) -> bool:
    """Whether the contents of a YAML file are Kalibr's."""
    listed = data.items() if isinstance(data, Mapping) else ()
    return any(
        isinstance(v, Mapping) and ((k == "cam0" and "intrinsics" in v) or (k == "imu0" and set(NOISE) & set(v)))
        for k, v in listed
    )


def rig_from_camchain(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The contents of a rig file.

    Cameras are named by their ``rostopic`` (without /image_raw), else cam0, cam1, ... The parent of each is the frame
    ``imu`` where ``T_cam_imu`` or ``T_imu_cam`` is given, else the camera before it (``T_cn_cnm1``); the first is then
    the root. An inertial unit ``imu0`` is a sensor of its ``rostopic`` at the frame ``imu``.

    Args:
        data: the contents of camchain.yaml. where: the file, for messages.

    Raises:
        CalibrationError: a field is missing or wrong, or the model is none of pinhole-radtan, pinhole-equidistant.

    Warns:
        UserWarning: the file gives something that is not used, such as a time shift: naming it.
    """
    frames: dict[str, Any] = {}
    sensors: dict[str, Any] = {}
    names: list[str] = []
    if "imu0" in data:
        name, sensors_entry = _imu_entry(data["imu0"], f"{where}: imu0")
        frames[IMU], sensors[name] = {"parent": None, "axis_convention": "body"}, sensors_entry
    for other in sorted(str(k) for k in data if k != "imu0" and not re.fullmatch(r"cam\d+", str(k))):
        warnings.warn(f"{where}: {other}: is neither a camera nor imu0, and not used", stacklevel=2)
    poses: list[Tensor | None] = []
    for number in range(sum(bool(re.fullmatch(r"cam\d+", str(k))) for k in data)):
        key = f"cam{number}"
        entry, here = data.get(key), f"{where}: {key}"
        if not isinstance(entry, Mapping):
            raise CalibrationError(f"{here}: is missing; cameras are cam0, cam1, ...")
        name = _sensor_name(entry, key)
        if name in names:
            raise CalibrationError(f"{here}.rostopic: {name!r} is the name of another camera too")
        sensors[name] = {"kind": "camera", "frame": name, "camera": _camera_entry(entry, here)}
        T_imu_cam = _pose_in_imu(entry, here)
        _check_chain(entry, T_imu_cam, poses[-1] if poses else None, here)
        poses.append(T_imu_cam)
        if T_imu_cam is not None:
            frames.setdefault(IMU, {"parent": None, "axis_convention": "body"})
            frames[name] = _frame_entry(T_imu_cam, IMU)
        elif number and "T_cn_cnm1" in entry:
            frames[name] = _frame_entry(invert(_pose(entry["T_cn_cnm1"], f"{here}.T_cn_cnm1")), names[-1])
        elif number:
            raise CalibrationError(
                f"{here}.T_cn_cnm1: is missing, so the camera has no pose; add it, T_cam_imu or T_imu_cam"
            )
        else:
            frames[name] = {"parent": None, "axis_convention": "camera"}
        _tell_unused(entry, CAMERA_FIELDS, here)
        names.append(name)
    return {"frames": frames, "sensors": sensors}


def _tell_unused(entry: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Warn of what is not used of an entry."""
    shift = entry.get("timeshift_cam_imu", 0.0)
    if shift:
        warnings.warn(
            f"{where}.timeshift_cam_imu: the stamps of the log are taken as they are, not shifted by {shift} s",
            stacklevel=3,
        )
    for field in sorted(set(map(str, entry)) - known):
        warnings.warn(f"{where}.{field}: {IGNORED.get(field, 'is not known and not used')}", stacklevel=3)


def _sensor_name(entry: Mapping[str, Any], key: str) -> str:
    parts = str(entry.get("rostopic") or key).strip("/").split("/")
    while len(parts) > 1 and parts[-1] in ENDINGS:
        parts.pop()
    return "/".join(parts)


def _imu_entry(entry: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Name and entry of an inertial unit; what is wrong with its numbers is found where they are used."""
    if not isinstance(entry, Mapping):
        raise CalibrationError(f"{where}: must be a mapping")
    if "T_i_b" in entry and not torch.allclose(_pose(entry["T_i_b"], f"{where}.T_i_b"), torch.eye(4).double()):
        raise CalibrationError(f"{where}.T_i_b: is not the identity: a second unit is not read; write a rig file")
    _tell_unused(entry, frozenset(NOISE) | {"rostopic", "T_i_b"}, where)
    return _sensor_name(entry, "imu0"), {
        "kind": "imu",
        "frame": IMU,
        **{NOISE[k]: entry[k] for k in NOISE if k in entry},
    }


def _camera_entry(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    model, distortion = str(entry.get("camera_model")), str(entry.get("distortion_model", "none"))
    if model != "pinhole" or distortion not in LENSES:
        field, name = ("camera_model", model) if model != "pinhole" else ("distortion_model", distortion)
        known = f"only pinhole with {', '.join(LENSES)}"
        remedy = "; calibrate it as pinhole-equi, or leave the camera out of the file" if name in OTHER_LENSES else ""
        raise CalibrationError(f"{where}.{field}: {model}-{distortion} is not supported, {known}{remedy}")
    try:
        fu, fv, pu, pv = (float(v) for v in entry["intrinsics"])
        width, height = (int(v) for v in entry["resolution"])
        coefficients = [float(v) for v in entry.get("distortion_coeffs", [])]
    except (KeyError, TypeError, ValueError):
        raise CalibrationError(
            f"{where}: intrinsics [fu, fv, pu, pv], resolution [width, height] and distortion_coeffs are needed"
        ) from None
    K = [[fu, 0, pu], [0, fv, pv], [0, 0, 1]]
    out: dict[str, Any] = {"model": LENSES[distortion], "K": K, "size": [height, width]}
    return out if distortion == "none" else {**out, "distortion": coefficients}


def _pose_in_imu(entry: Mapping[str, Any], where: str) -> Tensor | None:
    """``T_imu_cam`` (4, 4) of a camera, which a file gives in either direction; None where it gives none.

    Raises:
        CalibrationError: it gives both, and they are not each other's inverse.
    """
    given = {n: _pose(entry[n], f"{where}.{n}") for n in ("T_imu_cam", "T_cam_imu") if n in entry}
    found = [T if n == "T_imu_cam" else invert(T) for n, T in given.items()]
    if len(found) == 2 and float((found[0] - found[1]).abs().max()) > SAME:
        raise CalibrationError(f"{where}.T_imu_cam: is not the inverse of T_cam_imu; keep the right one")
    return found[0] if found else None


def _check_chain(entry: Mapping[str, Any], T_imu_cam: Tensor | None, T_imu_before: Tensor | None, where: str) -> None:
    """Raise where a camera's pose from the one before it is another than their poses from the inertial unit."""
    if T_imu_cam is None or T_imu_before is None or "T_cn_cnm1" not in entry:
        return
    T = _pose(entry["T_cn_cnm1"], f"{where}.T_cn_cnm1")
    if float((T - invert(T_imu_cam) @ T_imu_before).abs().max()) > SAME:
        raise CalibrationError(
            f"{where}.T_cn_cnm1: is not what the poses of this camera and the one before it from the inertial unit "
            f"give; keep the right one"
        )


def _pose(matrix: Any, where: str) -> Tensor:
    try:
        T = as_f64(matrix).reshape(4, 4)
    except (TypeError, ValueError, RuntimeError):
        raise CalibrationError(f"{where}: expected a 4x4 matrix") from None
    check_se3(T, where, tolerance=1e-4)
    return T


def _frame_entry(T: Tensor, parent: str) -> dict[str, Any]:
    """The entry of a camera's frame from ``T_parent_camera``."""
    return {"parent": parent, "axis_convention": "camera", "translation": T[:3, 3].tolist(),
            "rotation": quaternion_from_rotation(T[:3, :3]).tolist()}  # fmt: skip
