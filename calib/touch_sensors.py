"""The sensors of a hand: gels, pads of taxels, force and torque."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from torch import Tensor

from calib.errors import CalibrationError
from calib.figures import Figure, Pixels
from calib.gel import GelModel
from calib.replacing import replace_unchecked
from calib.se3 import as_f64, check_se3, rotation_from_quaternion, se3, unit_quaternions
from calib.sensor import Sensor

Row = Annotated[int, Figure(unit="", at_least=0)]


@dataclass(frozen=True, eq=False, kw_only=True)
class TactileSensor(Sensor):
    """A camera-based touch sensor. Its frame lies in the middle of the gel: x right, y down, z out of the device.

    Attributes:
        mm_per_pixel: millimetres of gel per pixel.
        size: (height, width) in pixels.
        gel: how it deforms and is lit; without it pictures cannot be rendered again.
        background: (H, W, 3) uint8, the picture without contact.
    """

    mm_per_pixel: Annotated[float, Figure(unit="millimetres", above=0)]
    size: tuple[Pixels, Pixels]
    gel: GelModel | None = None
    background: Tensor | None = None

    kind = "tactile"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.background is not None and tuple(self.background.shape) != (*self.size, 3):
            shape = tuple(self.background.shape)
            raise CalibrationError(f"background: shape {shape} is not that of a picture of size {tuple(self.size)}")

    def scaled(self, scale: float) -> TactileSensor:
        """The device in a world that is larger."""
        gel = None if self.gel is None else replace(self.gel, relaxation=self.gel.relaxation * scale)
        return replace_unchecked(self, mm_per_pixel=self.mm_per_pixel * scale, gel=gel)


@dataclass(frozen=True, eq=False, kw_only=True)
class TaxelSensor(Sensor):
    """A touch sensor of single elements.

    A skin whose elements lie on several links is a sensor for each of them, with its rows of the one message.

    Attributes:
        poses: (T, 4, 4) float64 ``T_frame_taxel``; z points out of the pad. None: only the readings hold them.
        rows: [start, stop] of the message's numbers that are this sensor's; None where all are.
    """

    poses: Tensor | None = None
    rows: tuple[Row, Row] | None = None

    kind = "taxels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows is not None and not self.rows[0] < self.rows[1]:
            raise CalibrationError(f"rows: expected [start, stop] with start below stop, got {list(self.rows)}")
        if self.poses is None:
            return
        poses = as_f64(self.poses)
        if poses.ndim == 2 and poses.shape[1] == 7:
            try:
                poses = se3(rotation_from_quaternion(unit_quaternions(poses[:, 3:])), poses[:, :3])
            except CalibrationError as error:
                raise CalibrationError(f"poses: {error}") from None
        if poses.ndim != 3 or tuple(poses.shape[1:]) != (4, 4):
            raise CalibrationError("poses: expected x y z and quaternion w x y z of every taxel")
        if self.rows is not None and self.rows[1] - self.rows[0] != len(poses):
            told = f"rows: {list(self.rows)} are {self.rows[1] - self.rows[0]} numbers"
            raise CalibrationError(f"{told}, but poses gives {len(poses)} taxels; there is one number for each")
        object.__setattr__(self, "poses", check_se3(poses, "poses"))

    def scaled(self, scale: float) -> TaxelSensor:
        """The pad in a world that is larger: its elements are further apart."""
        if self.poses is None:
            return self
        poses = self.poses.clone()
        poses[:, :3, 3] *= scale
        return replace_unchecked(self, poses=poses)


@dataclass(frozen=True, eq=False, kw_only=True)
class WrenchSensor(Sensor):
    """A force-torque sensor.

    Attributes:
        of: whose force it tells: what the "tool" does to the world, the sign in which joint efforts are ``J^T w``, or
            what the "environment" does to the tool, the opposite. None: not known, and taken for the tool's.
    """

    of: Literal["tool", "environment"] | None = None

    kind = "wrench"

    @property
    def sign(self) -> float:
        """1 where it tells what the tool does to the world, else -1."""
        return -1.0 if self.of == "environment" else 1.0
