"""Where sensors are mounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import torch
from torch import Tensor

from calib.se3 import as_f64, rotation_about, se3
from calib.trajectory import Trajectory
from fusion_aug.families import Mount
from fusion_aug.ranges import Range
from fusion_aug.registry import Context
from fusion_aug.sample import Sample
from fusion_aug.transforms.base import Rows, Transform


@dataclass(frozen=True, kw_only=True)
class Miscalibrate(Transform, Mount):
    """Tell a wrong mounting of some sensors: the rig changes, the truth and the data do not.

    ``T_parent_sensor' = T_parent_sensor E``, E a rotation ``Rz(z) Ry(y) Rx(x)`` about the sensor's own axes and a shift
    along them. ``check`` reports the difference as intended.

    Attributes:
        sensors: names or shell patterns of the sensors to disturb.
        x_deg, y_deg, z_deg: rotation about the sensor's axes, degrees.
        x, y, z: shift along the sensor's axes, metres.
    """

    scope: str = "sensor"
    sensors: tuple[str, ...] = ("CAM*", "image_*")
    x_deg: Range = 0.0
    y_deg: Range = 0.0
    z_deg: Range = 0.0
    x: Range = 0.0
    y: Range = 0.0
    z: Range = 0.0

    strict = False  # it touches no data, so a stream without a rule cannot go wrong
    scopes: ClassVar[tuple[str, ...]] = ("log", "rig", "sensor")
    inverse: ClassVar[str] = "exact"

    @classmethod
    def instances(cls, sample: Sample, unit: int) -> list[str]:
        """Every sensor of the rig."""
        return list(sample.units[unit].rig.sensors)

    @classmethod
    def apply(cls, sample: Sample, rows: Rows, context: Context) -> Sample:
        """Move the told pose of the chosen sensors' frames."""
        for u, unit in enumerate(sample.units):
            rig = unit.rig
            done: set[str] = set()
            for name, sensor in unit.rig.sensors.items():
                params = rows.of(u, name)
                chosen = any(fnmatchcase(name, pattern) for pattern in params["sensors"])
                if not chosen or sensor.frame in done or rig.frames[sensor.frame].parent is None:
                    continue
                done.add(sensor.frame)
                pose = rig.frames[sensor.frame].pose
                error = mounting_error(params)
                moved = (
                    pose.mapped(torch.eye(4, dtype=torch.float64), error)
                    if isinstance(pose, Trajectory)
                    else pose @ error
                )
                rig = rig.with_pose(sensor.frame, moved)
            sample = sample.with_unit(u, rig=rig)
        return sample


def mounting_error(params: Mapping[str, Any]) -> Tensor:
    """(4, 4) rigid transform of a ``Miscalibrate`` draw."""
    x, y, z = (torch.deg2rad(as_f64(params[f"{a}_deg"])) for a in "xyz")
    rotation = rotation_about("z", z) @ rotation_about("y", y) @ rotation_about("x", x)
    return se3(rotation, torch.stack([as_f64(params[a]) for a in "xyz"]))


__all__ = ["Miscalibrate", "mounting_error"]
