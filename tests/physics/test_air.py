"""The numbers of the air against the literature and against independent codes."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from places import REPOSITORY

from fusion_aug.physics import microwave
from fusion_aug.physics.air import Atmosphere, extinction_of_mor, extinction_of_visual_range, fog_ratio
from fusion_aug.physics.ground import AIR, WATER, fit_ground, fresnel, wet_return, wet_surface
from fusion_aug.physics.precipitation import Rain, Snow, snow_extinction
from fusion_aug.physics.scattering import rain_table, tables

RATES = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0)


@pytest.mark.quick
def test_extinction_of_mor_and_visual_range() -> None:
    published = {50: 0.05991, 100: 0.02996, 150: 0.01997, 200: 0.01498, 600: 0.00499}
    for mor, extinction in published.items():
        assert round(extinction_of_mor(mor), 5) == extinction
        assert math.exp(-extinction_of_mor(mor) * mor) == pytest.approx(0.05, abs=1e-12)
    assert math.exp(-extinction_of_visual_range(200.0) * 200.0) == pytest.approx(0.02, abs=1e-12)


def test_fog_is_flat_in_wavelength_and_haze_is_not() -> None:
    for mor in (30, 100, 300, 500):
        assert 1.01 <= fog_ratio(extinction_of_mor(mor), 905e-9) <= 1.03
        assert 1.02 <= fog_ratio(extinction_of_mor(mor), 1550e-9) <= 1.08
    for km, near, far in ((1.0, 0.78, 0.596), (2.0, 0.72, 0.505), (6.001, 0.523, 0.26)):
        assert fog_ratio(extinction_of_mor(km * 1e3), 905e-9) == pytest.approx(near, abs=5e-3)
        assert fog_ratio(extinction_of_mor(km * 1e3), 1550e-9) == pytest.approx(far, abs=5e-3)
    # thinner air never extinguishes more, through all the models
    extinction = np.geomspace(1e-5, 0.2, 300)
    for wavelength in (905e-9, 1550e-9):
        assert (np.diff([e * fog_ratio(e, wavelength) for e in extinction]) > 0).all()


def test_lidar_ratio_of_fog() -> None:
    for wavelength, low, high in ((905e-9, 18, 20), (1550e-9, 19, 22)):
        extinction, back = Atmosphere(fog=extinction_of_mor(80)).suspended_optics(wavelength)
        assert low <= extinction / back <= high
        place = int(np.abs(tables()["wavelength"] - wavelength).argmin())
        assert low <= tables()["fog_lidar_ratio"][place] <= high


@pytest.mark.quick
def test_rain_extinction_and_backscatter() -> None:
    near = {1: 3.670e-4, 2.5: 6.533e-4, 5: 1.010e-3, 10: 1.563e-3, 25: 2.782e-3, 50: 4.304e-3, 100: 6.659e-3}
    for rate, extinction in near.items():
        assert Rain.of(rate).extinction(905e-9) == pytest.approx(extinction, rel=0.02)
    for rate, extinction in {1: 3.681e-4, 2.5: 6.549e-4, 5: 1.013e-3, 10: 1.566e-3}.items():
        assert Rain.of(rate).extinction(1550e-9) == pytest.approx(extinction, rel=0.02)
    for rate, back in {1: 6.5e-5, 5: 2.03e-4, 10: 3.29e-4, 50: 1.01e-3, 100: 1.63e-3}.items():
        assert rain_table("rain_backscatter", 905e-9, rate) == pytest.approx(back, rel=0.05)
        ratio = rain_table("rain_backscatter", 905e-9, rate) / rain_table("rain_backscatter", 1550e-9, rate)
        assert 40 <= ratio <= 200


def test_distributions_hold_the_extinction_they_claim() -> None:
    """Geometric optics: twice the shadows of all drops or flakes."""
    size = np.linspace(0.0, 40.0, 400001)
    for particles in (Rain.of(10.0), Snow.of(1.0), Snow.of(3.0, wet=True)):
        number = particles.number * np.exp(-particles.slope * size)
        shadow = np.trapezoid(number * np.pi / 4 * particles.width(size) ** 2, size)
        assert 2 * shadow == pytest.approx(particles.extinction(550e-9), rel=0.03)


def test_largest_particles_come_first() -> None:
    rain = Rain.of(10.0)
    number = np.array([1.0, 10.0, 100.0])
    assert np.allclose(rain.count_above(rain.diameter_exceeded_by(number)), number, rtol=1e-9)


def test_snow_extinction() -> None:
    for rate, extinction in {0.5: 4.9e-4, 1: 1.277e-3, 1.5: 2.234e-3, 2.5: 4.521e-3, 5: 1.177e-2}.items():
        assert snow_extinction(rate, 905e-9) == pytest.approx(extinction, rel=2e-3)


@pytest.mark.quick
def test_p838_table() -> None:
    published = {24: (0.14250, 1.01011, 0.14044, 0.95609), 60: (0.86061, 0.76563, 0.85152, 0.74856),
            77: (1.13197, 0.71768, 1.12762, 0.70729), 79: (1.15791, 0.71350, 1.15406, 0.70376)}  # fmt: skip
    for ghz, numbers in published.items():
        found = (*microwave.rain_coefficients(ghz * 1e9, "H"), *microwave.rain_coefficients(ghz * 1e9, "V"))
        assert np.allclose(found, numbers, atol=1e-4, rtol=0)
    for rate, loss in zip(RATES, (1.132, 3.593, 5.909, 11.405, 18.757, 30.846), strict=True):
        assert microwave.rain_attenuation(77e9, rate) == pytest.approx(loss, abs=1e-3)


def test_rain_clutter() -> None:
    for ghz, published in (
        (77, (-39.8, -34.1, -31.9, -29.4, -27.6, -25.9)),
        (24, (-53.6, -43.2, -39.0, -33.9, -30.4, -27.1)),
    ):
        found = [10 * math.log10(microwave.rain_reflectivity(ghz * 1e9, r)) for r in RATES]
        assert np.allclose(found, published, atol=0.5)


def test_fog_hardly_touches_radar() -> None:
    for celsius, published in {0: 3.537, 10: 3.147, 20: 2.713}.items():
        assert microwave.fog_coefficient(77e9, celsius) == pytest.approx(published, abs=2e-3)
    for mor, water in {50: 0.37, 100: 0.17, 200: 0.08, 500: 0.03}.items():
        assert microwave.liquid_water(extinction_of_mor(mor)) == pytest.approx(water, rel=0.05)

    def loss(celsius: float) -> float:
        water = microwave.liquid_water(extinction_of_mor(50))
        return 2 * 0.05 * microwave.fog_coefficient(77e9, celsius) * water

    assert loss(10.0) <= 0.12
    assert max(loss(c) for c in range(-40, 41)) <= 0.14


def test_attenuation_against_itur() -> None:
    pytest.importorskip("itur", reason="itur (extra dev) is not installed")
    from itur.models import itu838, itu840

    for ghz in (10.0, 24.0, 60.0, 77.0, 79.0, 94.0):
        for polarization, tilt in (("H", 0.0), ("V", 90.0)):
            theirs = itu838.rain_specific_attenuation(12.0, ghz, 0.0, tilt).value
            assert microwave.rain_attenuation(ghz * 1e9, 12.0, polarization) == pytest.approx(theirs, rel=1e-4)
        for celsius in (-8.0, 0.0, 10.0, 20.0):
            theirs = float(itu840.specific_attenuation_coefficients(ghz, celsius))
            assert microwave.fog_coefficient(ghz * 1e9, celsius) == pytest.approx(theirs, rel=0.02)


def test_a_slice_of_the_tables_is_made_again() -> None:
    pytest.importorskip("miepython", reason="miepython (extra dev) is not installed")
    script = REPOSITORY / "tools" / "make_scattering.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (REPOSITORY / "fusion_aug" / "physics" / "scattering.npz").stat().st_size < 50_000
    assert set(tables()) >= {"rain_extinction", "rain_backscatter", "rain_reflectivity", "fog_ratio"}


@pytest.mark.quick
def test_fresnel_and_wet_ground() -> None:
    assert float(fresnel(np.ones(1), AIR, WATER)[0]) == pytest.approx(((WATER - AIR) / (WATER + AIR)) ** 2, rel=1e-9)
    assert float(fresnel(np.zeros(1), AIR, WATER)[0]) == pytest.approx(1.0)
    cosine = np.linspace(0.02, 1.0, 50)
    assert (np.diff(wet_return(cosine, 1.2)) > 0).all()  # it falls with the grazing angle
    assert (wet_return(cosine, 0.0) == 1.0).all()
    assert (wet_return(cosine, 1.0) < wet_return(cosine, 0.2)).all()


@pytest.mark.quick
def test_wet_surfaces_give_back_less_at_grazing_angles() -> None:
    cosine = np.linspace(0.02, 1.0, 50)
    assert (np.diff(wet_surface(1.0, cosine)) > 0).all() and (wet_surface(0.0, cosine) == 1.0).all()
    # straight: two crossings of the water's surface, pores of 0.6, and a solid angle wider by the index squared
    assert float(wet_surface(1.0)) == pytest.approx(0.98**2 * 0.6 / 1.33**2, rel=0.02)
    assert np.allclose(wet_surface(0.5, cosine), (1 + wet_surface(1.0, cosine)) / 2)


def test_ground_plane_is_found_among_objects() -> None:
    rng = np.random.default_rng(0)
    xy = rng.uniform(-30, 30, (6000, 2))
    slope = np.array([0.02, -0.03])
    ground = np.column_stack([xy, xy @ slope - 1.7 + rng.normal(0, 0.02, len(xy))])
    things = np.column_stack([rng.uniform(-30, 30, (3000, 2)), rng.uniform(-1.5, 4, 3000)])
    plane = fit_ground(np.concatenate([ground, things, [[np.nan] * 3]]))
    assert plane is not None
    normal = np.array([-0.02, 0.03, 1.0]) / np.linalg.norm([-0.02, 0.03, 1.0])
    assert np.degrees(np.arccos(plane[:3] @ normal)) < 0.2
    assert abs(plane[3] - 1.7) < 0.02
    assert fit_ground(ground[:20]) is None


@pytest.mark.quick
def test_air_adds_up() -> None:
    both = Atmosphere(fog=0.01, rain_rate=10.0, snow_rate=1.0)
    alone = (Atmosphere(fog=0.01), Atmosphere(rain_rate=10.0), Atmosphere(snow_rate=1.0))
    for wavelength in (550e-9, 905e-9, 1550e-9):
        assert both.extinction(wavelength) == pytest.approx(sum(a.extinction(wavelength) for a in alone), rel=1e-12)
    assert Atmosphere().extinction(905e-9) == 0 and Atmosphere().is_clear
