"""Snow and water on the ground, and what falls, in pictures: against the truth of made streets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from places import DRIVE
from weathers import params_of, picture_of

import fusion_aug as fa
from benchmarks.ground_weather import count_snow, mirror_errors, views
from benchmarks.ground_weather import params_of as fixed
from fusion_aug.check.air import call_for
from fusion_aug.ops.random import digest
from fusion_aug.ops.streaks import cover
from fusion_aug.transforms.weather.particles import particle_mask
from fusion_aug.transforms.weather.place import T_ref_vehicle
from fusion_aug.transforms.weather.snow import lay_snow, over_kerbs
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.surfaces import SurfaceCells, bare_ground, wheel_tracks
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.wet import wet_road


@pytest.fixture(scope="module")
def drive() -> fa.Sample:
    """A keyframe of the sample log with depth streams."""
    return fa.open_log("nuscenes", DRIVE)[7]


def only(sample: fa.Sample, *names: str) -> fa.Sample:
    return sample.with_streams({n: sample[n] for n in names})


def seen(sample: fa.Sample, weather: fa.Weather, camera: str = "CAM_FRONT") -> tuple[WeatherView, WeatherState]:
    params = params_of(weather, sample)
    return WeatherView(call_for(sample, camera, params), 0), WeatherState.of(params)


def test_snow_lies_on_what_truly_faces_up(street: Path) -> None:
    params = fixed(fa.Weather(snow_cover=0.6))
    counts = np.array([count_snow(view, world, params) for view, world in views(str(street), params)])
    snow, up, _, _ = counts.sum(0)
    assert len(counts) == 30 and snow > 1e5 and up >= 0.8 * snow


def test_snow_lies_on_roofs_and_hoods_where_distances_tell_their_shape() -> None:
    params = fixed(fa.Weather(snow_cover=1.0))
    counts = np.array([count_snow(view, world, params) for view, world in views(str(DRIVE), params, depth=True)])
    _, _, high, high_up = counts.sum(0)
    assert len(counts) == 12 and high > 500 and high_up >= 0.7 * high


def test_wet_ground_mirrors_what_a_ray_meets(street: Path) -> None:
    params = fixed(fa.WetRoad(water_film=0.8))
    for depth, share in ((True, 0.94), (False, 0.85)):
        error = np.concatenate([mirror_errors(view, world) for view, world in views(str(street), params, depth)])
        assert len(error) > 10_000 and np.median(error) < 0.5 and np.mean(error <= 2.0) >= share, depth


def test_a_whole_cover_leaves_no_bare_ground(drive: fa.Sample) -> None:
    view, state = seen(drive, fa.Weather(snow_cover=1.0))
    picture = drive["CAM_FRONT"].image(0).numpy()  # type: ignore[attr-defined]
    after = lay_snow(picture, view, state)[0].astype(int)
    ground = cv2.erode((bare_ground(view) > 0.99).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert ground.mean() > 0.9 * (view.ground > 0.99).mean() > 0.2
    assert after[ground].min() > 90 and np.ptp(after[ground], axis=1).max() < 40  # white, in shadows too
    assert 1.0 < after[ground].mean(1).std() < 40  # with shades of its own


@pytest.mark.parametrize("depth", [True, False])
def test_feet_of_things_are_no_ground(drive: fa.Sample, depth: bool) -> None:
    """Of people and vehicles little is taken for ground, and the road is."""
    names = ("CAM_FRONT", "LIDAR_TOP", "ego", *(["CAM_FRONT/depth"] if depth else []))
    view, _ = seen(only(drive, *names), fa.Weather(snow_cover=1.0))
    masks = drive["CAM_FRONT/classes"]
    classes = masks.image(0).numpy()  # type: ignore[attr-defined]
    before, after = view.ground, bare_ground(view)
    for name, most in (("person", 0.08), ("vehicle", 0.07)):
        mine = classes == masks.label_names.index(name)  # type: ignore[attr-defined]
        assert mine.sum() > 5000 and after[mine].mean() < min(most, 0.7 * before[mine].mean()), name
    assert after[classes == masks.label_names.index("road")].mean() > 0.98  # type: ignore[attr-defined]


def test_snow_goes_from_wheel_tracks_first(drive: fa.Sample) -> None:
    view, _ = seen(drive, fa.Weather(snow_cover=0.5))
    place = np.zeros((1, 3, 3), np.float32)
    place[0, :, 0] = 8.0
    place[0, :, 1] = (-0.78, 0.0, 6.0)
    left, middle, far = wheel_tracks(view, place)[0].tolist()
    assert left > 0.5 and middle < 0.1 and far < 1e-3
    same = np.full((1, 1, 3), (8.0, -0.78, 0.0), np.float32)
    assert float(wheel_tracks(view, same)[0, 0]) == pytest.approx(left, abs=1e-6)


@pytest.mark.parametrize("speed", [6.0, -6.0])
def test_wheel_tracks_follow_the_turn_in_reverse_too(drive: fa.Sample, speed: float) -> None:
    """A vehicle on a circle of 20 m about a point on its left has it there whichever way it drives."""
    view, _ = seen(drive, fa.Weather(snow_cover=0.5))
    axes = view.T_ref[:3, :3].T @ T_ref_vehicle(drive, 0)[:3, :3]  # of the vehicle in the camera's
    view.twist = (axes[:, 0] * speed, axes[:, 2] * speed / 20.0)  # type: ignore[misc]
    angle = 0.4
    place = np.full((1, 2, 3), 0.0, np.float32)
    for k, radius in enumerate((20.0 - 0.78, 20.0)):  # the left wheels' track, and the middle between both
        place[0, k, :2] = radius * np.sin(angle), 20.0 - radius * np.cos(angle)
    track, between = wheel_tracks(view, place)[0].tolist()
    assert track > 0.4 and between < 0.2


def test_wet_ground_under_snow_is_no_mirror(drive: fa.Sample) -> None:
    picture = drive["CAM_FRONT"].image(0).numpy()  # type: ignore[attr-defined]
    view, state = seen(drive, fa.Weather(snow_cover=0.5, water_film=0.8))
    white, snow = lay_snow(picture, view, state)
    wet = wet_road(white, view, state, snow).astype(int)
    covered, bare = (snow > 0.995) & (view.ground > 0.99), (snow < 0.005) & (view.ground > 0.99)
    assert covered.sum() > 3000 and bare.sum() > 3000
    assert np.abs(wet - white)[covered].max() <= 1 and np.abs(wet - white)[bare].mean() > 8


def test_patches_of_snow_stay_in_their_place_from_frame_to_frame() -> None:
    """Ground that two keyframes show has the same snow in both, by the same light."""
    log = fa.open_log("nuscenes", DRIVE)
    shares = []
    for k in (7, 14):
        sample = log[k]
        view, state = seen(sample, fa.Weather(snow_cover=0.5))
        rays = view.sensor.unproject(torch.tensor([[300.0, 330.0], [400.0, 300.0], [500.0, 280.0]]))
        world = view.T_world[:3, 3] + (rays.numpy() @ view.T_world[:3, :3].T) * 9.0
        shares.append((state, world))
    (a, here), (b, there) = shares
    assert np.array_equal(a.snow_on(here), b.snow_on(here)) and np.array_equal(a.snow_on(there), b.snow_on(there))


def test_wet_ground_is_darker_and_more_colourful_where_it_mirrors_little(drive: fa.Sample) -> None:
    picture = np.full((396, 704, 3), (110, 90, 70), np.uint8)
    view, state = seen(drive, fa.WetRoad(water_film=0.1))
    after = wet_road(picture, view, state).astype(float)
    near = view.ground[360:] > 0.99
    ratio = (after[360:] / picture[360:])[near].mean(0)
    assert near.sum() > 5000 and (ratio < 0.9).all() and ratio[0] > ratio[1] > ratio[2]
    assert np.array_equal(after[:100], picture[:100])


def test_rain_shows_before_the_dark_and_not_before_the_light(drive: fa.Sample) -> None:
    view, state = seen(drive, fa.Rain(rain_rate=25.0))
    mask = particle_mask(view, state, state.air.particles()[0], digest("rain"))
    change = []
    for level in (15, 200):
        picture = np.full((396, 704, 3), level, np.uint8)
        change.append(np.quantile(np.abs(cover(picture, mask, np.full(3, 0.6)).astype(int) - level), 0.995))
    assert change[0] >= 4 and change[1] <= 0.25 * change[0]


def test_drops_on_the_lens_have_soft_rims(drive: fa.Sample) -> None:
    dark = replace(drive["CAM_FRONT"], items=(torch.zeros((396, 704, 3), dtype=torch.uint8),))
    sample = drive.with_streams({"CAM_FRONT": dark, "CAM_FRONT/depth": drive["CAM_FRONT/depth"], "ego": drive["ego"]})
    half = dark.image(0).clone()  # type: ignore[attr-defined]
    half[:198] = 200
    lens = sample.with_streams({**sample.streams, "CAM_FRONT": replace(dark, items=(half,))})
    picture = picture_of(fa.Weather(lens_drops=25)(lens, seed=1))[210:]
    assert float(picture.max()) > 40 and float(picture.diff(dim=1).abs().max()) < 0.2 * float(picture.max())


def test_threads_change_no_byte(drive: fa.Sample) -> None:
    sample = only(drive, "CAM_FRONT", "CAM_FRONT/depth", "LIDAR_TOP", "ego")
    threads = cv2.getNumThreads()
    pictures = []
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            weather = fa.Weather(rain_rate=20.0, snow_rate=1.0, snow_cover=0.5, water_film=0.9, lens_drops=9)
            pictures.append(picture_of(weather(sample, seed=1)))
    finally:
        cv2.setNumThreads(threads)
    assert torch.equal(*pictures)


@pytest.mark.parametrize("weather", [fa.Weather(snow_cover=0.6), fa.WetRoad(water_film=1.0)])
def test_pictures_of_float64_get_what_float32_gets(drive: fa.Sample, weather: fa.Weather) -> None:
    sample = only(drive, "CAM_FRONT", "CAM_FRONT/depth", "ego")
    levels = picture_of(sample) / 255
    found = []
    for dtype in (torch.float32, torch.float64):
        camera = replace(sample["CAM_FRONT"], items=(levels.to(dtype),))
        given = sample.with_streams({**sample.streams, "CAM_FRONT": camera})
        found.append(weather(given, seed=1)["CAM_FRONT"].image(0))  # type: ignore[attr-defined]
    assert found[1].dtype == torch.float64 and torch.equal(found[0].double(), found[1])
    assert float((found[0] - levels).abs().max()) > 0.1


@pytest.mark.parametrize(("tall", "snowed"), [(0.3, True), (0.9, False)])
def test_snow_hides_kerbs_and_not_the_base_of_barriers(tall: float, snowed: bool) -> None:
    rows, columns, focal, away = 120, 200, 600.0, 12.0
    foot, top = 80, round(80 - tall / away * focal)
    v = np.arange(rows)[:, None] * np.ones((1, columns))
    body = (v >= top) & (v < foot)
    above = np.where(body, (foot - v) * away / focal, 0.0).astype(np.float32)
    ground, distance = (~body).astype(np.float32), np.full((rows, columns), away, np.float32)
    cells = SurfaceCells(distance, np.zeros((rows, columns, 3), np.float32), ground, above, ground, focal)
    low = over_kerbs(cells)[foot - 12 : foot - 3]
    assert low.min() == 1 if snowed else low.max() == 0
