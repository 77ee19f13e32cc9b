"""Scanning LiDARs: what the device is, and what its receiver detects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from calib.errors import CalibrationError
from calib.figures import Figure
from calib.replacing import replace_unchecked
from calib.sensor import Sensor

Metres = Annotated[float, Figure(unit="metres", above=0)]
Angle = Annotated[float, Figure(unit="radians", above=0, at_most=math.pi)]
Share = Annotated[float, Figure(unit="", at_least=0, at_most=1)]


@dataclass(frozen=True, eq=False, kw_only=True)
class LidarSensor(Sensor):
    """A scanning LiDAR. ``calib.lidar_models`` knows the figures of some devices by name.

    Attributes:
        wavelength: metres (905e-9, 1550e-9).
        divergence: full beam divergence, radians.
        elevations: elevation of every ring, radians, by ring number.
        intensity_scale: the largest intensity a return can have in this sensor's files (1, 255, 65535); None where it
            is not known: what needs it asks for it.
        intensity_levels: whole steps that this scale has; None where intensities are not rounded.
        white: share of that scale which a white Lambertian target has; retroreflectors have more.
        least_reflectivity: of a target that was measured, whatever its intensity says, 1 for a white one.
        noise_floor: smallest return that is still detected far away, as a share of a white Lambertian target at 1 m.
            The default sees 10 % of reflectivity at 58 m.
        near_floor: reflectivity of the darkest target that is detected near the sensor, where the threshold is raised
            against stray light: it follows the return of such a target down to the noise floor.
        pulse: length of a pulse, seconds.
        near_range: metres up to which the receiver holds its gain back, so that nothing returns more than from there.
        echo: which return a beam reports: "strongest" or "last".
        min_range, max_range: metres. spin: +1 counter-clockwise seen from above, -1 clockwise.
    """

    wavelength: Annotated[float, Figure(unit="metres", at_least=1e-7, at_most=1e-4)] = 905e-9
    divergence: Angle = 3e-3
    elevations: tuple[Annotated[float, Figure(unit="radians", at_least=-math.pi / 2, at_most=math.pi / 2)], ...] = ()
    intensity_scale: Annotated[float, Figure(unit="", above=0)] | None = None
    intensity_levels: Annotated[float, Figure(unit="", at_least=1, at_most=65535)] | None = None
    white: Annotated[float, Figure(unit="", above=0, at_most=1)] = 100 / 255
    least_reflectivity: Share = 0.05
    noise_floor: Annotated[float, Figure(unit="", above=0, at_most=1)] = 3e-5
    near_floor: Share = 0.0
    pulse: Annotated[float, Figure(unit="seconds", above=0, at_most=1e-3)] = 5e-9
    near_range: Metres = 8.0
    echo: Literal["strongest", "last"] = "strongest"
    min_range: Annotated[float, Figure(unit="metres", at_least=0)] = 0.0
    max_range: Metres = 250.0
    spin: Literal[-1, 1] = -1

    kind = "lidar"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_range > self.max_range:
            raise CalibrationError(f"min_range: {self.min_range:g} m is more than max_range, {self.max_range:g} m")

    @property
    def scale(self) -> float:
        """The scale of its intensities.

        Raises:
            CalibrationError: it is not known.
        """
        if self.intensity_scale is None:
            raise CalibrationError(f"intensity_scale: is not known of the LiDAR at {self.frame!r}")
        return float(self.intensity_scale)

    def mirrored(self) -> LidarSensor:
        """Azimuths, and with them the sense of rotation, are reversed."""
        return replace_unchecked(self, spin=-self.spin)
