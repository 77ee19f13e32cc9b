"""One state of the air: what it must do to each sensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from samples import make_sample

import fusion_aug as fa
from calib import LidarSensor
from fusion_aug.check.air import call_for
from fusion_aug.columns import take_rows
from fusion_aug.errors import ConfigError
from fusion_aug.physics import lattice
from fusion_aug.physics.air import Atmosphere, extinction_of_mor
from fusion_aug.physics.field import Clouds, Puffs
from fusion_aug.physics.precipitation import Rain, Snow
from fusion_aug.random import digest
from fusion_aug.transforms.weather.camera import streaks_seen, veiled
from fusion_aug.transforms.weather.place import T_world
from fusion_aug.transforms.weather.state import State
from fusion_aug.transforms.weather.view import View

KEY = digest("a world of particles")


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    return fa.open_log("nuscenes", "datasets/drive")[7]


def lidar_only(sample: fa.Sample, name: str = "LIDAR_TOP") -> fa.Sample:
    keep = {n: s for n, s in sample.streams.items() if n in (name, "boxes", "ego")}
    return sample.with_streams(keep)


def reported(sample: fa.Sample, weather: fa.Weather, seed: int = 3) -> tuple[fa.Points, torch.Tensor]:
    """The cloud in a weather, and which of its points are as measured."""
    cloud = weather(lidar_only(sample), seed=seed)["LIDAR_TOP"].realized()
    everything = torch.ones(cloud.rows, dtype=torch.bool)  # type: ignore[attr-defined]
    return cloud, cloud["status"] == 0 if "status" in cloud.values else everything  # type: ignore[return-value]


def clear(params: dict, **more) -> dict:
    return {**params, "noise": digest("noise"), "key": KEY, **more}


def radar_only(sample: fa.Sample) -> fa.Sample:
    """One scan of one radar, all of strong targets."""
    scan = sample.take_key("RADAR_FRONT").realized()
    strong = scan.with_values(rcs=torch.full_like(scan["rcs"], 40.0))
    return sample.with_streams({"RADAR_FRONT": strong, "ego": sample["ego"]})


def params_of(weather: fa.Weather, sample: fa.Sample) -> dict:
    return clear(weather.sample_params(np.random.default_rng(0), sample, None))  # type: ignore[arg-type]


# --- identity and monotony ------------------------------------------------------------------------------------------
def test_no_weather_is_the_identity_bit_by_bit(street: fa.Sample) -> None:
    out = fa.Weather(mor=None, rain_rate=0.0, snow_rate=0.0)(street, seed=1)
    assert all(out.streams[n] is s for n, s in street.streams.items())


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
        _, kept = reported(street, fa.Weather(**{name: value, "wind_deg": 0.0, "report": True}))
        lost.append(whole - int(kept.sum()))
    assert lost == sorted(lost) and lost[-1] > 3 * max(lost[1], 10)


def test_returns_from_the_air_lie_before_their_targets(street: fa.Sample) -> None:
    scanner = street.rig.sensors["LIDAR_TOP"]
    for weather in (fa.Fog(mor=60.0, report=True), fa.Rain(rain_rate=60.0, report=True),
                    fa.Snow(snow_rate=5.0, report=True), fa.Fog(mor=60.0, patchiness=1.0, report=True),
                    fa.SunGlare(sun=1e5, report=True)):  # fmt: skip
        cloud, kept = reported(street, weather)
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
    source = street["LIDAR_TOP"].realized()
    numbered = source.with_values(number=torch.arange(source.rows).double())
    out = fa.Fog(mor=60.0, report=True)(lidar_only(street).with_streams({"LIDAR_TOP": numbered}), seed=2)["LIDAR_TOP"]
    scattered = out["status"] == 1
    before = source["xyz"][out["number"][scattered].long()]
    a, b = (x / x.norm(dim=1, keepdim=True) for x in (before, out["xyz"][scattered]))
    assert float((a - b).norm(dim=1).max()) < 1e-5
    assert torch.equal(out["ring"], source["ring"][out["number"].long()])


def test_thick_fog_hides_what_is_far_and_keeps_what_is_near(street: fa.Sample) -> None:
    before = torch.linalg.norm(street["LIDAR_TOP"]["xyz"], dim=1)
    cloud, kept = reported(street, fa.Fog(mor=50.0, report=True))
    true = cloud["true_range"][kept]
    assert int((true > 30).sum()) <= 0.03 * int((before > 30).sum())
    assert int((true < 5).sum()) >= 0.95 * int((before < 5).sum())


def test_the_scale_of_intensities_does_not_matter(street: fa.Sample) -> None:
    source = lidar_only(street)
    cloud = source["LIDAR_TOP"].realized()
    unit = replace(source.rig.sensors["LIDAR_TOP"], intensity_scale=1.0)
    rig = source.rig.with_sensor("LIDAR_TOP", unit)
    small = source.with_streams({**source.streams, "LIDAR_TOP": cloud.with_values(intensity=cloud["intensity"] / 255)})
    small = small.with_unit(0, rig=rig, truth=rig)
    weather = fa.Weather(mor=80.0, rain_rate=10.0)
    a, b = weather(source, seed=5)["LIDAR_TOP"], weather(small, seed=5)["LIDAR_TOP"]
    assert a.counts.tolist() == b.counts.tolist()  # type: ignore[attr-defined]
    assert torch.allclose(a["xyz"], b["xyz"], atol=1e-5)
    assert torch.allclose(a["intensity"], b["intensity"] * 255, atol=1e-2)


def test_rain_hardly_scatters_at_1550_nm(street: fa.Sample) -> None:
    scattered = []
    for wavelength in (905e-9, 1550e-9):
        sensor = replace(street.rig.sensors["LIDAR_TOP"], wavelength=wavelength)
        rig = street.rig.with_sensor("LIDAR_TOP", sensor)
        _, kept = reported(street.with_unit(0, rig=rig, truth=rig), fa.Rain(rain_rate=30.0, report=True))
        scattered.append(int((~kept).sum()))
    assert scattered[1] < 0.1 * scattered[0]


def test_the_last_echo_sees_through_rain(street: fa.Sample) -> None:
    kept = []
    for echo in ("strongest", "last"):
        sensor = replace(street.rig.sensors["LIDAR_TOP"], echo=echo)
        rig = street.rig.with_sensor("LIDAR_TOP", sensor)
        kept.append(
            int(reported(street.with_unit(0, rig=rig, truth=rig), fa.Rain(rain_rate=50.0, report=True))[1].sum())
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


# --- cameras --------------------------------------------------------------------------------------------------------
def test_fog_is_koschmieder_by_true_range(street: fa.Sample) -> None:
    sample = street
    params = params_of(fa.Fog(mor=120.0, airlight=0.8), sample)
    for camera in ("CAM_FRONT", "FISHEYE_FRONT"):
        view = View(sample[camera], call_for(sample, camera, params), 0)  # type: ignore[arg-type]
        before, state = sample[camera].image(0).numpy(), State.of(params)  # type: ignore[attr-defined]
        after = veiled(before, view, state, state.airlight)
        depth = sample[f"{camera}/depth"]
        z = depth.image(0).double()  # type: ignore[attr-defined]
        height, width = z.shape
        v, u = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
        ray = sample.rig.camera(camera).unproject(torch.stack([u, v], -1))
        far = (z / ray[..., 2] if depth.measure == "z" else z).numpy()  # type: ignore[attr-defined]
        known = np.isfinite(ray.numpy()).all(-1) & (far > 0)
        t = np.exp(-extinction_of_mor(120.0) * far)[..., None]
        expected = before * t + state.airlight * 255 * (1 - t)
        assert np.abs(after - expected)[known].max() <= 1.0


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


def test_glare_stands_where_the_sun_projects(street: fa.Sample) -> None:
    T = T_world(street, 0, "CAM_FRONT", int(street["CAM_FRONT"].times[0]))
    azimuth = np.degrees(np.arctan2(T[1, 2], T[0, 2]))
    bare = street.with_streams({n: s for n, s in street.streams.items() if n in ("CAM_FRONT", "CAM_BACK")})
    sky = torch.full((396, 704), float("inf"))
    for camera in ("CAM_FRONT", "CAM_BACK"):
        depth = fa.Depth(frame=camera, camera=camera, times=bare[camera].times, items=(sky,))
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


# --- the same particles everywhere ----------------------------------------------------------------------------------
def test_particles_move_on_by_their_own_velocity() -> None:
    """A place and a moment later, every particle that is still near is where its velocity took it."""
    snow, place, wind, later = Snow.of(2.0), np.array([812.3, -45.1, 1.2]), (3.0, -1.0), 0.5
    second = place + np.array([1.5, -0.7, 0.2])
    first = list(lattice.around(snow, KEY, place, 1e9, wind))
    again = list(lattice.around(snow, KEY, second, 1e9 + later, wind))
    for a, b in zip(first, again, strict=True):
        before = place + a.offset.astype(float) + a.velocity * later
        after = second + b.offset.astype(float)
        near = np.linalg.norm(a.offset, axis=1) < 0.4 * a.reach
        # a cube that repeats may show the neighbouring image of a particle at its rim
        assert np.abs(before - after)[near & (np.linalg.norm(b.offset, axis=1) < 0.9 * b.reach)].max() < 1e-3
        assert near.sum() > 100


def test_two_cameras_and_two_moments_see_the_same_flakes() -> None:
    """Flakes seen by one camera, carried on by their velocity, are the ones that another camera and moment show."""
    log = fa.open_log("nuscenes", "datasets/drive")
    params = params_of(fa.Snow(snow_rate=2.0, wind=1.0, wind_deg=30.0), log[7])
    state = State.of(params)
    snow, key = state.air.particles()[0], digest(state.key, "particles", 0)
    views = {}
    for k, camera in ((7, "CAM_FRONT"), (7, "CAM_FRONT_LEFT"), (7, "FISHEYE_FRONT"), (8, "CAM_FRONT")):
        sample = log[k]
        views[k, camera] = View(sample[camera], call_for(sample, camera, params), 0)  # type: ignore[arg-type]
    base = views[7, "CAM_FRONT"]
    for other in views.values():
        start, stop, *_ = streaks_seen(other, state, snow, key)
        drawn = 0.5 * (start + stop)
        expected, total = [], 0
        # the same lattice, read at the place and time of the first camera and carried to the other's
        later = other.seconds - base.seconds
        for cloud in lattice.around(snow, key, base.T_world[:3, 3], base.seconds, state.air.wind):
            world = base.T_world[:3, 3] + cloud.offset.astype(float) + cloud.velocity * later
            local = (world - other.T_world[:3, 3]) @ other.T_world[:3, :3]
            near = np.linalg.norm(local, axis=1) < 0.5 * cloud.reach
            pixels, seen = other.project(local[near])
            expected.append(pixels[seen])
        places = np.concatenate(expected)
        if len(places) == 0:
            continue
        for pixel in drawn[:200]:
            total += float(np.linalg.norm(places - pixel, axis=1).min()) < 1.0
        assert total > 0.3 * min(200, len(drawn)), (other.stream.frame, total, len(drawn))


def test_clouds_drift_with_the_wind_and_their_path_has_a_closed_form() -> None:
    clouds = Clouds.of(KEY, 0.9, (5.0, 2.0))
    rng = np.random.default_rng(0)
    start, rays = np.array([400.0, -30.0, 2.0]), rng.normal(size=(50, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    far = rng.uniform(1, 120, 50)
    steps = (np.arange(4000) + 0.5) / 4000
    numeric = np.mean([clouds.density(start, rays, far * s, 7.0) for s in steps], 0) * far
    assert np.allclose(clouds.path(start, rays, far, 7.0), numeric, rtol=1e-4)
    assert (clouds.density(start, rays, far, 7.0) >= 0).all()
    moved = clouds.path(start + np.array([5.0, 2.0, 0.0]) * 3.0, rays, far, 10.0)
    assert np.allclose(moved, clouds.path(start, rays, far, 7.0), rtol=1e-9)


def test_depth_of_a_puff_of_spray() -> None:
    rng = np.random.default_rng(1)
    shape = rng.normal(size=(1, 3, 3)) + 2 * np.eye(3)
    puff = Puffs(np.array([[8.0, 1.0, 0.5]]), shape, np.array([0.7]))
    rays = np.array([[1.0, 0.1, 0.05], [1.0, 0.2, 0.0], [0.0, 1.0, 0.0]])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    far = np.array([30.0, 8.0, 30.0])
    steps = (np.arange(20000) + 0.5) / 20000
    numeric = []
    for ray, d in zip(rays, far, strict=True):
        gap = (steps[:, None] * d * ray - puff.centre[0]) @ shape[0].T
        numeric.append(0.7 * np.exp(-0.5 * (gap**2).sum(1)).mean() * d)
    assert np.allclose(puff.depth(np.zeros(3), rays, far), numeric, rtol=1e-4, atol=1e-9)


def test_one_draw_for_a_scene() -> None:
    """Samples of a scene share the air; another scene has its own."""
    weather = fa.Weather(mor=[50, 500], rain_rate=[0, 30])
    a, b, c = (
        weather(make_sample(i, scene=s), seed=1).history[0].params[""] for i, s in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    assert {k: v for k, v in a.items() if k != "noise"} == {k: v for k, v in b.items() if k != "noise"}
    assert a["noise"] != b["noise"] and a["key"] != c["key"]


# --- radar, boxes, wheels -------------------------------------------------------------------------------------------
def test_rain_weakens_radar_by_the_itu_law(street: fa.Sample) -> None:
    from fusion_aug.physics.microwave import radome_film, radome_loss, rain_attenuation

    sample = radar_only(street)
    source = sample["RADAR_FRONT"]
    out = fa.Rain(rain_rate=25.0, water_film=0.0)(sample, seed=1)["RADAR_FRONT"]
    n = len(source["rcs"])
    far = torch.linalg.norm(source["xyz"], dim=1).double()
    loss = 2 * rain_attenuation(77e9, 25.0) * far * 1e-3 + radome_loss(77e9, radome_film(25.0))
    assert torch.allclose(out["rcs"][:n].double(), 40.0 - loss, atol=1e-3)
    assert torch.equal(out["velocity"][:n], source["velocity"])


def test_rain_clutter_drifts_with_the_wind_in_the_world(street: fa.Sample) -> None:
    radial, rays, comp, sample = [], [], [], radar_only(street)
    n = len(sample["RADAR_FRONT"]["rcs"])
    T = T_world(sample, 0, "RADAR_FRONT", int(sample["RADAR_FRONT"].times[0]))
    for seed in range(60):
        out = fa.Rain(rain_rate=150.0, water_film=0.0, wind=15.0, wind_deg=40.0)(sample, seed=seed)["RADAR_FRONT"]
        ray = out["xyz"][n:] / out["xyz"][n:].norm(dim=1, keepdim=True)
        rays.append(ray)
        comp.append((out["velocity_comp"][n:] * ray).sum(1))
        radial.append((out["velocity"][n:] * ray).sum(1))
    ray, speed, raw = (torch.cat(x).double().numpy() for x in (rays, comp, radial))
    assert len(ray) > 40 and n > 0
    wind = T[:3, :3].T @ (15.0 * np.array([np.cos(np.radians(40)), np.sin(np.radians(40)), 0.0]))
    found = np.linalg.lstsq(ray[:, :2], speed, rcond=None)[0]
    assert np.allclose(found, wind[:2], atol=1.5)
    own = fa.transforms.ego.frame_twist(sample, 0, "RADAR_FRONT", int(sample["RADAR_FRONT"].times[0]))[0].numpy()
    assert np.allclose(raw - speed, -(ray @ own), atol=1e-3)


def test_light_fog_leaves_radar_alone(street: fa.Sample) -> None:
    sample = street.with_streams({k: street[k] for k in ("RADAR_FRONT", "ego")})
    out = fa.Fog(mor=50.0)(sample, seed=1)["RADAR_FRONT"]
    assert out.counts.tolist() == sample["RADAR_FRONT"].counts.tolist()  # type: ignore[attr-defined]
    assert float((out["rcs"] - sample["RADAR_FRONT"]["rcs"]).abs().max()) < 0.3


def test_far_boxes_go_out_of_sight_in_fog(street: fa.Sample) -> None:
    out = fa.Fog(mor=50.0)(street, seed=1)
    before, after = street["boxes"]["visible"], out["boxes"]["visible"]
    far = street["boxes"]["pose"][:, :3, 3].norm(dim=1)
    assert torch.equal(before[far < 49], after[far < 49])  # within the optical range they are seen
    assert (after[far > 52] < before[far > 52]).all()


def test_wheels_slip_where_it_is_slippery() -> None:
    times = torch.arange(0, 4_000_000_000, 20_000_000)
    t = times.double() * 1e-9
    speed = torch.where(t < 2, 2.5 * t, 5.0 - 2.5 * (t - 2))
    velocity = torch.stack([speed, 0 * t, 0 * t], 1)
    wheels = fa.Odometry(frame="ego", times=times, values={"velocity": velocity, "angular_velocity": 0 * velocity})
    sample = make_sample().with_streams({"wheels": wheels})
    out = fa.Weather(snow_cover=1.0, water_film=0.0)(sample, seed=1)["wheels"]["velocity"][:, 0] / speed
    gained, braked = (t > 0.5) & (t < 1.8), (t > 2.2) & (t < 3.5)
    slip = 0.1 * 2.5 / 9.81 * (1 / 0.2 - 1 / 0.9)
    assert float(out[gained].mean()) == pytest.approx(1 + slip, abs=0.05)
    assert float(out[braked].mean()) == pytest.approx(1 - slip, abs=0.05)
    dry = fa.Weather(mor=50.0)(sample, seed=1)["wheels"]["velocity"]
    assert torch.equal(dry, velocity)


# --- wrong input ----------------------------------------------------------------------------------------------------
def test_two_names_of_one_fog_are_refused() -> None:
    with pytest.raises(ConfigError, match="either mor or visual_range"):
        fa.Weather(mor=100.0, visual_range=200.0)
    assert fa.Fog(visual_range=200.0).mor is None


def test_a_scanner_of_unknown_scale_is_told_from_its_cloud() -> None:
    sample = make_sample()
    rig = replace(sample.rig, sensors={n: s for n, s in sample.rig.sensors.items() if not isinstance(s, LidarSensor)})
    sample = sample.with_unit(0, rig=rig, truth=rig)
    assert len(fa.Fog(mor=50.0)(sample, seed=1)["lidar"]["xyz"]) > 0


def test_air_adds_up() -> None:
    both = Atmosphere(fog=0.01, rain_rate=10.0)
    assert both.extinction(905e-9) == pytest.approx(
        Atmosphere(fog=0.01).extinction(905e-9) + Rain.of(10.0).extinction(905e-9)
    )
    assert take_rows({}, torch.tensor([], dtype=torch.bool)) == {}


# --- found by a review ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("motion", [
    fa.RotateScene(yaw_deg=90.0), fa.TranslateScene(x=5.0, y=3.0), fa.RotateScene(roll_deg=8.0, pitch_deg=-6.0),
], ids=["yaw", "shift", "tilt"])  # fmt: skip
def test_a_rigid_scene_motion_changes_no_weather(street: fa.Sample, motion: fa.Transform) -> None:
    """The reference frame may lie anywhere: lamps, ground, boxes and sight belong to the vehicle."""
    names = ("CAM_FRONT", "CAM_FRONT/depth", "LIDAR_TOP", "ego", "boxes")
    sample = street.with_streams({n: street[n].realized() for n in names})
    params = params_of(fa.Weather(mor=60.0, illuminance=1.0, water_film=0.8, snow_cover=0.3, spray=0.0), sample)
    a = fa.Weather.apply_params(sample, params)
    b = fa.Weather.apply_params(motion(sample, seed=1), params)
    assert float((picture_of(a) - picture_of(b)).abs().mean()) < 0.5
    assert a["LIDAR_TOP"].counts.tolist() == b["LIDAR_TOP"].counts.tolist()  # type: ignore[attr-defined]
    assert float((a["LIDAR_TOP"]["intensity"] - b["LIDAR_TOP"]["intensity"]).abs().mean()) < 0.05
    assert torch.allclose(a["boxes"]["visible"], b["boxes"]["visible"], atol=1e-6)


def picture_of(sample: fa.Sample) -> torch.Tensor:
    return sample["CAM_FRONT"].image(0).float()  # type: ignore[attr-defined]


def test_wet_ground_loses_returns_far_away(street: fa.Sample) -> None:
    lost = []
    for film in (0.1, 0.5, 1.2):
        cloud, kept = reported(street, fa.WetRoad(water_film=film, report=True))
        lost.append(street["LIDAR_TOP"].rows - int(kept.sum()))  # type: ignore[attr-defined]
    assert lost == sorted(lost) and lost[-1] > 50
    far = torch.linalg.norm(street["LIDAR_TOP"]["xyz"], dim=1)
    assert int((cloud["true_range"] > 25).sum()) < int((far > 25).sum())
    near = int((cloud["true_range"] < 6).sum()) / int((far < 6).sum())
    assert near > 0.98


def test_the_lightest_rain_runs() -> None:
    for rate in (1e-6, 1e-4, 1e-2):
        fa.Weather(rain_rate=rate)(make_sample(), seed=1).realized()


def test_patches_of_snow_cover_the_share_that_is_told() -> None:
    rng = np.random.default_rng(0)
    world = np.column_stack([rng.uniform(-300, 300, (40000, 2)), np.zeros(40000)])
    for cover in (0.1, 0.3, 0.5, 0.8):
        state = State.of(params_of(fa.Weather(snow_cover=cover), make_sample()))
        assert float(state.snow_on(world).mean()) == pytest.approx(cover, abs=0.06)
    assert State.of(params_of(fa.Weather(snow_cover=1.0), make_sample())).snow_on(world[:5]).tolist() == [1.0] * 5


def test_depth_is_not_kept_for_every_motion(street: fa.Sample) -> None:
    from fusion_aug.physics import depth

    sample = street.with_streams({n: street[n].realized() for n in ("CAM_FRONT", "LIDAR_TOP", "ego")})
    for seed in range(4):
        fa.Compose([fa.RotateScene(yaw_deg=[-40, 40]), fa.Fog(mor=100.0)])(sample, seed=seed)
    assert len(depth._KNOWN[sample["CAM_FRONT"]]) <= 1


def test_each_scanner_of_a_joint_cloud_has_its_own_drops(real_data) -> None:  # type: ignore[no-untyped-def]
    """Argoverse 2 joins two LiDARs in the vehicle's frame: flakes lie on rays from where each of them stands."""
    sample = fa.open_log("argoverse2", str(real_data / "argoverse2" / "val"))[0]
    name = next(n for n, s in sample.of_type(fa.Points).items() if s.origins)
    params = params_of(fa.Snow(snow_rate=2.0, report=True), sample)
    out = fa.Weather.apply_params(sample.with_streams({name: sample[name]}), params)[name]
    state = State.of(params)
    unit, time = sample.unit, int(out.times[0])
    scattered = out["status"] == 1
    places = torch.stack([unit.truth.T(out.frame, f, time)[:3, 3] for f in out.origins])[out["origin"].long()]  # type: ignore[attr-defined]
    T = T_world(sample, 0, out.frame, time)
    hits = total = 0
    for origin in torch.unique(places, dim=0):
        mine = scattered & (places == origin).all(1)
        found = (out["xyz"][mine].double() @ torch.from_numpy(T[:3, :3]).T + torch.from_numpy(T[:3, 3])).numpy()
        eye = T[:3, :3] @ origin.numpy() + T[:3, 3]
        key = digest(state.key, "particles", 0)
        flakes = [
            eye + c.offset for c in lattice.around(state.air.particles()[0], key, eye, time * 1e-9, state.air.wind)
        ]
        cloud = np.concatenate(flakes)
        for point in found[:60]:
            total += 1
            hits += float(np.linalg.norm(cloud - point, axis=1).min()) < 0.05 + 0.003 * np.linalg.norm(point - eye)
    assert total >= 40 and hits / total > 0.25, (hits, total)


def test_wheels_slip_the_same_way_in_reverse() -> None:
    times = torch.arange(0, 2_000_000_000, 20_000_000)
    speed = 1 + 2 * times.double() * 1e-9
    ratios = []
    for sign in (1, -1):
        velocity = torch.stack([sign * speed, 0 * speed, 0 * speed], 1)
        wheels = fa.Odometry(frame="ego", times=times, values={"velocity": velocity, "angular_velocity": 0 * velocity})
        sample = make_sample().with_streams({"wheels": wheels})
        out = fa.Weather(snow_cover=1.0)(sample, seed=1)["wheels"]["velocity"][:, 0]
        ratios.append(float((out / velocity[:, 0])[10:-10].mean()))
    assert ratios[0] > 1.03 and ratios[1] > 1.03


def test_lamps_do_not_burn_by_day(street: fa.Sample) -> None:
    sample = street.with_streams({n: street[n] for n in ("CAM_BACK", "CAM_BACK/depth", "boxes", "ego")})
    a, b = (fa.Night(illuminance=20000.0, lamps=x)(sample, seed=1)["CAM_BACK"].image(0) for x in (True, False))  # type: ignore[attr-defined]
    assert torch.equal(a, b)


def test_wrong_flags_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Weather\.report: expected true or false, got 'no'"):
        fa.Weather(report="no")  # type: ignore[arg-type]


def test_drops_on_the_lens_stay_and_turn_the_scene_upside_down(street: fa.Sample) -> None:
    half = torch.zeros((396, 704, 3), dtype=torch.uint8)
    half[:198] = 200  # bright above
    camera = replace(street["CAM_FRONT"], items=(half,))
    sample = street.with_streams({"CAM_FRONT": camera, "LIDAR_TOP": street["LIDAR_TOP"], "ego": street["ego"]})
    drops = fa.Weather(lens_drops=25)
    a = picture_of(drops(sample, seed=1))
    changed = (a - half.float()).abs().amax(-1) > 30
    assert 0.001 < float(changed.double().mean()) < 0.2
    assert float(a[250:][changed[250:]].max()) > 120  # below, the bottoms of drops show the sky
    later = fa.open_log("nuscenes", "datasets/drive")[8]
    after = replace(later["CAM_FRONT"], items=(half,))
    b = picture_of(
        drops(later.with_streams({"CAM_FRONT": after, "LIDAR_TOP": later["LIDAR_TOP"], "ego": later["ego"]}), seed=1)
    )
    assert torch.equal(a, b)
