"""Makes ``fusion_aug/physics/scattering.npz``: what drops and grains do to light and radar waves, by Mie theory.

    python tools/make_scattering.py [--check]      (extra ``dev``: miepython; some ten seconds)

Rain: Marshall-Palmer drops (N0 = 8000 /m^3/mm, Lambda = 4.1 R^-0.21 /mm) of water. Fog: the modified gamma distribution
of heavy advection fog (Shettle and Fenn 1979). Dust: a log-normal distribution of desert dust (d'Almeida 1991).
Refractive index of water: Hale and Querry 1973 for light, but at 1550 nm an absorption of 10 /cm (Kou et al. 1993); the
double-Debye model of ITU-R P.840 at 10 C for radar.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("MIEPYTHON_USE_JIT", "1")

import miepython

from fusion_aug.physics.microwave import water_permittivity

PATH = Path(__file__).resolve().parents[1] / "fusion_aug" / "physics" / "scattering.npz"
LIGHT = (550e-9, 905e-9, 1550e-9)  # metres
WATER = (1.333 - 1.96e-9j, 1.328 - 5.0e-7j, 1.318 - 1.2e-4j)
DUST = (1.53 - 0.0055j, 1.53 - 0.004j, 1.50 - 0.004j)
RADAR = (24e9, 77e9, 79e9)  # Hz
RATES = np.geomspace(0.1, 200.0, 34)  # mm/h
DROPS = np.geomspace(0.1, 8.0, 40)  # mm
FINE = 40  # drops computed for each tabled one: resonances are averaged out


def efficiencies(m: complex, diameter: np.ndarray, wavelength: float) -> tuple[np.ndarray, np.ndarray]:
    """Extinction and backscatter efficiencies of spheres (diameter in metres)."""
    x = np.ascontiguousarray(np.pi * diameter / wavelength)
    extinct, _, back, _ = miepython.efficiencies_mx(m, x)
    return np.asarray(extinct), np.asarray(back)


def rain_spectrum(rate: np.ndarray, diameter: np.ndarray) -> np.ndarray:
    """Marshall-Palmer drops per m^3 and mm of diameter (mm); rates in rows."""
    return 8000.0 * np.exp(-4.1 * rate[:, None] ** -0.21 * diameter[None])


def rain(m: complex, wavelength: float, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Extinction (1/m) and backscatter cross-section per volume (1/m) by rate, and backscatter efficiency by drop."""
    edges = np.geomspace(least, 8.0, 40 * FINE + 1)
    middle = np.sqrt(edges[1:] * edges[:-1])
    extinct, back = efficiencies(m, middle * 1e-3, wavelength)
    area = np.pi / 4 * (middle * 1e-3) ** 2
    number = rain_spectrum(RATES, middle) * np.diff(edges)
    smooth = np.convolve(np.pad(back, FINE, mode="edge"), np.ones(2 * FINE + 1) / (2 * FINE + 1), "valid")
    return number @ (extinct * area), number @ (back * area), np.interp(DROPS, middle, smooth)


def grains(m: complex, wavelength: float, radius: np.ndarray, number: np.ndarray) -> tuple[float, float]:
    """Extinction and backscatter cross-section per volume of spheres (radius in metres), up to a common factor."""
    extinct, back = efficiencies(m, 2 * radius, wavelength)
    weight = number * np.pi * radius**2 * np.gradient(radius)
    return float(weight @ extinct), float(weight @ back)


def tables() -> dict[str, np.ndarray]:
    """All tables by name."""
    out: dict[str, np.ndarray] = {
        "wavelength": np.array(LIGHT), "frequency": np.array(RADAR), "rain_rate": RATES, "drop_diameter": DROPS,
    }  # fmt: skip
    optical = [rain(m, w, 0.05) for m, w in zip(WATER, LIGHT, strict=True)]
    out["rain_extinction"] = np.array([o[0] for o in optical])
    out["rain_backscatter"] = np.array([o[1] for o in optical]) / (4 * np.pi)  # per steradian
    out["drop_backscatter"] = np.array([o[2] for o in optical])
    out["rain_reflectivity"] = np.array(
        [rain(np.sqrt(complex(water_permittivity(f, 10.0))), 299792458.0 / f, 0.05)[1] for f in RADAR]
    )
    r = np.linspace(0.1, 60, 3000) * 1e-6
    fog = [grains(m, w, r, (r * 1e6) ** 3 * np.exp(-0.3 * r * 1e6)) for m, w in zip(WATER, LIGHT, strict=True)]
    r = np.geomspace(0.05, 20, 3000) * 1e-6
    log_normal = np.exp(-0.5 * (np.log(r / 0.4e-6) / np.log(2.2)) ** 2) / r
    dust = [grains(m, w, r, log_normal) for m, w in zip(DUST, LIGHT, strict=True)]
    for name, pairs in (("fog", fog), ("dust", dust)):
        extinct, back = np.array(pairs).T
        out[f"{name}_ratio"] = extinct / extinct[0]  # of the extinction at 550 nm
        if name == "fog":  # grains of dust are no spheres: their backscatter is measured, not computed
            out["fog_lidar_ratio"] = extinct / (back / (4 * np.pi))  # steradian
    return out


def main() -> int:
    """Write the file, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 where a table differs by 0.1 %%")
    check = parser.parse_args().check
    made = tables()
    if not check:
        np.savez_compressed(PATH, **made)
        print(f"wrote {PATH.name}, {PATH.stat().st_size} bytes")
        return 0
    with np.load(PATH) as stored:
        off = [k for k, v in made.items() if not np.allclose(stored[k], v, rtol=1e-3)]
    print(f"differ: {', '.join(off)}" if off else "the tables are as made")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
