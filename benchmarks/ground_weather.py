"""Where snow lies and what wet roads mirror, against the truth of made streets.

python -m benchmarks.ground_weather LOG [LOG ...]    logs of ``fusion-aug synth drive``

Prints, pooled over all pictures: the share of snow pixels that lie on surfaces which truly face up (normal z > 0.7), by
LiDAR and picture alone; and the angle between where wet ground takes its mirror image from and where a ray that the
ground mirrors goes (Open3D), over ground pixels whose true source the picture shows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import fusion_aug as fa
from fusion_aug.check.air import call_for
from fusion_aug.ops.grid import pixel_grid
from fusion_aug.ops.layers import cell_middles
from fusion_aug.synth.drive import T0
from fusion_aug.synth.town import make_town
from fusion_aug.synth.world import Scenery, World
from fusion_aug.transforms.weather.snow import lay_snow
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.wet import grid_of_mirror, mirrored_pixels

COVERS = (0.3, 0.6, 1.0)
UP = 0.7  # upward component of the normal of what faces up
HIGH = 0.3  # metres above the ground
HALF = (slice(None, None, 2), slice(None, None, 2))  # every fourth pixel is counted
CHANGED = 8  # levels, by which snow shows in a picture


def views(root: str, params: dict, depth: bool = False) -> Iterator[tuple[WeatherView, World]]:
    """Every picture of a log's cameras, either without depth or those that have it, and the world when it was taken."""
    log = fa.open_log("nuscenes", root)
    scene = json.loads(next(Path(root).glob("v1.0-*/scene.json")).read_text())[0]
    scenery = Scenery(make_town(int(scene["name"].rsplit("-", 1)[-1])))
    for k in range(len(log)):
        sample = log[k]
        names = [n for n in sample.streams if n.startswith("CAM_") and "/" not in n]
        names = [n for n in names if f"{n}/depth" in sample.streams or not depth]
        kept = {n: s for n, s in sample.streams.items() if depth or not isinstance(s, fa.Depth)}
        sample = sample.with_streams(kept)
        for name in names:
            view = WeatherView(call_for(sample, name, params), 0)
            yield view, scenery.at((view.time - T0 * 1000) * 1e-9)


def params_of(weather: fa.Weather, sample: fa.Sample | None = None) -> dict:
    """Parameters of a weather, drawn from a fixed key."""
    drawn = weather.sample_params(np.random.default_rng(0), sample, fa.core.registry.Context({}))  # type: ignore[arg-type]
    return {**drawn, "noise": "0" * 32, "key": "0" * 32}


def rays_of(view: WeatherView, pixels: torch.Tensor) -> np.ndarray:
    """Rays (..., 3) of a picture's pixels (..., 2) in the world."""
    return view.sensor.unproject(pixels).numpy() @ view.T_world[:3, :3].T


class SnowCount(NamedTuple):
    """Pixels that snow changed, in all and at heights above ``HIGH``, and those of them that truly face up."""

    snow: int
    up: int
    high: int
    high_up: int


def count_snow(view: WeatherView, world: World, params: dict) -> SnowCount:
    """Count every fourth pixel of a picture."""
    picture = view.stream.image(0).numpy()  # type: ignore[union-attr]
    after, _ = lay_snow(picture, view, WeatherState.of(params))
    snow = (np.abs(after.astype(int) - picture).max(2) > CHANGED)[HALF].reshape(-1)
    hits = world.cast(view.T_world[None, :3, 3], rays_of(view, pixel_grid(view.size)[HALF].reshape(-1, 2)))
    up, high = hits.normal[:, 2] > UP, hits.point[:, 2] > HIGH
    return SnowCount(*(int(x.sum()) for x in (snow, snow & up, snow & high, snow & high & up)))


def mirror_errors(view: WeatherView, world: World) -> np.ndarray:
    """Angles (n,), degrees, between taken and true sources of mirror images, where the picture shows the true one."""
    taken, on = mirrored_pixels(view)
    origin = view.T_world[:3, 3]
    own = rays_of(view, torch.from_numpy(cell_middles(view.size, grid_of_mirror(view))[on]))
    place = origin + own * np.minimum(-origin[2] / np.minimum(own[:, 2], -1e-6), 1e4)[:, None]
    ground = np.linalg.norm(world.cast(origin[None], own).point - place, axis=1) < 0.05
    own, place, pixel = own[ground], place[ground], taken.pixel[ground]
    away = own * [1, 1, -1]
    hits = world.cast(place + np.array([0, 0, 1e-3]), away)
    sky = ~np.isfinite(hits.distance)
    source = np.where(sky[:, None], away, hits.point - origin)
    reach = np.linalg.norm(source, axis=1)
    source /= reach[:, None]
    seen = np.nan_to_num(world.cast(origin[None], source).distance, posinf=1e9)
    shown = np.where(sky, seen == 1e9, np.abs(seen - reach) < 0.02 * reach + 0.05)
    shown &= view.project(source @ view.T_world[:3, :3] * 100)[1]
    cosine = (rays_of(view, torch.from_numpy(pixel)) * source).sum(1).clip(-1, 1)
    return np.degrees(np.arccos(cosine))[shown]


def print_snow(roots: list[str]) -> None:
    """Print the share of snow pixels on surfaces that face up."""
    for cover in COVERS:
        params = params_of(fa.Weather(snow_cover=cover))
        counts = np.array([count_snow(view, world, params) for root in roots for view, world in views(root, params)])
        snow, up, high, high_up = counts.sum(0).tolist()
        print(
            f"snow, cover {cover:.1f}: {up / max(snow, 1):.3f} of {snow} snow pixels, {len(counts)} pictures, face up; "
            f"above {HIGH} m {high_up / max(high, 1):.3f} of {high}"
        )


def print_mirror(roots: list[str], depth: bool) -> None:
    """Print the angles between taken and true sources of mirror images."""
    params = params_of(fa.WetRoad(water_film=0.8))
    errors = [mirror_errors(view, world) for root in roots for view, world in views(root, params, depth)]
    error, how = np.concatenate(errors), "depth given" if depth else "LiDAR and picture"
    middle, most = np.quantile(error, (0.5, 0.95))
    print(
        f"mirror, {how}: {len(error)} pixels of {len(errors)} pictures, error median {middle:.2f}, 95 % {most:.2f}"
        f" degrees, within 2 degrees {np.mean(error <= 2):.3f}"
    )


if __name__ == "__main__":
    print_snow(sys.argv[1:])
    print_mirror(sys.argv[1:], depth=False)
    print_mirror(sys.argv[1:], depth=True)
