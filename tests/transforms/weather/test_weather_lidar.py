"""Weather in LiDARs: one power budget for every pulse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from places import DRIVE
from weathers import cloud_in_weather, lidar_only, params_of

import fusion_aug as fa
from fusion_aug.check.returns import isolated
from fusion_aug.ops.random import digest
from fusion_aug.physics import lattice
from fusion_aug.transforms.weather.place import T_world
from fusion_aug.transforms.weather.state import WeatherState


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    return fa.open_log("nuscenes", DRIVE)[7]


def with_scanner(sample: fa.Sample, **fields: object) -> fa.Sample:
    """The sample with another LiDAR in its rigs."""
    rig = sample.rig.with_sensor("LIDAR_TOP", replace(sample.rig.sensors["LIDAR_TOP"], **fields))  # type: ignore[arg-type]
    return sample.with_meta(0, rig=rig, true_rig=rig)


@pytest.mark.parametrize("figure", [
    [("mor", m) for m in (3000.0, 1000.0, 400.0, 200.0, 100.0, 50.0, 25.0)],
    [("rain_rate", r) for r in (0.0, 1.0, 5.0, 20.0, 50.0, 150.0)],
    [("snow_rate", r) for r in (0.0, 0.3, 1.0, 2.5, 6.0, 15.0)],
    [("dust_mor", m) for m in (2000.0, 500.0, 100.0, 30.0)],
], ids=["fog", "rain", "snow", "dust"])  # fmt: skip
def test_more_weather_loses_more_points(street: fa.Sample, figure: list[tuple[str, float]]) -> None:
    lost = []
    whole = street["LIDAR_TOP"].rows  # type: ignore[attr-defined]
    for name, value in figure:
        _, kept = cloud_in_weather(street, fa.Weather(**{name: value, "wind_deg": 0.0, "report": True}))
        lost.append(whole - int(kept.sum()))
    assert lost == sorted(lost) and lost[-1] > 3 * max(lost[1], 10)


def test_returns_from_the_air_lie_before_their_targets(street: fa.Sample) -> None:
    street = with_scanner(street, near_floor=0.0)  # the log's own hardly sees fog
    scanner = street.rig.sensors["LIDAR_TOP"]
    for weather in (fa.Fog(mor=60.0, report=True), fa.Rain(rain_rate=60.0, report=True),
                    fa.Snow(snow_rate=5.0, report=True), fa.Fog(mor=60.0, patchiness=1.0, report=True),
                    fa.SunGlare(sun=1e5, report=True)):  # fmt: skip
        cloud, kept = cloud_in_weather(street, weather)
        far = torch.linalg.norm(cloud["xyz"], dim=1)
        scattered = ~kept
        assert (far[scattered] < cloud["true_range"][scattered]).all()
        assert (far[scattered] >= scanner.min_range - 1e-4).all()  # type: ignore[attr-defined]
        assert torch.allclose(far[kept], cloud["true_range"][kept], rtol=1e-5)
        if type(weather) is not fa.SunGlare:
            assert int(scattered.sum()) > 50
            spread = np.percentile(far[scattered].numpy(), [10, 90])
            assert spread[1] - spread[0] > 2.0  # not on one shell


def test_scattered_returns_keep_their_beam(street: fa.Sample) -> None:
    street = with_scanner(street, near_floor=0.0)
    source = street["LIDAR_TOP"].realized()
    numbered = source.with_values(number=torch.arange(source.rows).double())
    out = fa.Fog(mor=60.0, report=True)(lidar_only(street).with_streams({"LIDAR_TOP": numbered}), seed=2)["LIDAR_TOP"]
    scattered = out["status"] == 1
    assert int(scattered.sum()) > 500
    before = source["xyz"][out["number"][scattered].long()]
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (before, out["xyz"][scattered]))
    assert float((a - b).norm(dim=1).max()) < 1e-5
    assert torch.equal(out["ring"], source["ring"][out["number"].long()])


def test_thick_fog_hides_what_is_far_and_keeps_what_is_near(street: fa.Sample) -> None:
    before = torch.linalg.norm(street["LIDAR_TOP"]["xyz"], dim=1)
    cloud, kept = cloud_in_weather(street, fa.Fog(mor=50.0, report=True))
    true = cloud["true_range"][kept]
    assert int((true > 30).sum()) <= 0.03 * int((before > 30).sum())
    assert int((true < 5).sum()) >= 0.95 * int((before < 5).sum())


def test_the_scale_of_intensities_does_not_matter(street: fa.Sample) -> None:
    source = lidar_only(street)
    cloud = source["LIDAR_TOP"].realized()
    unit = replace(source.rig.sensors["LIDAR_TOP"], intensity_scale=1.0)
    rig = source.rig.with_sensor("LIDAR_TOP", unit)
    small = source.with_streams({**source.streams, "LIDAR_TOP": cloud.with_values(intensity=cloud["intensity"] / 255)})
    small = small.with_meta(0, rig=rig, true_rig=rig)
    weather = fa.Weather(mor=80.0, rain_rate=10.0)
    a, b = weather(source, seed=5)["LIDAR_TOP"], weather(small, seed=5)["LIDAR_TOP"]
    assert a.counts.tolist() == b.counts.tolist()  # type: ignore[attr-defined]
    assert torch.allclose(a["xyz"], b["xyz"], atol=1e-5)
    assert torch.allclose(a["intensity"], b["intensity"] * 255, atol=1e-2)


def test_a_raised_threshold_near_the_sensor_hides_the_ring_of_fog(street: fa.Sample) -> None:
    seen = []
    for floor in (0.0, 0.002, 0.004, 0.008, 0.016):
        cloud, kept = cloud_in_weather(with_scanner(street, near_floor=floor), fa.Fog(mor=60.0, report=True))
        seen.append(int((~kept).sum()))
        assert cloud.rows >= int(kept.sum()) > 5000  # type: ignore[attr-defined]
    assert seen == sorted(seen, reverse=True) and seen[0] > 500 and seen[-1] == 0


def test_neighbours_return_alike_from_the_air(street: fa.Sample) -> None:
    """A patch of fog is wider than the gap between beams: returns from it are no salt and pepper."""
    cloud, kept = cloud_in_weather(with_scanner(street, near_floor=0.0), fa.Fog(mor=60.0, report=True))
    scan = cloud.item_slice(0)  # type: ignore[attr-defined]
    xyz, air = cloud["xyz"][scan].numpy().astype(float), ~kept[scan].numpy()
    far = np.linalg.norm(xyz, axis=1)
    alone = isolated(far, np.arctan2(xyz[:, 1], xyz[:, 0]), cloud["ring"][scan].numpy())
    # at one degree between beams, three to six times as much as of the devices
    assert air.sum() > 500 and alone[air].mean() < 0.4
    assert np.percentile(far[air], 90) - np.percentile(far[air], 10) > 2.0


def test_wet_surfaces_return_less_everywhere(street: fa.Sample) -> None:
    """With a sensor that does not round, by one factor off the ground; flat beams lose more to the ground's film."""
    bare = with_scanner(street, intensity_levels=None)
    source = bare["LIDAR_TOP"].realized()
    lost = []
    for wetness in (0.0, 0.5, 1.0):
        _, kept = cloud_in_weather(bare, fa.Fog(mor=150.0, surface_wetness=wetness, report=True))
        lost.append(source.rows - int(kept.sum()))  # type: ignore[attr-defined]
    assert lost == sorted(lost) and lost[2] > lost[0] + 100
    number = torch.arange(source.rows).double()  # type: ignore[attr-defined]
    numbered = lidar_only(bare).with_streams({"LIDAR_TOP": source.with_values(number=number)})
    out = fa.Weather(surface_wetness=1.0)(numbered, seed=1)["LIDAR_TOP"]
    before = source["intensity"][out["number"].long()]
    share, place = (out["intensity"] / before)[before > 0], out["xyz"][before > 0]
    distance = torch.linalg.norm(place, dim=1)
    things, ground = (place[:, 2] > 0), (place[:, 2] < -1.7)  # the scanner is 1.84 m above the road
    assert int(things.sum()) > 500 and float(share[things].max() - share[things].min()) < 1e-5
    assert 0.2 < float(share[things].mean()) < 0.5
    near, far = (float(share[ground & (distance > a) & (distance < b)].mean()) for a, b in ((3, 6), (15, 25)))
    assert far < 0.7 * near < 0.7 * float(share[things].mean())


def test_intensities_are_as_coarse_as_those_of_the_device(street: fa.Sample) -> None:
    out, _ = cloud_in_weather(with_scanner(street, intensity_levels=255), fa.Fog(mor=100.0))
    assert torch.equal(out["intensity"], out["intensity"].round())
    fine, _ = cloud_in_weather(with_scanner(street, intensity_levels=None), fa.Fog(mor=100.0))
    assert not torch.equal(fine["intensity"], fine["intensity"].round())
    assert torch.equal(out["xyz"], fine["xyz"])


def test_rain_hardly_scatters_at_1550_nm(street: fa.Sample) -> None:
    scattered = []
    for wavelength in (905e-9, 1550e-9):
        sensor = replace(street.rig.sensors["LIDAR_TOP"], wavelength=wavelength)
        rig = street.rig.with_sensor("LIDAR_TOP", sensor)
        _, kept = cloud_in_weather(street.with_meta(0, rig=rig, true_rig=rig), fa.Rain(rain_rate=30.0, report=True))
        scattered.append(int((~kept).sum()))
    assert scattered[1] < 0.1 * scattered[0]


def test_the_last_echo_sees_through_rain(street: fa.Sample) -> None:
    kept = []
    for echo in ("strongest", "last"):
        sensor = replace(street.rig.sensors["LIDAR_TOP"], echo=echo)
        rig = street.rig.with_sensor("LIDAR_TOP", sensor)
        kept.append(
            int(
                cloud_in_weather(street.with_meta(0, rig=rig, true_rig=rig), fa.Rain(rain_rate=50.0, report=True))[
                    1
                ].sum()
            )
        )
    assert kept[1] > kept[0]


def test_wet_ground_returns_less_and_the_farther_the_less(street: fa.Sample) -> None:
    source = street["LIDAR_TOP"].realized()
    numbered = source.with_values(number=torch.arange(source.rows).double())
    sample = lidar_only(street).with_streams({"LIDAR_TOP": numbered})
    out = fa.WetRoad(water_film=1.0)(sample, seed=2)["LIDAR_TOP"]
    rows = out["number"].long()
    share = out["intensity"] / source["intensity"][rows]
    far = torch.linalg.norm(source["xyz"][rows], dim=1)
    wet = share < 0.999
    height = street.points("LIDAR_TOP")["xyz"][rows, 2]
    assert int(wet.sum()) > 1000 and float(height[wet].abs().max()) < 1.0
    assert share[wet & (far > 20)].mean() < share[wet & (far < 8)].mean()


def test_wet_ground_loses_returns_far_away(street: fa.Sample) -> None:
    lost = []
    for film in (0.1, 0.5, 1.2):
        cloud, kept = cloud_in_weather(street, fa.WetRoad(water_film=film, report=True))
        lost.append(street["LIDAR_TOP"].rows - int(kept.sum()))  # type: ignore[attr-defined]
    assert lost == sorted(lost) and lost[-1] > 50
    far = torch.linalg.norm(street["LIDAR_TOP"]["xyz"], dim=1)
    assert int((cloud["true_range"] > 25).sum()) < int((far > 25).sum())
    near = int((cloud["true_range"] < 6).sum()) / int((far < 6).sum())
    assert near > 0.98


def test_each_scanner_of_a_joint_cloud_has_its_own_drops(real_data) -> None:  # type: ignore[no-untyped-def]
    """Argoverse 2 joins two LiDARs in the vehicle's frame: flakes lie on rays from the origin of each of them."""
    sample = fa.open_log("argoverse2", str(real_data / "argoverse2" / "val"))[0]
    name = next(n for n, s in sample.of_type(fa.Points).items() if s.origins)
    params = params_of(fa.Snow(snow_rate=2.0, report=True), sample)
    out = fa.Weather.apply_params(sample.with_streams({name: sample[name]}), params)[name]
    state = WeatherState.of(params)
    meta, time = sample.meta, int(out.capture_times[0])
    scattered = out["status"] == 1
    places = torch.stack([meta.true_rig.T(out.frame, f, time)[:3, 3] for f in out.origins])[out["origin"].long()]  # type: ignore[attr-defined]
    T = T_world(sample, 0, out.frame, time)
    hits = total = 0
    for origin in torch.unique(places, dim=0):
        mine = scattered & (places == origin).all(1)
        found = (out["xyz"][mine].double() @ torch.from_numpy(T[:3, :3]).T + torch.from_numpy(T[:3, 3])).numpy()
        eye = T[:3, :3] @ origin.numpy() + T[:3, 3]
        key = digest(state.key, "particles", 0)
        flakes = [
            eye + c.offset
            for c in lattice.particles_around(state.air.particles()[0], key, eye, time * 1e-9, state.air.wind)
        ]
        cloud = np.concatenate(flakes)
        for point in found[:60]:
            total += 1
            hits += float(np.linalg.norm(cloud - point, axis=1).min()) < 0.05 + 0.003 * np.linalg.norm(point - eye)
    assert total >= 40 and hits / total > 0.25, (hits, total)
