"""Light of the day that is asked for: overcast skies, shadows, the sun."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from places import DRIVE
from weathers import params_of

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.errors import ConfigError
from fusion_aug.ops.illumination import Sunlight, Surfaces, log_shade
from fusion_aug.physics.overcast import irradiance, radiance
from fusion_aug.transforms.weather.light import sunlight
from fusion_aug.transforms.weather.place import T_world, T_world_ref, to_sun_in_world
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

UP = np.array([0, 0, 1.0])


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    sample = fa.open_log("nuscenes", DRIVE)[7]
    keep = ("CAM_FRONT", "CAM_FRONT/depth", "LIDAR_TOP", "ego", "boxes")
    return sample.with_streams({n: sample[n] for n in keep})


def test_an_overcast_sky_is_that_of_the_cie() -> None:
    """Zenith over horizon 3, a wall gets 0.396 of what level ground does, and the sky lights what is white to 1."""
    assert radiance(1.0) == pytest.approx(3 * radiance(0.0))
    assert irradiance(np.array([1.0, 0.0, -1.0])) == pytest.approx([1.0, 0.396, 0.0], abs=1e-3)
    sine = (np.arange(10000) + 0.5) / 10000
    assert 2 * np.mean(radiance(sine) * sine) == pytest.approx(1.0, abs=1e-6)


def test_light_of_the_made_street_without_the_sun() -> None:
    from fusion_aug.synth.daylight import LIGHTS, OVERCAST

    up = np.array([[0.0, 0.0, 1.0]])
    assert LIGHTS["overcast"].sunny == 0.0
    assert LIGHTS["overcast"].from_sky(up)[0] == pytest.approx(OVERCAST)


def test_a_bluish_edge_is_a_shadow_and_a_grey_one_is_paint() -> None:
    """The right half of grey ground lies in a shadow, or is painted as dark."""
    steps = []
    v, u = np.mgrid[0:200, 0:400]
    rays = np.dstack([np.ones((200, 400)), (200 - u) / 300, -(v + 30) / 300])  # x forward, from 1.6 m above the ground
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    distance = 1.6 / -rays[..., 2]
    for bluer in (0.12, 0.0):
        light = np.full((200, 400, 3), 0.2)
        light[:, 200:] *= 0.4 * np.exp(np.array([-bluer, 0.0, bluer]))
        levels = np.round(255 * light ** (1 / 2.2)).astype(np.uint8)
        seen = Surfaces.of(levels, *(x.astype(np.float32) for x in (distance, rays)), UP, 3000.0)
        lit = log_shade(seen, Sunlight.of([seen], UP))
        steps.append(float(lit[:, 40:160].mean() - lit[:, 240:360].mean()))
    shadow, paint = steps
    assert shadow > 0.45 * np.log(1 / 0.4)  # a shadow over half of what is seen is taken for dark ground in part
    assert paint < 0.4 * shadow


def test_all_pictures_of_a_sample_tell_the_side_of_the_sun() -> None:
    """Within 70 degrees: house fronts along a street face two ways only. Every picture uses what the others show."""
    from fusion_aug.synth.town import SUN

    sample = fa.open_log("nuscenes", DRIVE)[7]
    sample = sample.with_streams({n: s for n, s in sample.streams.items() if not n.startswith("FISHEYE")})
    views = [WeatherView(call_for(sample, name, {}), 0) for name in ("CAM_FRONT", "CAM_BACK_LEFT")]
    sides = [sunlight(view).side for view in views]
    assert np.allclose(*sides) and 0.1 < np.linalg.norm(sides[0]) < 2
    side = (T_world_ref(sample, 0)[:3, :3] @ sides[0])[:2]
    assert side @ SUN[:2] > 0.34 * np.linalg.norm(side) * np.linalg.norm(SUN[:2])


def test_skies_turn_grey_in_fog_rain_and_snow(street: fa.Sample) -> None:
    before = street["CAM_FRONT"].image(0).float()  # type: ignore[attr-defined]
    sky = torch.isinf(street["CAM_FRONT/depth"].image(0))  # type: ignore[attr-defined]
    blue = (before[..., 2] - before[..., 0])[sky].mean()
    assert blue > 30
    for weather in (fa.Fog(mor=400.0), fa.Rain(rain_rate=2.0), fa.Snow(snow_rate=0.5), fa.Weather(overcast=1.0)):
        after = weather(street, seed=1)["CAM_FRONT"].image(0).float()  # type: ignore[attr-defined]
        assert (after[..., 2] - after[..., 0])[sky].mean() < 0.35 * blue, type(weather).__name__


def test_overcast_grows_with_the_air_and_can_be_given(street: fa.Sample) -> None:
    rates = [WeatherState.of(params_of(fa.Rain(rain_rate=r), street)).light.overcast for r in (0.0, 0.01, 1.0, 20.0)]
    assert rates[0] == 0 and rates == sorted(rates) and rates[1] < 0.05 and rates[3] > 0.99
    assert WeatherState.of(params_of(fa.Rain(rain_rate=20.0, overcast=0.0), street)).light.overcast == 0
    assert fa.Weather(overcast=0.0)(street, seed=1)["CAM_FRONT"] is street["CAM_FRONT"]


def test_the_sun_is_half_a_degree_wide_and_hidden_by_what_stands_before_it(street: fa.Sample) -> None:
    T = T_world(street, 0, "CAM_FRONT", int(street["CAM_FRONT"].capture_times[0]))
    azimuth = float(np.degrees(np.arctan2(T[1, 2], T[0, 2])))
    sun = fa.SunGlare(sun=500.0, sun_azimuth_deg=azimuth, sun_elevation_deg=5.0)
    dark = replace(street["CAM_FRONT"], items=(torch.full((396, 704, 3), 30, dtype=torch.uint8),))
    shown = {}
    for name, far in (("sky", torch.inf), ("wall", 30.0)):
        depth = replace(street["CAM_FRONT/depth"], items=(torch.full((396, 704), far),))
        sample = street.with_streams({**street.streams, "CAM_FRONT": dark, "CAM_FRONT/depth": depth})
        shown[name] = sun(sample, seed=1)["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
    assert torch.equal(shown["wall"], dark.image(0))  # type: ignore[attr-defined]
    view = WeatherView(call_for(street, "CAM_FRONT", {}), 0)
    white = float((shown["sky"].float().amin(2) > 250).sum())
    assert 2 * np.degrees(np.sqrt(white / np.pi) / view.focal) == pytest.approx(0.53, abs=0.15)


def test_the_sun_can_follow_the_vehicle(street: fa.Sample) -> None:
    params = params_of(fa.SunGlare(sun_azimuth_deg=30.0, sun_elevation_deg=0.0, sun_azimuth_from="vehicle"), street)
    to_sun = to_sun_in_world(street, 0, WeatherState.of(params))
    forward = T_world(street, 0, "ego", int(street["ego"].capture_times[street.key_item("ego")]))[:3, 0]
    assert np.degrees(np.arccos(to_sun[:2] @ forward[:2] / np.linalg.norm(forward[:2]))) == pytest.approx(30.0, abs=0.5)
    with pytest.raises(ConfigError, match=r"sun_azimuth_from: expected world or vehicle, got 'north'"):
        fa.SunGlare(sun_azimuth_from="north")


@pytest.mark.parametrize(
    "weather",
    [fa.Weather(overcast=1.0, snow_cover=0.5), fa.SunGlare(sun_azimuth_deg=0.0, sun_elevation_deg=15.0), fa.Night()],
)
def test_a_moved_scene_without_a_world_has_the_same_weather(real_data: Path, weather: fa.Weather) -> None:
    sample = fa.Resize(size=(94, 310))(fa.open_log("kitti", real_data / "kitti")[0], seed=0)
    moved = fa.TranslateScene(x=3.0, z=1.0)(fa.RotateScene(yaw_deg=40.0, pitch_deg=10.0)(sample, seed=0), seed=0)
    a, b = (weather(s, seed=1)["image_2"].image(0).int() for s in (sample, moved))  # type: ignore[attr-defined]
    assert int((a - b).abs().max()) <= 2
    assert int((a - sample["image_2"].image(0)).abs().max()) > 20  # type: ignore[attr-defined]
