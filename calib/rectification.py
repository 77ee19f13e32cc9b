"""How a camera's picture is rectified: the fields R and P of a ROS calibration, and the lens behind a rectified one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calib.cameras import CameraModel, camera_from_dict, flip_u
from calib.errors import CalibrationError
from calib.replacing import replace_unchecked
from calib.se3 import as_f64

_MINUS_X = torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=torch.float64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Rectification:
    """The rectified picture of a camera, of a stereo pair for one, before anything was done to the pixels.

    A point X of the pair's first rectified camera is seen at ``dehom(P [X; 1])`` (sensor_msgs/CameraInfo).

    Attributes:
        R: (3, 3) float64, from the camera's frame to the rectified one.
        P: (3, 4) float64, pixels; its last column is -K c, with the camera at c (metres) in the frame of the first.
        raw: the lens of the raw picture, where the camera's own pixels are those of the rectified one; else None.
    """

    R: Tensor
    P: Tensor
    raw: CameraModel | None = None

    def __post_init__(self) -> None:
        for name, shape in (("R", (3, 3)), ("P", (3, 4))):
            value = as_f64(getattr(self, name))
            if tuple(value.shape) != shape or not bool(torch.isfinite(value).all()):
                raise CalibrationError(f"{name}: expected {shape[0]}x{shape[1]} finite numbers")
            object.__setattr__(self, name, value)

    @property
    def centre(self) -> Tensor:
        """(3,) metres: where the camera is in the frame of the pair's first."""
        centre: Tensor = -torch.linalg.solve(self.P[:, :3], self.P[:, 3])
        return centre

    @property
    def is_stereo(self) -> bool:
        """Whether the camera stands beside the first of a pair."""
        return bool((self.P[:, 3] != 0).any())

    def mirrored(self, width: int) -> Rectification:
        """Of the mirrored camera, of pictures of a width in pixels: R' = M R M, P' = F P M, with x -> -x as M."""
        M = _MINUS_X[:3]
        raw = None if self.raw is None else self.raw.mirrored()
        return replace_unchecked(self, R=M[:, None] * self.R * M, P=flip_u(width) @ self.P * _MINUS_X, raw=raw)

    def beside_as(self, other: Rectification) -> Rectification:
        """With the camera as far to the side as another: that of a pair whose cameras have swapped their names."""
        centre = torch.cat([other.centre[:1], self.centre[1:]])
        return replace_unchecked(self, P=torch.cat([self.P[:, :3], -(self.P[:, :3] @ centre)[:, None]], 1))

    def to_dict(self) -> dict[str, Any]:
        """A JSON- and YAML-able description that ``from_dict`` reads back exactly."""
        out: dict[str, Any] = {"R": self.R.tolist(), "P": self.P.tolist()}
        return out if self.raw is None else out | {"raw": self.raw.to_dict()}

    @classmethod
    def from_dict(cls, data: Any) -> Rectification:
        """Read what ``to_dict`` wrote.

        Raises:
            CalibrationError: a field is missing, unknown or has a wrong shape.
        """
        if not isinstance(data, Mapping) or not {"R", "P"} <= set(data) <= {"R", "P", "raw"}:
            raise CalibrationError("expected R, P and perhaps raw, a camera")
        raw = camera_from_dict(data["raw"]) if "raw" in data else None
        return cls(R=as_f64(data["R"]), P=as_f64(data["P"]), raw=raw)
