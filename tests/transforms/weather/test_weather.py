"""One state of the air: identity, radars, boxes, wheels, wrong input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample
from weathers import radar_only

import fusion_aug as fa
from fusion_aug.errors import ConfigError
from fusion_aug.sample.ego import frame_twist
from fusion_aug.transforms.weather.place import T_world


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    return fa.open_log("nuscenes", DRIVE)[7]


def test_no_weather_is_the_identity_bit_by_bit(street: fa.Sample) -> None:
    out = fa.Weather(mor=None, rain_rate=0.0, snow_rate=0.0)(street, seed=1)
    assert all(out.streams[n] is s for n, s in street.streams.items())


@pytest.mark.parametrize("rate", [1e-6, 1e-4, 1e-2])
def test_the_lightest_rain_changes_next_to_nothing(rate: float) -> None:
    sample = make_sample()
    out = fa.Weather(rain_rate=rate)(sample, seed=1).realized()
    assert out["lidar"].rows >= 0.98 * sample["lidar"].rows
    for name, camera in sample.of_type(fa.Camera).items():
        change = (out[name].images.double() - camera.images.double()).abs()
        assert float(change.mean()) < 1.0, name


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
    T = T_world(sample, 0, "RADAR_FRONT", int(sample["RADAR_FRONT"].capture_times[0]))
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
    own = frame_twist(sample, 0, "RADAR_FRONT", int(sample["RADAR_FRONT"].capture_times[0]))[0].numpy()
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
    wheels = fa.Odometry(
        frame="ego", capture_times=times, values={"velocity": velocity, "angular_velocity": 0 * velocity}
    )
    sample = make_sample().with_streams({"wheels": wheels})
    out = fa.Weather(snow_cover=1.0, water_film=0.0)(sample, seed=1)["wheels"]["velocity"][:, 0] / speed
    gained, braked = (t > 0.5) & (t < 1.8), (t > 2.2) & (t < 3.5)
    slip = 0.1 * 2.5 / 9.81 * (1 / 0.2 - 1 / 0.9)
    assert float(out[gained].mean()) == pytest.approx(1 + slip, abs=0.05)
    assert float(out[braked].mean()) == pytest.approx(1 - slip, abs=0.05)
    dry = fa.Weather(mor=50.0)(sample, seed=1)["wheels"]["velocity"]
    assert torch.equal(dry, velocity)


def test_wheels_slip_the_same_way_in_reverse() -> None:
    times = torch.arange(0, 2_000_000_000, 20_000_000)
    speed = 1 + 2 * times.double() * 1e-9
    ratios = []
    for sign in (1, -1):
        velocity = torch.stack([sign * speed, 0 * speed, 0 * speed], 1)
        wheels = fa.Odometry(
            frame="ego", capture_times=times, values={"velocity": velocity, "angular_velocity": 0 * velocity}
        )
        sample = make_sample().with_streams({"wheels": wheels})
        out = fa.Weather(snow_cover=1.0)(sample, seed=1)["wheels"]["velocity"][:, 0]
        ratios.append(float((out / velocity[:, 0])[10:-10].mean()))
    assert ratios[0] > 1.03 and ratios[1] > 1.03


def test_two_names_of_one_fog_are_refused() -> None:
    with pytest.raises(ConfigError, match="either mor or visual_range"):
        fa.Weather(mor=100.0, visual_range=200.0)
    assert fa.Fog(visual_range=200.0).mor is None


def test_wrong_flags_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Weather\.report: expected true or false, got 'no'"):
        fa.Weather(report="no")  # type: ignore[arg-type]
