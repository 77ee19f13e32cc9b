"""Rain drops and snow flakes: size distribution, fall speed, extinction and backscatter.

Sizes ``D`` are diameters in mm, of the drop, or of the drop that a flake melts to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fusion_aug.physics.scattering import nearest, rain_table, tables

DB_PER_KM = math.log(10.0) / 1e4  # dB/km, one way, as extinction in 1/m
MAX_DROP = 6.0  # mm: larger ones break up


@dataclass(frozen=True)
class Particles:
    """An exponential size distribution: ``number * exp(-slope * D)`` particles per m^3 and mm.

    Attributes:
        rate: mm/h of water. number: /m^3/mm. slope: /mm.
        brightness: light of a particle against that of the air around it.
        fuzz: share of its width over which a particle's rim thins out.
    """

    rate: float
    number: float
    slope: float

    brightness: ClassVar[float] = 1.0
    fuzz: ClassVar[float] = 0.0

    def count_above(self, diameter: np.ndarray) -> np.ndarray:
        """Particles per m^3 (n,) that are larger than diameters (n,) in mm."""
        return self.number / self.slope * np.exp(-self.slope * np.asarray(diameter, float))

    def diameter_exceeded_by(self, count: np.ndarray) -> np.ndarray:
        """The diameter (n,), mm, that ``count`` particles per m^3 exceed; 0 where there are fewer, at most 6 mm."""
        found = -np.log(np.maximum(np.asarray(count, float), 1e-12) * self.slope / self.number) / self.slope
        return np.clip(found, 0.0, MAX_DROP)

    def width(self, diameter: np.ndarray) -> np.ndarray:
        """Width as light meets it, metres."""
        raise NotImplementedError

    def fall_speed(self, diameter: np.ndarray) -> np.ndarray:
        """Terminal speed, m/s."""
        raise NotImplementedError

    def extinction(self, wavelength: float) -> float:
        """1/m."""
        raise NotImplementedError

    def backscatter(self, diameter: np.ndarray, wavelength: float) -> np.ndarray:
        """Differential cross-section straight back of one particle, m^2/sr."""
        raise NotImplementedError


class Rain(Particles):
    """Marshall-Palmer 1948 drops."""

    brightness = 1.1  # a drop shows the sky upside down, and half of the ground (Garg and Nayar 2007)

    @staticmethod
    def of(rate: float) -> Rain:
        """Rain of ``rate`` mm/h."""
        return Rain(rate, 8000.0, 4.1 * rate**-0.21)

    def width(self, diameter: np.ndarray) -> np.ndarray:
        """Width (n,) of drops as light meets them, metres: the diameter (mm) times 1e-3."""
        return np.asarray(diameter) * 1e-3

    def fall_speed(self, diameter: np.ndarray) -> np.ndarray:
        """Atlas et al. 1973: 9.65 - 10.3 exp(-0.6 D)."""
        return np.maximum(9.65 - 10.3 * np.exp(-0.6 * np.asarray(diameter)), 0.1)

    def extinction(self, wavelength: float) -> float:
        """Mie theory, from the table."""
        return rain_table("rain_extinction", wavelength, self.rate)

    def backscatter(self, diameter: np.ndarray, wavelength: float) -> np.ndarray:
        """Mie theory with resonances averaged out."""
        table = tables()
        efficiency = np.interp(
            diameter, table["drop_diameter"], table["drop_backscatter"][nearest("wavelength", wavelength)]
        )
        return efficiency * np.pi / 4 * self.width(diameter) ** 2 / (4 * np.pi)


@dataclass(frozen=True)
class Snow(Particles):
    """Sekhon and Srivastava 1970 flakes, as many as give the extinction of ITU-R P.1814.

    Attributes:
        wet: whether the flakes melt.
    """

    wet: bool = False

    brightness = 1.1  # white, lit by an overcast sky that is brighter above than at the horizon, and by the ground
    fuzz = 0.7  # aggregates of crystals with air between them; our choice

    @staticmethod
    def of(rate: float, wet: bool = False) -> Snow:
        """Snowfall of ``rate`` mm/h water equivalent."""
        slope = 2.29 * rate**-0.45
        # extinction of flakes of width^2 = D^3 / 0.17 per particle: 2 pi/4 6 number / (0.17 slope^4) mm^2/m^3
        per_number = np.pi / 2 * 6 / (0.17 * slope**4) * 1e-6
        return Snow(rate, snow_extinction(rate, 550e-9, wet) / per_number, slope, wet)

    def width(self, diameter: np.ndarray) -> np.ndarray:
        """Flakes of density 0.17 g/cm^3 / width in mm (Holroyd 1971)."""
        return np.asarray(diameter) ** 1.5 / math.sqrt(0.17) * 1e-3

    def fall_speed(self, diameter: np.ndarray) -> np.ndarray:
        """Aggregates: 0.8 width^0.16 m/s, width in mm (Locatelli and Hobbs 1974); wet ones fall twice as fast."""
        return (1.6 if self.wet else 0.8) * np.maximum(self.width(diameter) * 1e3, 1e-3) ** 0.16

    def extinction(self, wavelength: float) -> float:
        """ITU-R P.1814."""
        return snow_extinction(self.rate, wavelength, self.wet)

    def backscatter(self, diameter: np.ndarray, wavelength: float) -> np.ndarray:
        """A rough white disc, albedo/pi of its area, 2/3 of that for flakes at any angle; ice is dark at 1550 nm."""
        albedo = 0.9 if wavelength < 1.2e-6 else 0.3
        return albedo / np.pi * (2 / 3) * np.pi / 4 * self.width(diameter) ** 2


def snow_extinction(rate: float, wavelength: float, wet: bool = False) -> float:
    """Extinction of snow, 1/m: a S^b dB/km (ITU-R P.1814), rate S in mm/h of water, wavelength in m."""
    if rate <= 0:
        return 0.0
    nm = wavelength * 1e9
    a, b = (1.023e-4 * nm + 3.7855466, 0.72) if wet else (5.42e-5 * nm + 5.4958776, 1.38)
    return a * rate**b * DB_PER_KM
