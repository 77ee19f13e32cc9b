"""Rig files in YAML, and the plain dictionaries behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from calib.cameras import UnknownLens, camera_from_dict
from calib.errors import CalibrationError
from calib.gel import GelModel, picture_from_dict, picture_to_dict
from calib.joints import Joint, JointPose
from calib.kalibr import is_camchain, rig_from_camchain
from calib.lidar_models import lidar_figures
from calib.nearest_names import listed
from calib.rectification import Rectification
from calib.regular_files import read_regular_text, status
from calib.rig import Frame, Inertia, Rig
from calib.rig_pictures import sensors_with_picture, with_loaded_pictures
from calib.se3 import as_f64, quaternion_from_rotation, rotation_from_quaternion, se3, unit_quaternions
from calib.sensors import SENSORS, CameraSensor, LidarSensor, Sensor
from calib.trajectory import Trajectory
from calib.validation import validate
from calib.yaml_text import load_yaml

MAX_BYTES = 64 * 2**20
READERS: dict[str, Callable[[Any], Any]] = {
    "A": as_f64, "poses": as_f64, "gel": GelModel.from_dict, "rectification": Rectification.from_dict,
    "background": picture_from_dict,
}  # fmt: skip
EXAMPLE = "{model: pinhole, K: [[f, 0, cx], [0, f, cy], [0, 0, 1]], size: [height, width]}"


def load_rig(path: str | Path, base: Rig | None = None) -> Rig:
    """Read and validate a rig file.

    Args:
        path: the file.
        base: a rig that the file adds to; the file may name its frames, and what it repeats it replaces.

    Raises:
        CalibrationError: the file is missing, not YAML, too large, or wrong; the message names file and field.
    """
    return rig_from_dict(read_rig_file(path), str(path), base)


def read_rig_file(path: str | Path) -> Any:
    """The plain contents of a rig file, for ``rig_from_dict``. A camera chain of Kalibr is read as one.

    Raises:
        CalibrationError: the file is missing, not YAML, or too large.
    """
    data = _read_yaml(Path(path))
    return rig_from_camchain(data, str(path)) if is_camchain(data) else with_loaded_pictures(data, Path(path))


def pictures_of_rig_file(path: str | Path) -> list[Path]:
    """The pictures that a rig file names, which lie beside it.

    Raises:
        CalibrationError: see ``read_rig_file``.
    """
    return [Path(path).parent / sensor["background"] for _, sensor in sensors_with_picture(_read_yaml(Path(path)))]


def _read_yaml(path: Path) -> Any:
    try:
        if status(path).st_size > MAX_BYTES:
            raise CalibrationError(f"{path}: larger than the {MAX_BYTES >> 20} MiB a rig file may have")
        return load_yaml(read_regular_text(path, most=MAX_BYTES))
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: is not valid YAML ({str(error).splitlines()[0]})") from None


def save_rig(rig: Rig, path: str | Path) -> None:
    """Write a rig file. Rotations are written as quaternions w x y z."""
    text = yaml.safe_dump(rig_to_dict(rig), sort_keys=False, default_flow_style=None, width=120)
    Path(path).write_text(text, encoding="utf-8")


def rig_to_dict(rig: Rig, exact: bool = False) -> dict[str, Any]:
    """A rig as plain lists, numbers and strings.

    Args:
        rig: the rig.
        exact: write rotations as 3x3 rows, which come back bit by bit, instead of quaternions.
    """
    return {
        "frames": {name: _frame_to_dict(frame, exact) for name, frame in rig.frames.items()},
        "sensors": {name: _sensor_to_dict(sensor) for name, sensor in rig.sensors.items()},
    }


def rig_from_dict(data: Any, where: str = "rig", base: Rig | None = None) -> Rig:
    """Read what ``rig_to_dict`` wrote, and validate it.

    Args:
        data: the dictionary.
        where: the file, for messages.
        base: a rig that it adds to; a camera without ``camera`` keeps what it has there.

    Raises:
        CalibrationError: a field is missing, unknown or has a wrong type or shape, or the rig is inconsistent; the
            message names ``where`` and the field.
    """
    for key in data if isinstance(data, Mapping) else ():
        if key not in ("frames", "sensors"):
            raise CalibrationError(f"{where}: {key}: unknown word, expected frames or sensors")
    if not isinstance(data, Mapping) or not isinstance(data.get("frames"), Mapping):
        raise CalibrationError(f"{where}: frames: a rig file needs a mapping of frames")
    frames = {str(n): _frame_from_dict(d, f"{where}: frames.{n}") for n, d in data["frames"].items()}
    given = data.get("sensors") or {}
    if not isinstance(given, Mapping):
        raise CalibrationError(f"{where}: sensors: must be a mapping of names to sensors")
    known = base.sensors if base is not None else {}
    sensors = {str(n): _sensor_from_dict(d, f"{where}: sensors.{n}", str(n), known) for n, d in given.items()}
    if base is not None:
        frames, sensors = {**base.frames, **frames}, {**base.sensors, **sensors}
    return validate(Rig(frames, sensors), where)


def _rotation_out(rotation: Tensor, exact: bool) -> Any:
    return (rotation if exact else quaternion_from_rotation(rotation)).tolist()


def _rotation_in(value: Any) -> Tensor:
    rotation = as_f64(value)
    if rotation.shape[-2:] == (3, 3):
        return rotation
    try:
        return rotation_from_quaternion(unit_quaternions(rotation))
    except CalibrationError as error:
        raise CalibrationError(f"rotation: {error}") from None


def _times_in(value: Any) -> Tensor:
    if not isinstance(value, list | tuple) or not all(type(t) is int for t in value):
        raise CalibrationError("times: expected whole numbers, nanoseconds")
    return torch.tensor(value, dtype=torch.int64)


def _finite(value: Any, name: str) -> Tensor:
    numbers = as_f64(value)
    if not bool(torch.isfinite(numbers).all()):
        raise CalibrationError(f"{name}: holds NaN or infinity")
    return numbers


def _fields_of(made: Inertia | Joint) -> dict[str, Any]:
    found = ((f.name, getattr(made, f.name)) for f in fields(made))
    return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in found}


def _frame_to_dict(frame: Frame, exact: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"parent": frame.parent, "axis_convention": frame.axis_convention}
    if frame.inertia is not None:
        out["inertia"] = _fields_of(frame.inertia)
    if frame.mirror_of is not None:
        out["mirror_of"] = frame.mirror_of
    if frame.parent is None:
        return out
    if isinstance(frame.pose, JointPose):
        joint = _fields_of(frame.pose.joint)
        out |= {"joint": joint, "times": frame.pose.times.tolist(), "readings": frame.pose.readings.tolist()}
        return out if frame.pose.reach is None else out | {"reach": frame.pose.reach}
    poses = frame.pose if isinstance(frame.pose, Tensor) else frame.pose.known()
    if isinstance(frame.pose, Trajectory):
        out["times"] = frame.pose.times.tolist()
    return out | {
        "translation": poses[..., :3, 3].tolist(),
        "rotation": _rotation_out(poses[..., :3, :3], exact),
    }


def _frame_from_dict(data: Any, where: str) -> Frame:
    if not isinstance(data, Mapping):
        raise CalibrationError(f"{where}: must be a mapping")
    if "hand" in data:
        raise CalibrationError(f"{where}.hand: is called axis_convention now")
    own = {"parent", "axis_convention", "times", "translation", "rotation", "joint", "readings", "reach", "inertia",
           "mirror_of"}  # fmt: skip
    _refuse_unknown_keys(data, own, where)
    parent, partner = data.get("parent"), data.get("mirror_of")
    more: dict[str, Any] = {"axis_convention": str(data.get("axis_convention", "body"))}
    more["mirror_of"] = None if partner is None else str(partner)
    try:
        field = "inertia"
        given = data.get("inertia")
        inertia = None if given is None else Inertia(
            mass=given["mass"], center=as_f64(given["center"]).reshape(3),
            about_center=as_f64(given["about_center"]).reshape(3, 3),
        )  # fmt: skip
        if parent is None:
            return Frame(inertia=inertia, **more)
        parent = str(parent)
        if "joint" in data:
            field = "joint"
            return Frame(parent=parent, pose=_joint_pose(data), inertia=inertia, **more)
        field = "rotation"
        rotation = _rotation_in(data.get("rotation", [1.0, 0, 0, 0]))
        field = "translation"
        pose = se3(rotation, as_f64(data.get("translation", [0.0, 0, 0])))
        field = "times"
        if "times" in data:
            times = _times_in(data["times"])
            return Frame(parent=parent, pose=Trajectory(times, pose), inertia=inertia, **more)
    except CalibrationError as error:
        raise CalibrationError(f"{where}{'.inertia.' if field == 'inertia' else ': '}{error}") from None
    except (ValueError, TypeError, RuntimeError, IndexError, KeyError):
        raise CalibrationError(f"{where}.{field}: is not a list of numbers of the right length") from None
    return Frame(parent=parent, pose=pose, inertia=inertia, **more)


def _joint_pose(data: Mapping[str, Any]) -> JointPose:
    fields = dict(data["joint"])
    shapes = {"axis": (3,), "origin": (4, 4), "tail": (4, 4)}
    tensors: dict[str, Any] = {k: as_f64(fields.pop(k)).reshape(s) for k, s in shapes.items()}
    joint = Joint(**tensors, **fields)
    return JointPose(
        joint=joint,
        times=_times_in(data["times"]),
        readings=_finite(data["readings"], "readings"),
        reach=None if data.get("reach") is None else int(data["reach"]),
    )


def _sensor_to_dict(sensor: Sensor) -> dict[str, Any]:
    out: dict[str, Any] = {"kind": sensor.kind}
    for f in fields(sensor):
        value = getattr(sensor, f.name)
        if f.name == "model":
            out["camera"] = value.to_dict()
        elif isinstance(value, GelModel | Rectification):
            out[f.name] = value.to_dict()
        elif f.name == "background" and value is not None:
            out[f.name] = picture_to_dict(value)
        elif isinstance(value, Tensor):
            out[f.name] = value.tolist()
        elif isinstance(value, tuple):
            out[f.name] = list(value)
        elif value is not None:
            out[f.name] = value
    return out


def _sensor_from_dict(data: Any, where: str, name: str, beside: Mapping[str, Sensor]) -> Sensor:
    if not isinstance(data, Mapping) or data.get("kind") not in SENSORS:
        raise CalibrationError(f"{where}.kind: must be one of {', '.join(SENSORS)}")
    cls = SENSORS[data["kind"]]
    names = {f.name for f in fields(cls)}
    own = {"model"} if cls is LidarSensor else {"camera"}  # the lens of a camera is given as ``camera``
    _refuse_unknown_keys(data, (names - {"model"}) | {"kind"} | own, where)
    values: dict[str, Any] = {}
    for key, value in ((k, v) for k, v in data.items() if k != "kind"):
        try:
            if key == "camera":
                values["model"] = camera_from_dict(value)
            elif key == "model":  # of a LiDAR: what the file does not give itself
                values |= {name: figure for name, figure in lidar_figures(value).items() if name not in data}
            elif key in READERS:
                values[key] = READERS[key](value)
            else:
                values[key] = tuple(value) if isinstance(value, list) else value
        except CalibrationError as error:
            raise CalibrationError(f"{where}.{key}{'.' if key in ('camera', 'gel') else ': '}{error}") from None
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise CalibrationError(f"{where}.{key}: is missing something or has a wrong type ({error})") from None
    keeps, known = cls is CameraSensor and "model" not in values, beside.get(name)
    if keeps and (not isinstance(known, CameraSensor) or isinstance(known.model, UnknownLens)):
        raise CalibrationError(f"{where}.camera: {_without_lens(name, beside)} camera: {EXAMPLE}")
    try:
        return replace(known, **values) if keeps and known is not None else cls(**values)
    except CalibrationError as error:
        raise CalibrationError(f"{where}.{error}") from None
    except TypeError as error:
        raise CalibrationError(f"{where}: {str(error).split(') ')[-1]}") from None


def _without_lens(name: str, beside: Mapping[str, Sensor]) -> str:
    """Why a camera that is given without a lens has none."""
    if name in beside:
        return "not calibrated by the log either;"
    cameras = listed(name, (n for n, s in beside.items() if isinstance(s, CameraSensor)))
    return f"is missing, and the log has no camera {name!r} (there are {cameras}); correct the name, or give"


def _refuse_unknown_keys(data: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in data:
        if key not in allowed:
            raise CalibrationError(f"{where}.{key}: unknown field, expected {', '.join(sorted(allowed))}")
