"""Lamps in the dark: on the bodies of traffic, on posts beside the road, and in the mirror of a wet road."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from places import DRIVE
from weathers import params_of, picture_of

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.transforms.weather.lamps import _shown, _street_lamps, _traffic_lamps, lamps_seen
from fusion_aug.transforms.weather.place import T_ref_vehicle, T_world_ref
from fusion_aug.transforms.weather.posts import LAMP_HEIGHT, LANE, lamp_feet, raise_posts
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

DUSK = fa.Night(illuminance=100.0)  # lamps burn, but light nothing yet


def street_at(index: int) -> fa.Sample:
    """A keyframe of the sample log with depth and classes, in which all vehicles drive."""
    sample = fa.open_log("nuscenes", DRIVE)[index]
    kept = {n: sample[n] for n in ("CAM_FRONT", "CAM_FRONT/depth", "CAM_FRONT/classes", "LIDAR_TOP", "ego", "boxes")}
    velocity = torch.full_like(sample["boxes"]["velocity"], 5.0)
    return sample.with_streams({**kept, "boxes": sample["boxes"].with_values(velocity=velocity)})  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    return street_at(7)


def seen_from(sample: fa.Sample) -> tuple[WeatherView, WeatherState]:
    return WeatherView(call_for(sample, "CAM_FRONT", {}), 0), WeatherState.of(params_of(DUSK, sample))


def test_lamps_of_traffic_sit_on_bodies(street: fa.Sample) -> None:
    view, _ = seen_from(street)
    classes, names = street["CAM_FRONT/classes"].image(0), street["CAM_FRONT/classes"].label_names  # type: ignore[attr-defined]
    shown = [s for _, *s in _shown(view, _traffic_lamps(view))]
    assert len(shown) >= 8
    on = [names[int(classes[round(v), round(u)])] for _, (u, v), _, _ in shown]
    assert on.count("vehicle") >= 0.9 * len(on), on


def test_parked_vehicles_have_no_lamps(street: fa.Sample) -> None:
    still = street["boxes"].with_values(velocity=torch.zeros_like(street["boxes"]["velocity"]))  # type: ignore[attr-defined]
    assert not _traffic_lamps(seen_from(street.with_streams({**street.streams, "boxes": still}))[0])


def test_every_street_lamp_stands_on_a_post_beside_the_lane(street: fa.Sample) -> None:
    view, state = seen_from(street)
    T = np.linalg.inv(T_ref_vehicle(street, 0))
    feet = lamp_feet(view, state)
    assert len(feet) > 50 and (np.abs(feet @ T[1, :3] + T[1, 3]) >= LANE).all()
    view.distance = np.full(view.size, 1000.0, np.float32)  # nothing hides a post
    white = np.full((*view.size, 3), 200, np.uint8)
    out = raise_posts(white, view, state, np.full(3, 0.5))
    T_cam, found = np.linalg.inv(view.T_ref), 0
    for lamp, foot in zip(_street_lamps(view, state), feet, strict=True):
        top, under = (T_cam[:3, :3] @ p + T_cam[:3, 3] for p in (lamp.places[0], 0.6 * lamp.places[0] + 0.4 * foot))
        assert np.linalg.norm(lamp.places[0] - foot) == pytest.approx(LAMP_HEIGHT)
        pixels, seen = view.project(np.stack([top, under]))
        if not seen.all() or not 5 < np.linalg.norm(top) < 120:
            continue
        u, v = np.round(pixels[1]).astype(int)
        around = np.s_[max(0, v - 1) : v + 2, max(0, u - 1) : u + 2]
        assert out[around].min() < 190
        if np.linalg.norm(top) < 30:  # wide enough to be what the pixel shows
            assert view.distance[around].min() < 1.2 * np.linalg.norm(top)
        found += 1
    assert found >= 2
    assert (white == 200).all()


def test_street_lamps_stay_at_their_places_in_the_world() -> None:
    known = []
    for sample in (street_at(7), street_at(14)):
        view, state = seen_from(sample)
        T = T_world_ref(sample, 0)
        known.append({tuple(np.round(p, 3)) for p in (lamp_feet(view, state) @ T[:3, :3].T + T[:3, 3])[:, :2]})
    assert len(known[0] & known[1]) > 40


def test_what_stands_before_lamps_hides_them(street: fa.Sample) -> None:
    near = replace(street["CAM_FRONT/depth"], items=(torch.full((396, 704), 2.0),))
    walled = street.with_streams({**street.streams, "CAM_FRONT/depth": near})
    lit, dark = (picture_of(fa.Night(illuminance=100.0, lamps=lamps)(walled, seed=1)) for lamps in (True, False))
    assert torch.equal(lit, dark)
    lit, dark = (picture_of(fa.Night(illuminance=100.0, lamps=lamps)(street, seed=1)) for lamps in (True, False))
    assert (lit - dark).max() > 50


def test_a_wet_road_draws_lamps_out_below_them(street: fa.Sample) -> None:
    lit = {}
    for film in (0.0, 1.0):
        view, _ = seen_from(street)
        state = WeatherState.of(params_of(fa.Night(illuminance=100.0, water_film=film), street))
        lit[film] = lamps_seen(np.zeros((*view.size, 3), np.float32), view, state)
    streak = (lit[1.0] - lit[0.0]).max(2)
    view, _ = seen_from(street)
    assert (streak[view.ground == 0] == 0).all()
    count, _, stats, _ = cv2.connectedComponentsWithStats((streak > 0.1).astype(np.uint8))
    across, down = stats[1:, cv2.CC_STAT_WIDTH], stats[1:, cv2.CC_STAT_HEIGHT]
    assert count > 2 and (down[across > 2] > 5 * across[across > 2]).mean() > 0.7


def test_lamps_are_switched_on_at_dusk(street: fa.Sample) -> None:
    burn = [WeatherState.of(params_of(fa.Night(illuminance=lux), street)).lamps_burn for lux in (1.0, 150.0, 300.0)]
    assert burn == [True, True, False]
    assert not WeatherState.of(params_of(fa.Night(illuminance=1.0, lamps=False), street)).lamps_burn
