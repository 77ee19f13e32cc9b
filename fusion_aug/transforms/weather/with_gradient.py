"""Fog and dust in float pictures with a gradient: the same equations as everywhere, in torch.

Exact in visibilities, in the level of the air and in the overcast share, and in the levels of the picture where these
decide nothing else: where distances are given by a depth stream and no sunlight is taken out of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from calib.se3 import as_f64
from fusion_aug.errors import DataError
from fusion_aug.ops.color import to_linear, to_srgb
from fusion_aug.ops.layers import to_canvas
from fusion_aug.physics.air import extinction_of_mor, extinction_of_visual_range
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.sample.depth import is_given
from fusion_aug.transforms.weather.light import OPAQUE, SKY_FROM, gains
from fusion_aug.transforms.weather.state import DUST_TINT, FOG_TINT, IN_FOG, LAYER, WeatherState
from fusion_aug.transforms.weather.view import WeatherView

CARRIED = ("mor", "visual_range", "dust_mor", "airlight", "overcast")


def in_suspended_air(picture: Tensor, view: WeatherView, state: WeatherState, params: Mapping[str, Any]) -> Tensor:
    """A float picture (H, W, 3) in the fog and dust of a state; it carries the gradients of ``CARRIED`` and its own.

    Args:
        picture: shares of full scale. view: of it. state: of the parameters as numbers. params: some of them tensors.

    Raises:
        DataError: something else of the weather would have to carry a gradient.
    """
    _refuse_others(picture, view, state)
    fog, dust = _extinctions(params)
    extinction, air = fog + dust, _air(params, fog, dust)
    taken = 1 - torch.exp(-extinction * LAYER) if params["overcast"] is None else as_f64(params["overcast"])
    seen = _canvas(_in_directions(air, taken * IN_FOG, view), view.size)
    lit = picture
    if state.sun_loss > 0 or taken.requires_grad:
        lit = _without_sun(picture, view, seen, taken, float(extinction.detach()))
    through = torch.exp(-extinction.float() * torch.from_numpy(view.distance))[..., None]
    return (lit * through + seen * (1 - through)).to(picture.dtype)


def _extinctions(params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Extinction (1/m) of fog and of dust at 550 nm, float64 scalars."""
    zero = torch.zeros((), dtype=torch.float64)
    fog = zero
    if params["mor"] is not None:
        fog = zero + extinction_of_mor(as_f64(params["mor"]))  # type: ignore[arg-type]
    elif params["visual_range"] is not None:
        fog = zero + extinction_of_visual_range(as_f64(params["visual_range"]))  # type: ignore[arg-type]
    dust = zero if params["dust_mor"] is None else zero + extinction_of_mor(as_f64(params["dust_mor"]))  # type: ignore[arg-type]
    return fog, dust


def _air(params: Mapping[str, Any], fog: Tensor, dust: Tensor) -> Tensor:
    """Level (3,) of the air at the horizon, as ``WeatherState.airlight``."""
    share = dust / (fog + dust) if float((fog + dust).detach()) > 0 else torch.zeros_like(fog)
    tint = (1 - share) * torch.from_numpy(FOG_TINT) + share * torch.from_numpy(DUST_TINT)
    return (as_f64(params["airlight"]) * tint).clamp(0, 1)


def _in_directions(air: Tensor, steepness: Tensor, view: WeatherView) -> Tensor:
    """Level (h, w, 3) of the air in the middles of coarse cells, as ``light.air_at``."""
    up = torch.from_numpy(np.clip(view.sines, 0, 1))[..., None]
    if float(steepness.detach()) == 0:
        return air.expand(*up.shape[:2], 3)
    light = to_linear(air) * (1 + steepness * up)
    return to_srgb(torch.where(light > 0.6, 0.6 + 0.4 * torch.tanh((light - 0.6) / 0.4), light))


def _canvas(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """A map of cells (h, w, 3) on the canvas, as ``ops.layers.to_canvas``; float32."""
    planes = cells.float().permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(planes, size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0)


def _without_sun(picture: Tensor, view: WeatherView, seen: Tensor, taken: Tensor, extinction: float) -> Tensor:
    """The picture without a share ``taken`` of the sun's own light, as ``light.in_overcast``."""
    share = taken.float()
    relit = (picture * (1 + share * torch.from_numpy(to_canvas(gains(view) - 1, view.size)))).clamp(max=1.0)
    if np.exp(-extinction * SKY_DISTANCE) < OPAQUE:
        return relit
    grey = torch.from_numpy(cv2.blur((view.distance >= SKY_FROM).astype(np.float32), (3, 3)))[..., None] * share
    return relit * (1 - grey) + seen * grey


def _refuse_others(picture: Tensor, view: WeatherView, state: WeatherState) -> None:
    air, what = state.air, ""
    if air.patchiness or air.rain_rate or air.snow_rate or state.surface.water_film or state.surface.snow_cover:
        what = "clouds, rain, snow and wet roads carry none"
    elif state.light.illuminance is not None or state.light.sun or state.lens_drops >= 0.5:
        what = "night, sun and drops on lenses carry none"
    elif picture.requires_grad and state.sun_loss > 0:
        what = "how sunlight is taken out of a picture depends on the picture, so set overcast to 0"
    elif picture.requires_grad and not is_given(view.call.sample, view.call.name, view.item):
        what = "distances without a depth stream depend on the picture"
    if what:
        raise DataError(
            f"{view.call.transform.__name__}: cannot carry a gradient through {view.stream.title(view.item)}: {what}"
        )
