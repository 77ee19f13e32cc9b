"""Lights, background and noise of tactile pictures on a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.pending import settled
from fusion_aug.core.device.rules import on_device, walks_on_host
from fusion_aug.core.registry import Call
from fusion_aug.streams import TactileImage
from fusion_aug.transforms.camera.on_device import wide, with_levels
from fusion_aug.transforms.camera.on_device_noise import grain, keyed
from fusion_aug.transforms.camera.photometric import PictureContext
from fusion_aug.transforms.touch.gels import gel_of
from fusion_aug.transforms.touch.tactile import GelBackground, GelLights, TactileNoise, lit_gels, new_backgrounds

Numbers = Mapping[str, Any]

walks_on_host(GelLights, GelBackground, TactileNoise)  # which set the gels of the rigs


def _asked(stream: TactileImage, call: Call) -> dict[int, Mapping[str, Any]]:
    present = stream.present.tolist()
    return {i: p for i, p in call.asked if present[i]}


def _channels_first(picture: Tensor) -> np.ndarray:
    return np.ascontiguousarray(picture.numpy().transpose(2, 0, 1))


@on_device(GelLights, TactileImage)
def plan_lights(stream: TactileImage, call: Call) -> TactileImage:
    """Change the difference to the background, and the lights of the gel with it."""
    asked = _asked(stream, call)
    if not asked:
        return stream
    stream, rows = settled(stream, call.program), []
    for i in range(len(stream)):
        ground = gel_of(stream, i, call.name)[1]
        gain = asked[i]["gain"] if i in asked else [1.0] * 3
        rows.append({"ground": _channels_first(ground), "gain": np.array(gain, np.float32)})
    gels = lit_gels(stream, call)
    return replace_unchecked(with_levels(stream, call, _lit, rows), gels=gels)


def _lit(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    ground = numbers["ground"].to(torch.float32)
    return ground + wide(numbers["gain"]) * (levels - ground)


@on_device(GelBackground, TactileImage)
def plan_background(stream: TactileImage, call: Call) -> TactileImage:
    """The difference to the background goes onto another one."""
    grounds = new_backgrounds(stream, call)
    if not grounds:
        return stream
    stream, rows = settled(stream, call.program), []
    for i, own in enumerate(stream.backgrounds):
        rows.append({"off": _channels_first(grounds.get(i, own).to(torch.int16) - own.to(torch.int16))})
    grounds_now = tuple(grounds.get(i, own) for i, own in enumerate(stream.backgrounds))
    return replace_unchecked(with_levels(stream, call, _off, rows), backgrounds=grounds_now)


def _off(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    return levels + numbers["off"]


@on_device(TactileNoise, TactileImage)
def plan_gel_noise(stream: TactileImage, call: Call) -> TactileImage:
    """White noise of some levels."""
    asked = _asked(stream, call)
    if not asked:
        return stream
    stream, rows = settled(stream, call.program), []
    idle = {**next(iter(asked.values())), "sigma": 0.0}
    for i in range(len(stream)):
        params = asked.get(i, idle)
        rows.append({"sigma": np.float32(params["sigma"]), **keyed(params, PictureContext(call, stream, i))})
    return with_levels(stream, call, _noisy, rows)


def _noisy(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    return levels + grain(levels, numbers) * wide(numbers["sigma"])
