"""Light and colour of pictures on a device: kernels of levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from calib.sensors import CameraSensor
from fusion_aug.ops import color
from fusion_aug.transforms.camera.exposure import ColorTemperature, Vignetting, WhiteBalance
from fusion_aug.transforms.camera.histogram import Posterize, Solarize
from fusion_aug.transforms.camera.on_device import NumbersOf, Params, changes_levels, wide
from fusion_aug.transforms.camera.photometric import Brightness, Contrast, Gamma, Hue, PictureContext, Saturation

Numbers = Mapping[str, Any]


def _field(name: str) -> NumbersOf:
    return lambda params, picture: {name: np.float32(params[name])}


@changes_levels(Brightness, _field("factor"))
def brighter(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Levels times ``factor``."""
    return levels * wide(numbers["factor"])


@changes_levels(Contrast, _field("factor"))
def stretched(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Levels about the mean of each picture times ``factor``."""
    factor = wide(numbers["factor"])
    return levels * factor + levels.mean((1, 2, 3), keepdim=True) * (1 - factor)


@changes_levels(Gamma, _field("gamma"))
def bent(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Shares of full scale to the power of ``gamma``."""
    return (levels / white) ** wide(numbers["gamma"]) * white


def _matrix(matrix: Tensor) -> dict[str, Any]:
    return {"matrix": matrix.numpy().astype(np.float32)}


@changes_levels(Saturation, lambda p, _: _matrix(color.saturation_matrix(p["factor"])))
@changes_levels(Hue, lambda p, _: _matrix(color.hue_matrix(math.radians(p["angle_deg"]))))
def mixed(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Every RGB triple times a matrix."""
    return torch.matmul(numbers["matrix"], levels.flatten(2)).view(levels.shape)


def gains(red: float, green: float, blue: float) -> dict[str, Any]:
    """The numbers of ``relit``."""
    return {"gains": np.array([red, green, blue], np.float32)}


@changes_levels(WhiteBalance, lambda p, _: gains(p["red"], 1.0, p["blue"]))
@changes_levels(ColorTemperature, lambda p, _: gains(*color.daylight_gains(p["kelvin"])))
def relit(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """The linear light of each channel times its gain."""
    return color.to_srgb(color.to_linear(levels / white) * wide(numbers["gains"])) * white


@changes_levels(Solarize, _field("threshold"))
def inverted_above(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """What lies above ``threshold`` inverted; a picture that is left alone has none above."""
    above = (levels >= wide(numbers["threshold"]) * white) & wide(numbers["on"])
    return torch.where(above, white - levels, levels)


@changes_levels(Posterize, lambda p, _: {"step": np.float32(2.0 ** (8 - round(p["bits"])) / 255)})
def in_steps(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """Levels rounded down to multiples of ``step``, a share of full scale; steps carry no gradient."""
    step = wide(numbers["step"]) * white
    return torch.floor(levels.detach() / step + 1e-4) * step


def shaded(levels: Tensor, light: Tensor) -> Tensor:
    """Levels times what a share of the light makes of them: the power of sRGB is close enough to 1 / 2.2."""
    return levels * light.clamp(min=0) ** (1 / 2.2)


def _loss(params: Params, picture: PictureContext) -> dict[str, Any]:
    camera: CameraSensor = picture.camera
    centre = camera.model.K[:2, 2].detach().numpy()
    corner = np.maximum(np.abs(centre), np.abs(np.array(camera.model.size[::-1]) - 1 - centre))
    back = np.linalg.inv(camera.A.detach().numpy()) if camera.has_pixel_map else np.eye(3)
    back[:2] -= np.outer(centre, back[2])  # from the principal point
    back[:2] /= max(float(np.hypot(*corner)), 0.5)
    return {"back": back.astype(np.float32), "loss": np.float32(params["loss"])}


@changes_levels(Vignetting, _loss)
def darker_outside(levels: Tensor, numbers: Numbers, white: float) -> Tensor:
    """The share ``loss`` of the light is lost at the far corner, one from the middle there by the matrix ``back``."""
    back = numbers["back"]
    x = torch.arange(levels.shape[3], dtype=torch.float32, device=levels.device)
    y = torch.arange(levels.shape[2], dtype=torch.float32, device=levels.device)[:, None]
    u, v, w = (back[:, i, 0, None, None] * x + (back[:, i, 1, None, None] * y + back[:, i, 2, None, None])
               for i in range(3))  # fmt: skip
    share = ((u * u + v * v) / (w * w)).clamp(max=1)
    return shaded(levels, 1 - wide(numbers["loss"]) * share[:, None])
