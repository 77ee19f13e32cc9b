"""Changes of levels of all pictures of a batch at once, on a device.

A kernel takes levels (N, 3, H, W) float32 from 0 to ``white`` and one row of numbers for every picture, and gives
levels that may lie outside and between whole ones: they are rounded as on the CPU, and held in their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.replacing import replace_unchecked
from fusion_aug.core.device.pending import is_whole, on_values, opened, settled, white_of
from fusion_aug.core.device.rules import on_device
from fusion_aug.core.registry import Call
from fusion_aug.core.strength import Strength
from fusion_aug.errors import DataError
from fusion_aug.ops import color
from fusion_aug.streams import Camera
from fusion_aug.streams.families import Photometric
from fusion_aug.transforms.camera.blur import ChromaticAberration, DefocusBlur, GaussianBlur, MotionBlur, Sharpness
from fusion_aug.transforms.camera.exposure import ColorTemperature, Exposure, Vignetting, WhiteBalance
from fusion_aug.transforms.camera.histogram import Posterize, Solarize
from fusion_aug.transforms.camera.photometric import (
    Brightness,
    Contrast,
    Gamma,
    GaussianNoise,
    Hue,
    Saturation,
    applies_to,
    change_pictures,
)

Numbers = Mapping[str, Any]
Kernel = Callable[[Tensor, Mapping[str, Tensor], float], Tensor]
NumbersOf = Callable[[Numbers], dict[str, Any]]
KERNELS: dict[Any, tuple[Kernel, NumbersOf]] = {}
ONE_BY_ONE: set[Any] = set()


def changes_levels(transform: type, numbers: NumbersOf) -> Callable[[Kernel], Kernel]:
    """Register the kernel of a transform, and what of its drawn parameters it needs, as numbers or small arrays."""

    def register(kernel: Kernel) -> Kernel:
        KERNELS[transform] = (kernel, numbers)
        return kernel

    return register


def one_by_one(*transforms: type) -> None:
    """Declare transforms whose change of a picture is torch alone and asks the host for no value.

    They run on a device picture by picture, on pictures that are worked out first, so their operators grow with the
    batch, until somebody writes a kernel for all pictures at once.
    """
    ONE_BY_ONE.update(transforms)


@on_device(Photometric, Camera, where=lambda cls: cls in KERNELS or cls in ONE_BY_ONE)
def plan_pictures(stream: Camera, call: Call) -> Camera:
    """Pending maps, and then the kernel on every picture; or the handler of the CPU on pictures that are there."""
    if call.transform in ONE_BY_ONE:
        return on_values(change_pictures, stream, call)
    asked = {i: p for i, p in call.asked if applies_to(stream, call, p)}
    if not asked:
        return stream
    stream = settled(stream, call.program)
    kernel, numbers_of = KERNELS[call.transform]
    neutral = {n: s.neutral for n, s in call.transform.strengths.items() if isinstance(s, Strength)}
    present = stream.present.tolist()
    rows = []
    for i in range(len(stream)):
        on = i in asked and present[i]
        rows.append({**numbers_of(asked[i] if on else neutral), "on": on})
    odd = {str(p.block.dtype) for p in stream.items if white_of(stream, p) != (255 if is_whole(p) else 1)}
    if odd:
        raise DataError(
            f"{call.transform.__name__}: stream {call.name!r} holds {', '.join(sorted(odd))}, but levels are changed "
            f"of uint8 pictures or of float ones from 0 to 1; convert it, or choose other cameras"
        )
    pictures = opened(stream.items, call.program)
    fixed = {"change": kernel, "white": white_of(stream, pictures[0]), "whole": is_whole(pictures[0])}
    out = call.program.pictures(_changed, list(zip(pictures, rows, strict=True)), {}, **fixed)
    return replace_unchecked(stream, items=tuple(out))


def _changed(levels: Tensor, numbers: Mapping[str, Tensor], change: Kernel, white: float, whole: bool) -> Tensor:
    out = change(levels, numbers, white)
    return (out.round() if whole else out).clamp(0, white)


def _wide(numbers: Tensor) -> Tensor:
    """(N,) or (N, 3) numbers in a shape that multiplies levels (N, 3, H, W)."""
    return numbers.to(torch.float32).reshape(len(numbers), -1, 1, 1)


def _field(name: str) -> NumbersOf:
    return lambda params: {name: np.float32(params[name])}


@changes_levels(Brightness, _field("factor"))
def brighter(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """Levels times ``factor``."""
    return levels * _wide(numbers["factor"])


@changes_levels(Contrast, _field("factor"))
def stretched(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """Levels about the mean of each picture times ``factor``."""
    factor = _wide(numbers["factor"])
    return levels * factor + levels.mean((1, 2, 3), keepdim=True) * (1 - factor)


@changes_levels(Gamma, _field("gamma"))
def bent(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """Shares of full scale to the power of ``gamma``."""
    return (levels / white) ** _wide(numbers["gamma"]) * white


def _matrix(matrix: Tensor) -> dict[str, Any]:
    return {"matrix": matrix.numpy().astype(np.float32)}


@changes_levels(Saturation, lambda p: _matrix(color.saturation_matrix(p["factor"])))
@changes_levels(Hue, lambda p: _matrix(color.hue_matrix(math.radians(p["angle_deg"]))))
def mixed(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """Every RGB triple times a matrix."""
    return torch.matmul(numbers["matrix"], levels.flatten(2)).view(levels.shape)


def _gains(red: float, green: float, blue: float) -> dict[str, Any]:
    return {"gains": np.array([red, green, blue], np.float32)}


@changes_levels(WhiteBalance, lambda p: _gains(p["red"], 1.0, p["blue"]))
@changes_levels(ColorTemperature, lambda p: _gains(*color.daylight_gains(p["kelvin"])))
def relit(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """The linear light of each channel times its gain."""
    return color.to_srgb(color.to_linear(levels / white) * _wide(numbers["gains"])) * white


@changes_levels(Solarize, _field("threshold"))
def inverted_above(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """What lies above ``threshold`` inverted; a picture that is left alone has none above."""
    above = (levels >= _wide(numbers["threshold"]) * white) & _wide(numbers["on"]).bool()
    return torch.where(above, white - levels, levels)


@changes_levels(Posterize, lambda p: {"step": np.float32(2.0 ** (8 - round(p["bits"])) / 255)})
def in_steps(levels: Tensor, numbers: Mapping[str, Tensor], white: float) -> Tensor:
    """Levels rounded down to multiples of ``step``, a share of full scale."""
    step = _wide(numbers["step"]) * white
    return torch.floor(levels / step + 1e-4) * step


one_by_one(
    ChromaticAberration, DefocusBlur, Exposure, GaussianBlur, GaussianNoise, MotionBlur, Sharpness, Vignetting
)  # fmt: skip
