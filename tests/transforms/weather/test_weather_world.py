"""Drops, flakes, fog patches and snow are fixed in the world: every sensor finds the same ones at any time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from places import DRIVE
from samples import make_sample
from weathers import KEY, params_of, picture_of

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.ops.random import digest
from fusion_aug.physics import lattice
from fusion_aug.physics.field import FogField, Puffs
from fusion_aug.physics.precipitation import Snow
from fusion_aug.transforms.weather.particles import streaks_seen
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    return fa.open_log("nuscenes", DRIVE)[7]


def test_particles_move_on_by_their_own_velocity() -> None:
    """At another place and a later time, every particle that is still near is where its velocity took it."""
    snow, place, wind, later = Snow.of(2.0), np.array([812.3, -45.1, 1.2]), (3.0, -1.0), 0.5
    second = place + np.array([1.5, -0.7, 0.2])
    first = list(lattice.particles_around(snow, KEY, place, 1e9, wind))
    again = list(lattice.particles_around(snow, KEY, second, 1e9 + later, wind))
    for a, b in zip(first, again, strict=True):
        before = place + a.offset.astype(float) + a.velocity * later
        after = second + b.offset.astype(float)
        near = np.linalg.norm(a.offset, axis=1) < 0.4 * a.reach
        # a cube that repeats may show the neighbouring image of a particle at its rim
        assert np.abs(before - after)[near & (np.linalg.norm(b.offset, axis=1) < 0.9 * b.reach)].max() < 1e-3
        assert near.sum() > 100


@pytest.mark.parametrize("frame, camera", [(7, "CAM_FRONT_LEFT"), (7, "FISHEYE_FRONT"), (8, "CAM_FRONT")])
def test_two_cameras_and_two_times_see_the_same_flakes(frame: int, camera: str) -> None:
    """Flakes near one camera, moved on by their velocity, are drawn where another one sees them later."""
    log = fa.open_log("nuscenes", DRIVE)
    params = params_of(fa.Snow(snow_rate=2.0, wind=1.0, wind_deg=30.0), log[7])
    state = WeatherState.of(params)
    snow, key = state.air.particles()[0], digest(state.key, "particles", 0)
    base, other = (WeatherView(call_for(log[k], c, params), 0) for k, c in ((7, "CAM_FRONT"), (frame, camera)))
    start, stop, *_ = streaks_seen(other, state, snow, key)
    drawn = (start + stop) / 2
    seen_by_both = found = 0
    for cloud in lattice.particles_around(snow, key, base.T_world[:3, 3], base.seconds, state.air.wind):
        gone = cloud.velocity * (other.seconds - base.seconds)
        world = base.T_world[:3, 3] + cloud.offset.astype(float) + gone
        local = (world - other.T_world[:3, 3]) @ other.T_world[:3, :3]
        far = np.linalg.norm(local, axis=1)
        # well within what is known about both places, near enough to show, and large
        near = (far < min(4.0, 0.8 * cloud.reach)) & (far > 0.8) & (np.linalg.norm(cloud.offset, axis=1) < cloud.reach)
        near &= cloud.diameter > 1.5
        pixels, seen = other.project(local[near])
        rim = np.array(other.size[::-1]) - 12
        seen &= (pixels > 12).all(1) & (pixels < rim).all(1) & other.is_unoccluded(pixels, far[near])
        seen_by_both += int(seen.sum())
        found += sum(np.linalg.norm(drawn - pixel, axis=1).min() < 0.7 for pixel in pixels[seen])
    assert seen_by_both >= 20 and found >= 0.95 * seen_by_both, (found, seen_by_both)


def test_clouds_drift_with_the_wind_and_their_path_has_a_closed_form() -> None:
    clouds = FogField.of(KEY, 0.9, (5.0, 2.0))
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


def test_patches_of_snow_cover_the_given_share() -> None:
    rng = np.random.default_rng(0)
    world = np.column_stack([rng.uniform(-300, 300, (40000, 2)), np.zeros(40000)])
    for cover in (0.1, 0.3, 0.5, 0.8):
        state = WeatherState.of(params_of(fa.Weather(snow_cover=cover), make_sample()))
        assert float(state.snow_on(world).mean()) == pytest.approx(cover, abs=0.06)
    assert (
        WeatherState.of(params_of(fa.Weather(snow_cover=1.0), make_sample())).snow_on(world[:5]).tolist() == [1.0] * 5
    )


def test_one_draw_for_a_scene() -> None:
    """Samples of a scene share the air; another scene has its own."""
    weather = fa.Weather(mor=[50, 500], rain_rate=[0, 30])
    a, b, c = (
        weather(make_sample(i, scene=s), seed=1).history[0].params[""] for i, s in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    assert {k: v for k, v in a.items() if k != "noise"} == {k: v for k, v in b.items() if k != "noise"}
    assert a["noise"] != b["noise"] and a["key"] != c["key"]


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
