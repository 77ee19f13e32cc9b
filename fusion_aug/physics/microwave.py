"""Radar waves in rain and fog: attenuation by ITU-R P.838-3 and P.840-8, and the clutter of rain.

Attenuations are one way unless said otherwise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fusion_aug.physics.scattering import rain_table


class _Bells(NamedTuple):
    """Coefficients of ITU-R P.838-3: a sum of Gaussian bells in log10 of the frequency, and a line."""

    a: tuple[float, ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    slope: float
    offset: float

    def at(self, frequency: float) -> float:
        x = math.log10(frequency * 1e-9)
        bells = (a * math.exp(-(((x - b) / c) ** 2)) for a, b, c in zip(self.a, self.b, self.c, strict=True))
        return sum(bells) + self.slope * x + self.offset


# ITU-R P.838-3, tables 1 to 4
_K = {
    "H": _Bells((-5.33980, -0.35351, -0.23789, -0.94158), (-0.10008, 1.26970, 0.86036, 0.64552),
                (1.13098, 0.45400, 0.15354, 0.16817), -0.18961, 0.71147),
    "V": _Bells((-3.80595, -3.44965, -0.39902, 0.50167), (0.56934, -0.22911, 0.73042, 1.07319),
                (0.81061, 0.51059, 0.11899, 0.27195), -0.16398, 0.63297),
}  # fmt: skip
_ALPHA = {
    "H": _Bells((-0.14318, 0.29591, 0.32177, -5.37610, 16.1721), (1.82442, 0.77564, 0.63773, -0.96230, -3.29980),
                (-0.55187, 0.19822, 0.13164, 1.47828, 3.43990), 0.67849, -1.95537),
    "V": _Bells((-0.07771, 0.56727, -0.20238, -48.2991, 48.5833), (2.33840, 0.95545, 1.14520, 0.791669, 0.791459),
                (-0.76284, 0.54039, 0.26809, 0.116226, 0.116479), -0.053739, 0.83433),
}  # fmt: skip


def rain_coefficients(frequency: float, polarization: str = "H") -> tuple[float, float]:
    """k and alpha of ITU-R P.838-3 for a horizontal path, frequency in Hz from 1 to 1000 GHz."""
    return 10 ** _K[polarization].at(frequency), _ALPHA[polarization].at(frequency)


def rain_attenuation(frequency: float, rate: float, polarization: str = "H") -> float:
    """Specific attenuation of rain, dB/km one way: gamma = k R^alpha (ITU-R P.838-3).

    Args:
        frequency: Hz. rate: mm/h. polarization: "H" or "V".
    """
    k, alpha = rain_coefficients(frequency, polarization)
    return k * rate**alpha if rate > 0 else 0.0


def water_permittivity(frequency: float, celsius: float) -> complex:
    """Relative permittivity of liquid water, eps' - i eps'': the double-Debye model of ITU-R P.840-8."""
    theta, f = 300.0 / (celsius + 273.15), frequency * 1e-9
    eps0 = 77.66 + 103.3 * (theta - 1)
    eps1, eps2 = 0.0671 * eps0, 3.52
    first = 20.20 - 146 * (theta - 1) + 316 * (theta - 1) ** 2
    second = 39.8 * first
    real = (eps0 - eps1) / (1 + (f / first) ** 2) + (eps1 - eps2) / (1 + (f / second) ** 2) + eps2
    lost = f * (eps0 - eps1) / (first * (1 + (f / first) ** 2)) + f * (eps1 - eps2) / (second * (1 + (f / second) ** 2))
    return complex(real, -lost)


def fog_coefficient(frequency: float, celsius: float) -> float:
    """Specific attenuation of fog per liquid water, dB/km per g/m^3 one way (ITU-R P.840-8)."""
    eps = water_permittivity(frequency, celsius)
    lost = -eps.imag
    eta = (2 + eps.real) / lost
    return 0.819 * frequency * 1e-9 / (lost * (1 + eta**2))


def liquid_water(extinction: float) -> float:
    """Liquid water of a fog, g/m^3, from its extinction at 550 nm (1/m): 0.37 (50 m / MOR)^1.1.

    A fit to 0.37, 0.17, 0.08 and 0.03 g/m^3 at MOR 50, 100, 200 and 500 m.
    """
    return 0.37 * (extinction * 50.0 / math.log(20.0)) ** 1.1


def rain_reflectivity(frequency: float, rate: float) -> float:
    """Radar cross-section of rain per volume, m^2/m^3: Mie scattering by Marshall-Palmer drops at 10 C.

    The nearest of 24, 77 and 79 GHz is taken. Rayleigh's formula is 5 to 20 dB too high at 77 GHz.
    """
    return rain_table("rain_reflectivity", frequency, rate)


def radome_film(rate: float) -> float:
    """Thickness of the water running down a radome, mm, by rain rate (mm/h): a film in laminar flow (Gibble 1964)."""
    radius, viscosity, gravity = 0.05, 1.0e-6, 9.81  # m, m^2/s, m/s^2
    return 1e3 * (3 * viscosity * radius * rate / 3.6e6 / (2 * gravity)) ** (1 / 3)


def radome_loss(frequency: float, film: float) -> float:
    """Loss of a wet radome for the way out and back, dB: 6 dB per mm of film at 77 GHz, in proportion to frequency."""
    return 6.0 * film * frequency / 77e9


def clutter_volume(distance: np.ndarray, range_resolution: float, azimuth: float, elevation: float) -> np.ndarray:
    """Volume of a radar's resolution cells, m^3: pi/4 of the beam's section times the resolution (Gaussian beams)."""
    return np.pi / 4 * azimuth * elevation * distance**2 * range_resolution / (2 * math.log(2))


__all__ = [
    "clutter_volume", "fog_coefficient", "liquid_water", "radome_film", "radome_loss", "rain_attenuation",
    "rain_coefficients", "rain_reflectivity", "water_permittivity",
]  # fmt: skip
