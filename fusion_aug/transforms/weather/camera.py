"""Weather on pictures, in the order in which light meets it: sky, ground, lamps, air, drops, lens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_aug.core.gradients import asks_gradient
from fusion_aug.core.levels import with_changed_levels
from fusion_aug.core.registry import Call, handles
from fusion_aug.ops import haze
from fusion_aug.ops.hashed import ItemNoise
from fusion_aug.ops.layers import distance_in_cells, grid_of, to_canvas, to_cells
from fusion_aug.streams import Camera
from fusion_aug.transforms.weather.glare import add_sun_glare
from fusion_aug.transforms.weather.lamps import lamps_seen
from fusion_aug.transforms.weather.lens import drops_on_the_lens
from fusion_aug.transforms.weather.light import air_seen, in_overcast
from fusion_aug.transforms.weather.night import add_sensor_noise, relight_at_night
from fusion_aug.transforms.weather.particles import fall_before
from fusion_aug.transforms.weather.place import spray_behind
from fusion_aug.transforms.weather.posts import raise_posts
from fusion_aug.transforms.weather.snow import lay_snow
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView
from fusion_aug.transforms.weather.weather import Weather
from fusion_aug.transforms.weather.wet import wet_road
from fusion_aug.transforms.weather.windows import lit_windows_seen
from fusion_aug.transforms.weather.with_gradient import in_suspended_air

Array = np.ndarray
VISIBLE = 550e-9  # metres
GRID = 4  # pixels of the cells that clouds and spray are worked out in


@handles(Weather, Camera)
def weather_on_camera(stream: Camera, call: Call) -> Camera:
    """Change every picture whose weather is not as recorded."""
    states = [WeatherState.of(p) for p in call.params]
    if all(s.is_as_recorded for s in states):
        return stream
    changed = [i for i, state in enumerate(states) if not state.is_as_recorded and bool(stream.present[i])]
    given = call.params if call.family_state is None else call.family_state.per_item(call.name, stream)
    changes = {i: partial(_in_weather, call, i, states[i], given[i]) for i in changed}
    return with_changed_levels(stream, call, changes, {i for i in changed if asks_gradient(given[i])})  # type: ignore[return-value]


def _in_weather(call: Call, item: int, state: WeatherState, given: Mapping[str, Any], picture: Tensor) -> Tensor:
    """A picture of the stream of a call in the weather of a state; some of the ``given`` parameters may be tensors."""
    if picture.is_floating_point() and asks_gradient([given, picture]):
        return in_suspended_air(picture, WeatherView(call, item), state, given)
    time = int(call.sample.streams[call.name].capture_times[item])
    noise = ItemNoise(call.params[item]["noise"], call.name, time)
    kept = picture.dtype if picture.dtype == torch.uint8 else torch.float32  # OpenCV mixes no float64 with these
    levels = picture.detach().to("cpu", kept).contiguous().numpy()
    changed = np.ascontiguousarray(apply_weather(levels, WeatherView(call, item), state, noise))
    return torch.from_numpy(changed).to(picture)


def apply_weather(picture: Array, view: WeatherView, state: WeatherState, noise: ItemNoise) -> Array:
    """One picture (H, W, 3), uint8 or float32 in [0, 1], in the weather of a state."""
    dark = state.light.illuminance is not None
    airlight = state.airlight
    if state.sun_loss > 0:
        picture = in_overcast(picture, view, state)
    snow = None
    if state.surface.snow_cover > 0:
        picture, snow = lay_snow(picture, view, state)
    if state.surface.water_film > 0:
        picture = wet_road(picture, view, state, snow)
    if dark:
        picture, dimmed = relight_at_night(picture, view, state)
        airlight = airlight * dimmed
        picture = raise_posts(picture, view, state, dimmed) if state.lamps_burn else picture
        picture = lit_windows_seen(picture, view, state) if state.lamps_burn and state.lit_windows > 0 else picture
    if not state.air.is_clear or state.surface.water_film * state.spray > 0:
        picture = apply_airlight(picture, view, state, airlight)
    if state.lamps_burn:
        picture = lamps_seen(picture, view, state)
    picture = fall_before(picture, view, state, airlight)
    if state.light.sun > 0:
        picture = add_sun_glare(picture, view, state)
    if state.lens_drops >= 0.5:
        picture = drops_on_the_lens(picture, view, state)
    return add_sensor_noise(picture, state, noise) if dark else picture


def apply_airlight(picture: Array, view: WeatherView, state: WeatherState, airlight: Array) -> Array:
    """Koschmieder's law along every ray, through clouds and spray where there are any."""
    air, clouds = state.air, state.clouds()
    puffs = spray_behind(view.call.sample, view.index, view.time, state)
    floating = air.suspended_optics(VISIBLE)[0]
    extinction = floating + air.falling_extinction(VISIBLE)
    if extinction == 0 and not len(puffs):
        return picture
    depth = view.distance * np.float32(-extinction)
    if clouds is not None or len(puffs):
        grid = grid_of(view.size, GRID)
        far, rays = distance_in_cells(view.distance, grid).reshape(-1), to_cells(view.rays, grid).reshape(-1, 3)
        more = np.zeros(len(far))
        if clouds is not None:
            R = view.T_world[:3, :3] @ view.T_ref[:3, :3].T
            path = clouds.path(view.T_world[:3, 3], rays @ R.T.astype(np.float32), far, view.seconds)
            more += floating * (path - far)
        if len(puffs):
            more += puffs.depth(view.T_ref[:3, 3], rays, far)
        depth -= to_canvas(more.reshape(grid).astype(np.float32), view.size)
    return haze.blend(picture, cv2.exp(depth), air_seen(view, state, airlight, picture))
