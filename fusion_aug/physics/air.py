"""The state of the air, and the extinction and backscatter of light of any wavelength."""

from __future__ import annotations

import math
from dataclasses import dataclass

from fusion_aug.physics.precipitation import Particles, Rain, Snow
from fusion_aug.physics.scattering import nearest, tables

KOSCHMIEDER = math.log(50.0)  # 2 % contrast
WMO = math.log(20.0)  # 5 % of a beam
DUST_LIDAR_RATIO = 45.0  # sr, desert dust: Mattis et al. 2002, Tesche et al. 2009


def extinction_of_mor(mor: float) -> float:
    """Extinction, 1/m, of a meteorological optical range in metres: ln 20 / MOR (WMO, CIE)."""
    return WMO / mor


def extinction_of_visual_range(visual_range: float) -> float:
    """Extinction, 1/m, of Koschmieder's visual range in metres, at 2 % contrast: ln 50 / V (AMS Glossary)."""
    return KOSCHMIEDER / visual_range


@dataclass(frozen=True)
class Atmosphere:
    """One state of the air, the same for all sensors.

    Attributes:
        fog: extinction of fog droplets at 550 nm, 1/m.
        dust: extinction of dust at 550 nm, 1/m.
        rain_rate: mm/h.
        snow_rate: mm/h of water. wet_snow: whether it melts.
        patchiness: share by which fog and dust vary from place to place, 0 (even) to 1.
        temperature: degrees Celsius.
        wind: (x, y) m/s in the world, where it blows to.
        lidar_ratio: extinction over backscatter of fog, sr: 18 to 20 at 905 nm, 19 to 22 at 1550 nm by Mie theory.
    """

    fog: float = 0.0
    dust: float = 0.0
    rain_rate: float = 0.0
    snow_rate: float = 0.0
    wet_snow: bool = False
    patchiness: float = 0.0
    temperature: float = 10.0
    wind: tuple[float, float] = (0.0, 0.0)
    lidar_ratio: float = 19.0

    @property
    def is_clear(self) -> bool:
        """Whether it holds no fog, dust, rain or snow."""
        return self.fog == self.dust == self.rain_rate == self.snow_rate == 0

    def particles(self) -> list[Particles]:
        """Size distributions of the rain and snow that fall."""
        rain = [Rain.of(self.rain_rate)] if self.rain_rate > 0 else []
        return [*rain, Snow.of(self.snow_rate, self.wet_snow)] if self.snow_rate > 0 else [*rain]

    def suspended_optics(self, wavelength: float) -> tuple[float, float]:
        """Extinction (1/m) and backscatter (1/m/sr) of fog and dust at a wavelength in metres."""
        place = nearest("wavelength", wavelength)
        fog = self.fog * fog_ratio(self.fog, wavelength)
        dust = self.dust * float(tables()["dust_ratio"][place])
        return fog + dust, fog / self.lidar_ratio + dust / DUST_LIDAR_RATIO

    def falling_extinction(self, wavelength: float) -> float:
        """Extinction (1/m) of rain and snow at a wavelength in metres."""
        return sum(p.extinction(wavelength) for p in self.particles())

    def extinction(self, wavelength: float) -> float:
        """Extinction of all of it, 1/m, at a wavelength in metres."""
        return self.suspended_optics(wavelength)[0] + self.falling_extinction(wavelength)


def fog_ratio(extinction: float, wavelength: float) -> float:
    """Extinction of fog or haze at a wavelength over that at 550 nm.

    Flat in fog (Mie theory; Kruse's formula is wrong there), Kim's model (Kim, McArthur, Korevaar 2001) in haze from
    MOR 1 km on, and on a line between.
    """
    flat = float(tables()["fog_ratio"][nearest("wavelength", wavelength)])
    if extinction <= 0:
        return flat
    km = WMO / extinction * 1e-3
    if km <= 0.5:
        return flat
    q = 1.6 if km > 50 else 1.3 if km > 6 else 0.16 * km + 0.34 if km > 1 else km - 0.5
    kim = (wavelength / 550e-9) ** -q
    return float(kim * (flat + (1 - flat) * min(1.0, (km - 0.5) / 0.5)))
