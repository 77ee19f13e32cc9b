"""Mountings of sensors, and errors of the reported ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib import CameraSensor, Rig
from calib.se3 import as_f64, rotation_about, se3
from calib.trajectory import MovingPose
from fusion_aug.core.parameters import ParameterRows
from fusion_aug.core.ranges import Range
from fusion_aug.core.registry import Context
from fusion_aug.core.strength import Strength, Strengths
from fusion_aug.core.transform import Transform
from fusion_aug.errors import DataError
from fusion_aug.sample import Sample
from fusion_aug.sample.sensors import matches
from fusion_aug.streams.families import Mount

EYE = torch.eye(4, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class MountTransform(Transform, Mount, abstract=True):
    """A change of mounting, ``T_parent_sensor' = T_parent_sensor E``.

    E is a rotation ``Rz(z) Ry(y) Rx(x)`` about the sensor's own axes and a shift along them. A camera's x points right,
    y down, z forward: ``y_deg`` pans, ``x_deg`` tilts, ``z_deg`` rolls.

    Attributes:
        sensors: names or shell patterns of the sensors that move, each alone (scope ``sensor``) or all alike; None for
            all cameras.
        x_deg, y_deg, z_deg: rotation about the sensor's axes, degrees.
        x, y, z: shift along the sensor's axes, metres.
    """

    scope: str = "sensor"
    sensors: tuple[str, ...] | None = None
    x_deg: Range = 0.0
    y_deg: Range = 0.0
    z_deg: Range = 0.0
    x: Range = 0.0
    y: Range = 0.0
    z: Range = 0.0

    scopes: ClassVar[tuple[str, ...]] = ("scene", "sample", "sensor")

    @classmethod
    def instances(cls, sample: Sample, index: int) -> list[str]:
        """Every sensor of the rig."""
        return list(sample.metas[index].rig.sensors)


def drawn_frame_errors(rig: Rig, parameters: ParameterRows, index: int, who: str) -> dict[str, Tensor]:
    """E (4, 4) of the frame of every chosen sensor. Sensors that share a frame move once.

    Raises:
        DataError: nothing in the rig is called so.
    """
    out: dict[str, Tensor] = {}
    for name, sensor in rig.sensors.items():
        params = parameters.of(index, name)
        chosen = moves_sensor(params, name, isinstance(sensor, CameraSensor))
        if chosen and sensor.frame not in out and rig.frames[sensor.frame].parent is not None:
            out[sensor.frame] = mounting_matrix(params)
    if not out and rig.sensors:
        patterns = next(iter(parameters.per_sample[index].values()))["sensors"]
        reached = [n for n in rig.sensors if matches(n, patterns or ("*",))]
        what = (
            f"{', '.join(patterns)} names no sensor of the rig" if patterns else "the rig has no camera that can move"
        )
        if patterns and reached:
            what = f"{reached[0]} hangs on no other frame, against which it could move; give its mounting in log.rig"
        raise DataError(f"{who}.sensors: {what} (it has {', '.join(rig.sensors)})")
    return out


def moves_sensor(params: Mapping[str, Any], name: str, is_camera: bool) -> bool:
    """Whether drawn parameters are for a sensor."""
    return is_camera if params["sensors"] is None else matches(name, params["sensors"])


def mounting_matrix(params: Mapping[str, Any]) -> Tensor:
    """E (4, 4) of drawn parameters."""
    x, y, z = (torch.deg2rad(as_f64(params[f"{a}_deg"])) for a in "xyz")
    rotation = rotation_about("z", z) @ rotation_about("y", y) @ rotation_about("x", x)
    return se3(rotation, torch.stack([as_f64(params[a]) for a in "xyz"]))


def with_frame_errors(rig: Rig, errors: Mapping[str, Tensor]) -> Rig:
    """The rig with frames moved in their parents."""
    for frame, error in errors.items():
        pose = rig.frames[frame].pose
        rig = rig.with_pose(frame, pose.mapped(EYE, error) if isinstance(pose, MovingPose) else pose @ error)
    return rig


@dataclass(frozen=True, kw_only=True)
class Miscalibrate(MountTransform):
    """Report a wrong mounting of some sensors: the reported rig changes, the true rig and the data do not.

    The fields are those of ``MountTransform``: degrees about and metres along the sensor's own axes. ``check`` reports
    the difference as intended.
    """

    strict = False  # it touches no data, so a stream without a rule cannot go wrong
    inverse: ClassVar[str] = "exact"
    only_rig: ClassVar[bool] = True
    strengths: ClassVar[Strengths] = {
        "x_deg": Strength(0.0, (-3.0, 3.0), "linear", "suite/spatial_misalignment", "degrees"),
        "y_deg": Strength(0.0, (-3.0, 3.0), "linear", "suite/spatial_misalignment", "degrees"),
        "z_deg": Strength(0.0, (-3.0, 3.0), "linear", "suite/spatial_misalignment", "degrees"),
        "x": Strength(0.0, (-0.26, 0.26), "linear", "declared: as far as 3 degrees move a point at 5 m", "m"),
        "y": Strength(0.0, (-0.26, 0.26), "linear", "declared: as far as 3 degrees move a point at 5 m", "m"),
        "z": Strength(0.0, (-0.26, 0.26), "linear", "declared: as far as 3 degrees move a point at 5 m", "m"),
    }
    needs_naming: ClassVar[str] = "the reported calibration becomes wrong"
    example: ClassVar[dict[str, Any]] = {"sensors": ["CAM*"], "x_deg": [-1.0, 1.0], "y": [-0.05, 0.05]}

    @classmethod
    def apply(cls, sample: Sample, parameters: ParameterRows, context: Context) -> Sample:
        """Move the reported pose of the chosen sensors' frames."""
        for u, meta in enumerate(sample.metas):
            if not parameters.per_sample[u]:
                continue
            sample = sample.with_meta(
                u, rig=with_frame_errors(meta.rig, drawn_frame_errors(meta.rig, parameters, u, cls.__name__))
            )
        return sample


__all__ = [
    "Miscalibrate",
    "MountTransform",
    "drawn_frame_errors",
    "mounting_matrix",
    "moves_sensor",
    "with_frame_errors",
]
