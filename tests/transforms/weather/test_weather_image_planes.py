"""Weather lies in the world, not on the canvas: cut, resized or flipped pictures show the same of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from places import DRIVE
from weathers import params_of

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.transforms.weather.snow import lay_snow
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

WEATHERS = [fa.Weather(snow_cover=0.6), fa.WetRoad(water_film=0.8), fa.Weather(lens_drops=20)]
NAMES = ["snow", "wet", "lens"]


@pytest.fixture(scope="module")
def street() -> fa.Sample:
    """The front camera of a keyframe with a depth stream, which image planes move along."""
    sample = fa.open_log("nuscenes", DRIVE)[7]
    keep = ("CAM_FRONT", "CAM_FRONT/depth", "LIDAR_TOP", "ego", "boxes")
    return sample.with_streams({n: sample[n] for n in keep})


def levels(sample: fa.Sample) -> np.ndarray:
    return sample["CAM_FRONT"].image(0).numpy().astype(int)  # type: ignore[attr-defined]


def snow_of(sample: fa.Sample, cover: float) -> np.ndarray:
    """Share (H, W) of the pixels that snow covers."""
    params = params_of(fa.Weather(snow_cover=cover), sample)
    view = WeatherView(call_for(sample, "CAM_FRONT", params), 0)
    return lay_snow(levels(sample).astype(np.uint8), view, WeatherState.of(params))[1]


@pytest.mark.parametrize("weather", WEATHERS, ids=NAMES)
def test_a_flip_and_weather_commute(street: fa.Sample, weather: fa.Weather) -> None:
    flip = fa.FlipImage(p=1.0)
    before, after = levels(flip(weather(street, seed=1), seed=1)), levels(weather(flip(street, seed=1), seed=1))
    off = np.abs(before - after).max(2)
    assert np.abs(before - levels(flip(street, seed=1))).max() > 40
    assert off.max() <= 2 and np.mean(off > 1) < 1e-4


@pytest.mark.parametrize("size", [(330, 500), (331, 501), (240, 704)])
def test_a_crop_moves_no_snow(street: fa.Sample, size: tuple[int, int]) -> None:
    crop = fa.Crop(size=size, x=0.5, y=1.0)
    rows, columns = 396 - size[0], round((704 - size[1]) / 2)
    whole = snow_of(street, 0.6)[rows:, columns : columns + size[1]]
    cut = snow_of(crop(street, seed=1), 0.6)
    inner = np.abs(whole - cut)[16:-16, 16:-16]  # kernels see no further at the rims
    assert (whole > 0.5).mean() > 0.1 and inner.mean() < 0.01 and np.mean(inner > 0.5) < 0.002


@pytest.mark.parametrize("scale", [0.5, 0.75])
def test_resized_pictures_have_snow_in_the_same_places(street: fa.Sample, scale: float) -> None:
    size = (round(396 * scale), round(704 * scale))
    small = snow_of(fa.ResizeCrop(size=size, scale=scale)(street, seed=1), 0.6)
    whole = cv2.resize(snow_of(street, 0.6), size[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small - whole).mean() < 0.03 and np.mean(np.abs(small - whole) > 0.5) < 0.01
    assert small.mean() == pytest.approx(whole.mean(), rel=0.05)


def test_drops_hang_on_the_glass_of_the_camera(street: fa.Sample) -> None:
    """A crop cuts some of them off, and the others stay where they are, as large."""
    drops, crop = fa.Weather(lens_drops=30), fa.Crop(size=(300, 500), x=0.5, y=0.5)
    before, clear = levels(crop(drops(street, seed=1), seed=1)), levels(crop(street, seed=1))
    after = levels(drops(crop(street, seed=1), seed=1))
    hit = [np.abs(x - clear).max(2) > 8 for x in (before, after)]
    both = (hit[0] & hit[1]).sum() / (hit[0] | hit[1]).sum()
    assert hit[0].mean() > 0.02 and both > 0.7
