"""Weather in pictures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from places import DRIVE
from weathers import params_of, picture_of

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.physics.air import extinction_of_mor
from fusion_aug.transforms.weather.camera import apply_airlight
from fusion_aug.transforms.weather.light import air_at
from fusion_aug.transforms.weather.place import T_world
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    return fa.open_log("nuscenes", DRIVE)[7]


def test_fog_is_koschmieder_by_true_range(street: fa.Sample) -> None:
    sample = street
    params = params_of(fa.Fog(mor=120.0, airlight=0.8), sample)
    for camera in ("CAM_FRONT", "FISHEYE_FRONT"):
        view = WeatherView(call_for(sample, camera, params), 0)
        before, state = sample[camera].image(0).numpy(), WeatherState.of(params)  # type: ignore[attr-defined]
        after = apply_airlight(before, view, state, state.airlight)
        depth = sample[f"{camera}/depth"]
        z = depth.image(0).double()  # type: ignore[attr-defined]
        height, width = z.shape
        v, u = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
        ray = sample.rig.camera(camera).unproject(torch.stack([u, v], -1))
        far = (z / ray[..., 2] if depth.measure == "z" else z).numpy()  # type: ignore[attr-defined]
        known = np.isfinite(ray.numpy()).all(-1) & (far > 0)
        t = np.exp(-extinction_of_mor(120.0) * far)[..., None]
        air = air_at(state, state.airlight, ray.nan_to_num(0.0).numpy() @ view.T_world[2, :3])
        expected = before * t + air * 255 * (1 - t)
        assert np.abs(after - expected)[known].max() <= 1.6  # the air is drawn in whole levels too, before it is mixed


@pytest.mark.parametrize("weather", [
    fa.Fog(mor=60.0), fa.Rain(rain_rate=30.0), fa.Snow(snow_rate=3.0, snow_cover=0.5), fa.Night(illuminance=2.0),
    fa.SunGlare(sun=1e5, sun_azimuth_deg=0.0), fa.WetRoad(water_film=1.0),
], ids=lambda w: type(w).__name__)  # fmt: skip
def test_float_pictures_agree_with_levels(street: fa.Sample, weather: fa.Weather) -> None:
    keep = ("CAM_FRONT", "CAM_FRONT/depth", "LIDAR_TOP", "ego", "boxes")
    sample = street.with_streams({n: s for n, s in street.streams.items() if n in keep})
    camera = sample["CAM_FRONT"]
    floats = replace(camera, items=(camera.image(0).float() / 255,))  # type: ignore[attr-defined]
    a = weather(sample, seed=1)["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
    b = weather(sample.with_streams({**sample.streams, "CAM_FRONT": floats}), seed=1)["CAM_FRONT"].image(0)  # type: ignore[attr-defined]
    assert b.dtype == torch.float32
    assert float((a.float() - b * 255).abs().mean()) < 1.0


def test_night_is_dark_with_lamps_before_the_vehicle(street: fa.Sample) -> None:
    picture = fa.Night(illuminance=1.0)(street, seed=1)["CAM_FRONT"].image(0).float()  # type: ignore[attr-defined]
    assert picture.mean() < 0.5 * street["CAM_FRONT"].image(0).float().mean()  # type: ignore[attr-defined]
    height, width = picture.shape[:2]
    road = picture[int(0.8 * height) :, width // 3 : 2 * width // 3].mean()
    back = fa.Night(illuminance=1.0)(street, seed=1)["CAM_BACK"].image(0).float()  # type: ignore[attr-defined]
    assert road > 2 * back[int(0.8 * height) :, width // 3 : 2 * width // 3].mean()
    unlit = fa.Night(illuminance=1.0, lamps=False)(street, seed=1)["CAM_FRONT"].image(0).float()  # type: ignore[attr-defined]
    assert unlit[int(0.8 * height) :].mean() < 0.5 * road


def test_lamps_do_not_burn_by_day(street: fa.Sample) -> None:
    sample = street.with_streams({n: street[n] for n in ("CAM_BACK", "CAM_BACK/depth", "boxes", "ego")})
    a, b = (fa.Night(illuminance=20000.0, lamps=x)(sample, seed=1)["CAM_BACK"].image(0) for x in (True, False))  # type: ignore[attr-defined]
    assert torch.equal(a, b)


def test_glare_lies_where_the_sun_projects(street: fa.Sample) -> None:
    T = T_world(street, 0, "CAM_FRONT", int(street["CAM_FRONT"].capture_times[0]))
    azimuth = np.degrees(np.arctan2(T[1, 2], T[0, 2]))
    bare = street.with_streams({n: s for n, s in street.streams.items() if n in ("CAM_FRONT", "CAM_BACK")})
    sky = torch.full((396, 704), float("inf"))
    for camera in ("CAM_FRONT", "CAM_BACK"):
        depth = fa.Depth(frame=camera, camera=camera, capture_times=bare[camera].capture_times, items=(sky,))
        bare = bare.with_streams({**bare.streams, f"{camera}/depth": depth})
    dark = {
        c: replace(bare[c], items=(torch.full((396, 704, 3), 40, dtype=torch.uint8),))
        for c in ("CAM_FRONT", "CAM_BACK")
    }
    bare = bare.with_streams({**bare.streams, **dark})
    out = fa.SunGlare(sun=2000.0, sun_azimuth_deg=float(azimuth), sun_elevation_deg=5.0)(bare, seed=1)
    glow = out["CAM_FRONT"].image(0).float().sum(2)  # type: ignore[attr-defined]
    v, u = np.unravel_index(int(glow.argmax()), glow.shape)
    up = np.radians(5.0)
    to_sun = np.array([np.cos(up) * np.cos(np.radians(azimuth)), np.cos(up) * np.sin(np.radians(azimuth)), np.sin(up)])
    local = torch.from_numpy(T[:3, :3].T @ to_sun)
    pixel = bare.rig.camera("CAM_FRONT").project(local[None] * 1e6)[0][0]
    assert float((pixel - torch.tensor([float(u), float(v)])).norm()) < 12
    assert torch.equal(out["CAM_BACK"].image(0), bare["CAM_BACK"].image(0))  # type: ignore[attr-defined]


def test_drops_on_the_lens_stay_and_turn_the_scene_upside_down(street: fa.Sample) -> None:
    half = torch.zeros((396, 704, 3), dtype=torch.uint8)
    half[:198] = 200  # bright above
    camera = replace(street["CAM_FRONT"], items=(half,))
    sample = street.with_streams({"CAM_FRONT": camera, "LIDAR_TOP": street["LIDAR_TOP"], "ego": street["ego"]})
    drops = fa.Weather(lens_drops=25)
    a = picture_of(drops(sample, seed=1))
    changed = (a - half.float()).abs().amax(-1) > 30
    assert 0.001 < float(changed.double().mean()) < 0.2
    # below, where all is dark, drops show the sky; out of focus, it lies over all of them
    assert float(a[250:][changed[250:]].max()) > 60
    later = fa.open_log("nuscenes", DRIVE)[8]
    after = replace(later["CAM_FRONT"], items=(half,))
    b = picture_of(
        drops(later.with_streams({"CAM_FRONT": after, "LIDAR_TOP": later["LIDAR_TOP"], "ego": later["ego"]}), seed=1)
    )
    assert torch.equal(a, b)


def test_depth_is_not_kept_for_every_motion(street: fa.Sample) -> None:
    from fusion_aug.sample import depth

    sample = street.with_streams({n: street[n].realized() for n in ("CAM_FRONT", "LIDAR_TOP", "ego")})
    for seed in range(4):
        fa.Compose([fa.RotateScene(yaw_deg=[-40, 40]), fa.Fog(mor=100.0)])(sample, seed=seed)
    assert len(depth._CACHE[sample["CAM_FRONT"]]) <= 3  # distances, surfaces and light by them: the last of each
