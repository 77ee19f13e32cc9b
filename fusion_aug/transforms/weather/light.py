"""Pictures of a sunny day in the light of an overcast sky: grey above, and few shadows below.

Light of the sun E_s and of the sky E_0 becomes that of the overcast sky, E: what was lit by a share m of the sun's
light, by I = E_0 + m E_s, is multiplied by E / I. Cameras expose level ground that lay in the sun as before, so that E
is E_0 + E_s there; on a wall the overcast sky is 0.4 of that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch

from fusion_aug.ops.color import levels_of, to_linear, to_srgb
from fusion_aug.ops.haze import full_scale
from fusion_aug.ops.illumination import BLUER, LOG_LIGHT, Sunlight, Surfaces, log_shade, surface_grid
from fusion_aug.ops.layers import to_canvas, to_cells
from fusion_aug.ops.potential import guided
from fusion_aug.physics.completion import SKY_DISTANCE, SKY_FROM
from fusion_aug.physics.overcast import COOL, GAMMA, LESS_ON_WALLS
from fusion_aug.sample.depth import cached_with_stream, lidars_of
from fusion_aug.sample.vehicle import T_up_ref
from fusion_aug.streams import Camera, Depth
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import WeatherView

Array = np.ndarray
OPAQUE = 0.02  # transmission of the whole sky's distance below which the air hides what is behind it


def in_overcast(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """A picture (H, W, 3), uint8 or float32 in [0, 1], without a share ``state.sun_loss`` of the sun's own light."""
    share, found = state.sun_loss, gains(view)
    gain = to_canvas(cv2.addWeighted(found, share, found, 0.0, 1 - share), view.size)
    exact = picture.dtype != np.uint8
    relit = cv2.multiply(picture, gain, dtype=cv2.CV_32F if exact else cv2.CV_8U)
    relit = np.minimum(relit, 1.0) if exact else relit
    if np.exp(-state.air.extinction(550e-9) * SKY_DISTANCE) < OPAQUE:
        return relit
    grey = cv2.blur((view.distance >= SKY_FROM).astype(np.float32), (3, 3)) * share
    return cv2.blendLinear(relit, air_seen(view, state, state.airlight, picture), 1 - grey, grey)


def gains(view: WeatherView) -> Array:
    """What the levels of red, green and blue are multiplied by without the sun, (h, w, 3) float32, in half cells."""
    question, inputs = ("gains", view.item, view.settings), [*_shown(view), *view.call.sample.of_type(Camera).values()]
    return cached_with_stream(view.stream, question, inputs, lambda: _found_gains(view))


def _found_gains(view: WeatherView) -> Array:
    seen = surfaces_seen(view)
    shade = log_shade(seen, sunlight(view))
    walls = np.where(seen.sky, 0, LESS_ON_WALLS * (1 - np.clip(seen.rise, 0, 1))).astype(np.float32)
    fine = (min(view.size[0], 2 * shade.shape[0]), min(view.size[1], 2 * shade.shape[1]))
    grey = cv2.LUT(cv2.cvtColor(to_cells(_levels(view), fine), cv2.COLOR_RGB2GRAY), LOG_LIGHT)
    lit = guided(shade + walls, to_cells(grey, shade.shape), grey) * np.float32(-1 / GAMMA)
    colour = to_canvas(shade * np.float32(-BLUER / 2 / GAMMA), fine)
    found = [lit + colour, lit - colour, lit]
    for gain, cool in zip(found, COOL[[0, 2, 1]], strict=True):
        np.multiply(cv2.exp(gain, gain), np.float32(cool), out=gain)
    return cv2.merge([found[k] for k in (0, 2, 1)])


def sunlight(view: WeatherView) -> Sunlight:
    """The light of the sun in the picture and in those of the sample's other cameras that are nearest to it in time."""
    sample, seen = view.call.sample, []
    for name, stream in sample.of_type(Camera).items():
        here = ((stream.sample_index == view.index) & stream.present).nonzero()[:, 0]
        if name == view.call.name:
            seen.append(surfaces_seen(view))
        elif len(here):
            nearest = int(here[int((stream.true_capture_times[here] - view.time).abs().argmin())])
            seen.append(surfaces_seen(WeatherView(replace(view.call, name=name), nearest)))
    return Sunlight.of(seen, T_up_ref(sample, view.index)[2, :3])


def surfaces_seen(view: WeatherView) -> Surfaces:
    """What a picture shows, before any weather, in coarse cells."""
    up = T_up_ref(view.call.sample, view.index)[2, :3]
    return cached_with_stream(
        view.stream, ("surfaces", view.item, view.settings), _shown(view),
        lambda: Surfaces.of(_levels(view), view.distance, view.rays_in(surface_grid(view.size)), up, SKY_FROM),
    )  # fmt: skip


def _shown(view: WeatherView) -> list[Any]:
    """What tells where the surfaces of a picture lie."""
    sample = view.call.sample
    return [sample.metas[view.index], *sample.of_type(Depth).values(),
            *(sample[n] for n in lidars_of(sample, view.index))]  # fmt: skip


def _levels(view: WeatherView) -> Array:
    """The picture as recorded, uint8."""
    assert isinstance(view.stream, Camera)
    return levels_of(view.stream.image(view.item), f"stream {view.call.name!r}").numpy()


def air_seen(view: WeatherView, state: WeatherState, airlight: Array, like: Array) -> Array:
    """Levels (H, W, 3) of the air or of an overcast sky in every direction, in the kind of another picture.

    Args:
        airlight: (3,) at the horizon, share of full scale.
    """
    nodes = air_at(state, airlight, view.sines) * full_scale(like)
    nodes = np.round(nodes).astype(np.uint8) if like.dtype == np.uint8 else nodes.astype(np.float32)
    return to_canvas(nodes, view.size)


def air_at(state: WeatherState, airlight: Array, sine: Array) -> Array:
    """Level (..., 3), share of full scale, of the air in directions whose elevations have given sines (...)."""
    light = to_linear(torch.from_numpy(np.asarray(airlight, float))).numpy()
    seen = light * (1 + state.steepness * np.clip(sine, 0, 1)[..., None])
    if state.steepness == 0:
        return np.broadcast_to(airlight, seen.shape)
    return to_srgb(torch.from_numpy(_rolled_off(seen))).numpy()


def _rolled_off(light: Array) -> Array:
    """Light as a camera's tone curve leaves it: what is brighter than 0.6 of white comes near white slowly."""
    return np.where(light > 0.6, 0.6 + 0.4 * np.tanh((light - 0.6) / 0.4), light)
