"""Camera chains of Kalibr (camchain.yaml) as rig files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from calib.errors import CalibrationError
from calib.se3 import as_f64, check_se3, invert, quaternion_from_rotation

LENSES = {"radtan": "brown_conrady", "equidistant": "kannala_brandt", "none": "pinhole"}
ENDINGS = ("image_raw", "image_rect", "image_color", "image", "compressed")
IMU = "imu"


def is_camchain(data: Any) -> bool:
    """Whether the contents of a YAML file are Kalibr's."""
    return isinstance(data, Mapping) and isinstance(data.get("cam0"), Mapping) and "intrinsics" in data["cam0"]


def rig_from_camchain(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The contents of a rig file.

    Cameras are named by their ``rostopic`` (without /image_raw), else cam0, cam1, ... The parent of each is the frame
    ``imu`` where ``T_cam_imu`` is given, else the camera before it (``T_cn_cnm1``); the first is then the root.

    Args:
        data: the contents of camchain.yaml. where: the file, for messages.

    Raises:
        CalibrationError: a field is missing or wrong, or the model is none of pinhole-radtan, pinhole-equidistant.

    Warns:
        UserWarning: the file gives a time shift, which is not applied to the stamps of the log.
    """
    frames: dict[str, Any] = {}
    sensors: dict[str, Any] = {}
    names: list[str] = []
    for number in range(len(data)):
        key = f"cam{number}"
        entry, here = data.get(key), f"{where}: {key}"
        if not isinstance(entry, Mapping):
            raise CalibrationError(f"{here}: is missing; cameras are cam0, cam1, ...")
        name = _camera_name(entry, key)
        if name in names:
            raise CalibrationError(f"{here}.rostopic: {name!r} is the name of another camera too")
        sensors[name] = {"kind": "camera", "frame": name, "camera": _camera_entry(entry, here)}
        if "T_cam_imu" in entry:
            frames.setdefault(IMU, {"parent": None, "axis_convention": "body"})
            frames[name] = _frame_entry(entry["T_cam_imu"], IMU, f"{here}.T_cam_imu")
        elif number and "T_cn_cnm1" in entry:
            frames[name] = _frame_entry(entry["T_cn_cnm1"], names[-1], f"{here}.T_cn_cnm1")
        elif number:
            raise CalibrationError(f"{here}.T_cn_cnm1: is missing, so the camera has no pose; add it or T_cam_imu")
        else:
            frames[name] = {"parent": None, "axis_convention": "camera"}
        shift = entry.get("timeshift_cam_imu", 0.0)
        if shift:
            warnings.warn(
                f"{here}.timeshift_cam_imu: the stamps of the log are taken as they are, not shifted by {shift} s",
                stacklevel=2,
            )
        names.append(name)
    return {"frames": frames, "sensors": sensors}


def _camera_name(entry: Mapping[str, Any], key: str) -> str:
    parts = str(entry.get("rostopic") or key).strip("/").split("/")
    while len(parts) > 1 and parts[-1] in ENDINGS:
        parts.pop()
    return "/".join(parts)


def _camera_entry(entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    model, distortion = str(entry.get("camera_model")), str(entry.get("distortion_model", "none"))
    if model != "pinhole" or distortion not in LENSES:
        raise CalibrationError(
            f"{where}.camera_model: {model}-{distortion} is not supported, only pinhole with {', '.join(LENSES)}"
        )
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


def _frame_entry(matrix: Any, parent: str, where: str) -> dict[str, Any]:
    """The entry of a frame from its ``T_self_parent`` in a file."""
    try:
        T = as_f64(matrix).reshape(4, 4)
    except (TypeError, ValueError, RuntimeError):
        raise CalibrationError(f"{where}: expected a 4x4 matrix") from None
    check_se3(T, where, tolerance=1e-4)
    T = invert(T)
    return {"parent": parent, "axis_convention": "camera", "translation": T[:3, 3].tolist(),
            "rotation": quaternion_from_rotation(T[:3, :3]).tolist()}  # fmt: skip
