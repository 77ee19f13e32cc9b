"""Lit windows: on facades of the made street alone, the same from every camera, few, and hidden behind things."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from places import DRIVE
from weathers import params_of, picture_of

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.synth.drive import T0
from fusion_aug.synth.town import make_town
from fusion_aug.synth.world import KINDS, Scenery
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.windows import _draw, _is_on_a_wall, _lit, facades_around, lit_windows_seen

NIGHT = fa.Night(illuminance=5.0, lit_windows=1.0)
CAMERAS = (
    "CAM_FRONT", "CAM_FRONT_LEFT", "CAM_FRONT_RIGHT", "CAM_BACK", "CAM_BACK_LEFT", "CAM_BACK_RIGHT", "FISHEYE_FRONT"
)  # fmt: skip


@pytest.fixture(scope="module")
def scenery() -> Scenery:
    return Scenery(make_town(0))


def keyframe(index: int, depth: bool = True) -> fa.Sample:
    sample = fa.open_log("nuscenes", DRIVE)[index]
    kept = {n: s for n, s in sample.streams.items() if depth or not isinstance(s, fa.Depth)}
    return sample.with_streams(kept)


def seen_from(sample: fa.Sample, camera: str, weather: fa.Weather = NIGHT) -> tuple[WeatherView, WeatherState]:
    return WeatherView(call_for(sample, camera, {}), 0), WeatherState.of(params_of(weather, sample))


def rays_of(view: WeatherView, pixels: np.ndarray) -> np.ndarray:
    """Unit rays (n, 3) in the world of pixels (n, 2)."""
    rays = view.sensor.unproject(torch.from_numpy(pixels.astype(float))).numpy()
    return rays @ view.T_world[:3, :3].T


def lit_pixels(view: WeatherView, state: WeatherState) -> np.ndarray:
    black = np.zeros((*view.size, 3), np.float32)
    return np.argwhere(lit_windows_seen(black, view, state).max(2) > 0.05)[:, ::-1]


@pytest.mark.parametrize("index, depth", [(0, False), (7, True), (14, True), (14, False)])
def test_windows_lie_on_facades(index: int, depth: bool, scenery: Scenery) -> None:
    sample, on, total = keyframe(index, depth), 0, 0
    for camera in CAMERAS:
        view, state = seen_from(sample, camera)
        pixels = lit_pixels(view, state)
        world = scenery.at((view.time - T0 * 1000) * 1e-9)
        hits = world.cast(view.T_world[None, :3, 3], rays_of(view, pixels))
        body = np.maximum(hits.body, 0)
        wall = (hits.body >= 0) & (scenery.kind[body] == KINDS.index("building")) & (np.abs(hits.normal[:, 2]) < 0.1)
        on, total = on + int(wall.sum()), total + len(pixels)
    assert total > 2000
    assert on >= 0.95 * total, (on, total)


def drawn_places(sample: fa.Sample, camera: str, scenery: Scenery) -> dict[tuple[float, ...], np.ndarray]:
    """Where the pixels of each window truly lie in the world, by the numbers drawn for its place in the raster."""
    view, state = seen_from(sample, camera)
    world = scenery.at((view.time - T0 * 1000) * 1e-9)
    out: dict[tuple[float, ...], np.ndarray] = {}
    for window in (w for facade in facades_around(view) for w in _lit(facade, view, state)):
        if not _is_on_a_wall(view, window):
            continue
        black = np.zeros((*view.size, 3), np.float32)
        _draw(black, view, window)
        pixels = np.argwhere(black.max(2) > 0.3 * black.max())[:, ::-1]
        points = world.cast(view.T_world[None, :3, 3], rays_of(view, pixels)).point
        spread = np.ptp(points, axis=0)
        # wholly shown, by pixels enough, none of which is half of what lies before or behind
        if spread[2] > 1.2 and np.linalg.norm(spread) < 2.0 and len(pixels) > 80:
            out[tuple(window.draws.tolist())] = (points.min(0) + points.max(0)) / 2
    return out


def test_two_cameras_and_two_frames_have_a_window_at_one_place(scenery: Scenery) -> None:
    side, fish = (drawn_places(keyframe(7), c, scenery) for c in ("CAM_FRONT_RIGHT", "FISHEYE_FRONT"))
    later = drawn_places(keyframe(8), "FISHEYE_FRONT", scenery)
    for one, other in ((side, fish), (fish, later)):
        off = [np.linalg.norm(one[k] - other[k]) for k in one.keys() & other.keys()]
        assert len(off) >= 3 and max(off) < 0.2, off


def test_few_windows_are_lit_and_the_same_ones_for_a_key() -> None:
    view, state = seen_from(keyframe(7), "CAM_FRONT")
    facades = facades_around(view)

    def places(key: str, share: float) -> set[tuple[float, ...]]:
        some = replace(state, key=key, lit_windows=share)
        return {tuple(w.middle.tolist()) for facade in facades for w in _lit(facade, view, some)}

    every = places("a", 1.0)
    drawn = [places(f"key {i}", 0.1) for i in range(30)]
    assert len(every) > 50 and all(d <= every for d in drawn)
    share = np.mean([len(d) for d in drawn]) / len(every)
    assert 0.08 < share < 0.12, share
    assert places("key 0", 0.1) == drawn[0] != drawn[1]
    assert drawn[0] < places("key 0", 0.5)


def test_what_stands_before_a_facade_hides_its_windows() -> None:
    street = keyframe(7)
    near = replace(street["CAM_FRONT/depth"], items=(torch.full((396, 704), 2.0),))
    walled = street.with_streams({**street.streams, "CAM_FRONT/depth": near})
    for sample, changes in ((street, True), (walled, False)):
        lit, dark = (picture_of(fa.Night(illuminance=5.0, lit_windows=share)(sample, seed=1)) for share in (1.0, 0.0))
        assert bool((lit - dark).max() > 40) == changes


def test_windows_are_lit_in_the_dark_alone_and_with_the_lamps() -> None:
    sample = keyframe(7)
    for weather in (
        fa.Weather(mor=300.0, lit_windows=1.0),
        fa.Night(illuminance=300.0, lit_windows=1.0),
        fa.Night(illuminance=5.0, lamps=False, lit_windows=1.0),
    ):
        off = replace(weather, lit_windows=0.0)
        assert torch.equal(picture_of(weather(sample, seed=1)), picture_of(off(sample, seed=1))), weather


def test_fog_dims_windows_and_a_wet_road_mirrors_them() -> None:
    sample, light = keyframe(7), {}
    for name, more in (("clear", {}), ("fog", {"mor": 60.0}), ("wet", {"water_film": 1.0})):
        lit, dark = (
            picture_of(fa.Night(illuminance=5.0, lit_windows=share, overcast=1.0, **more)(sample, seed=1))
            for share in (1.0, 0.0)
        )
        light[name] = lit - dark
    view, _ = seen_from(sample, "CAM_FRONT")
    road = torch.from_numpy(view.ground) > 0.9
    assert 0 < light["fog"].max() < 0.8 * light["clear"].max()
    assert light["clear"][road].abs().max() == 0 < light["wet"][road].max()
