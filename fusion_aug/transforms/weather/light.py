"""Pictures of a sunny day in the light of an overcast sky: grey above, and few shadows below.

Light of the sun E_s and of the sky E_0 becomes that of the overcast sky, E: what was lit by a share m of the sun's
light, by I = (E_0 + m E_s) / (E_0 + E_s), is multiplied by E / (I (E_0 + E_s)). Cameras expose what lay in the sun as
before, so that E = E_0 + E_s there.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fusion_aug.ops.color import to_linear, to_srgb
from fusion_aug.ops.haze import full_scale
from fusion_aug.ops.illumination import BLUER, log_illumination
from fusion_aug.physics.completion import SKY_DISTANCE
from fusion_aug.transforms.weather.state import WeatherState
from fusion_aug.transforms.weather.view import COARSE, WeatherView

Array = np.ndarray
GAMMA = 2.2  # levels are light to the power of 1 / GAMMA, nearly
COOL = np.array([0.98, 1.0, 1.02]) ** (1 / GAMMA)  # levels under an overcast sky, after a camera's white balance
POWERS = (1 + BLUER * np.array([0.5, 0.0, -0.5])) / GAMMA  # of illumination, of the levels of red, green and blue
SKY_FROM = 0.3 * SKY_DISTANCE  # metres
OPAQUE = 0.02  # transmission of the whole sky's distance below which the air hides what is behind it


def in_overcast(picture: Array, view: WeatherView, state: WeatherState) -> Array:
    """A picture (H, W, 3), uint8 or float32 in [0, 1], without a share ``state.sunless`` of the sun's own light."""
    share = np.float32(state.sunless)
    levels = picture if picture.dtype == np.uint8 else np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    lit = log_illumination(levels, view.distance, SKY_FROM, view.sines)
    gains = [cv2.exp(lit * np.float32(-p)) * np.float32(share * c) for p, c in zip(POWERS, COOL, strict=True)]
    gain = cv2.resize(cv2.merge([g + (1 - share) for g in gains]), view.size[::-1])
    exact = picture.dtype != np.uint8
    relit = cv2.multiply(picture, gain, dtype=cv2.CV_32F if exact else cv2.CV_8U)
    relit = np.minimum(relit, 1.0) if exact else relit
    if np.exp(-state.air.extinction(550e-9) * SKY_DISTANCE) < OPAQUE:
        return relit
    grey = cv2.blur((view.distance >= SKY_FROM).astype(np.float32), (3, 3)) * share
    return cv2.blendLinear(relit, air_seen(view, state, state.airlight, picture), 1 - grey, grey)


def air_seen(view: WeatherView, state: WeatherState, airlight: Array, like: Array) -> Array:
    """Levels (H, W, 3) of the air or of an overcast sky in every direction, in the kind of another picture.

    Args:
        airlight: (3,) at the horizon, share of full scale.
    """
    nodes = air_at(state, airlight, view.sines) * full_scale(like)
    nodes = np.round(nodes).astype(np.uint8) if like.dtype == np.uint8 else nodes.astype(np.float32)
    large = cv2.resize(nodes, (nodes.shape[1] * COARSE, nodes.shape[0] * COARSE))
    return large[: view.size[0], : view.size[1]]


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
